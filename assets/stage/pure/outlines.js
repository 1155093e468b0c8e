// Outlines of things: lists of closed lines, [[x, y], ...] in pixels of the frame; a line inside another is a hole.

/** @import { Outline, Position } from "../types" */

/**
 * Return whether a position is inside outlines.
 * @param {Outline[]} outlines
 * @param {Position} position
 */
export function contains(outlines, { x, y }) {
  let inside = false;
  for (const line of outlines) {
    line.forEach(([x1, y1], n) => {
      const [x0, y0] = line[(n || line.length) - 1];
      if (y0 > y !== y1 > y && x < x0 + ((y - y0) / (y1 - y0)) * (x1 - x0)) inside = !inside;
    });
  }
  return inside;
}

/**
 * Return the path of outlines for SVG.
 * @param {Outline[]} outlines
 * @param {(x: number, y: number) => {left: number, top: number}} placed where a pixel is drawn
 */
export function pathOf(outlines, placed) {
  /** @param {[number, number]} corner */
  const at = ([x, y]) => {
    const { left, top } = placed(x, y);
    return `${left.toFixed(2)} ${top.toFixed(2)}`;
  };
  return outlines.map((line) => `M${line.map(at).join("L")}Z`).join("");
}
