// Brush strokes: their width, and the path that is kept of what was drawn. These functions do not change their arguments.

/** @import { Position, Stroke } from "../types" */

import { clamp, tenth } from "./geometry.js";

/** Most vertices of a stroke: the server refuses more. */
export const MOST_VERTICES = 500;

/** Most strokes of one object on one frame: the server refuses more. */
export const MOST_STROKES = 200;

/** The brush's diameter at both ends of its slider, as shares of the frame's longer side. */
const SMALLEST = 0.004;
const LARGEST = 0.4;

/**
 * Return the brush's diameter in pixels of the frame, at a place of its slider, 0 to 100: each step multiplies it by
 * the same factor.
 * @param {number} size
 * @param {{width: number, height: number}} frame
 */
export function brushWidth(size, { width, height }) {
  return tenth(Math.max(1, SMALLEST * Math.max(width, height) * (LARGEST / SMALLEST) ** (size / 100)));
}

/**
 * Return what the mean pressure of a pen multiplies the brush's width by; 1 at half of the full pressure.
 * @param {number} pressure 0 to 1
 */
export const pressureFactor = (pressure) => 0.25 + 1.5 * clamp(pressure, 0, 1);

/**
 * Limit a place to the frame and its surroundings, as far as the server takes it, on tenths of a pixel.
 * @param {Position} place
 * @param {{width: number, height: number}} frame
 * @returns {Position}
 */
export function nearFrame({ x, y }, { width, height }) {
  const most = Math.max(width, height);
  return { x: tenth(clamp(x, -most, width + most)), y: tenth(clamp(y, -most, height + most)) };
}

/**
 * Return the path with as few vertices as do within the tolerance (Douglas and Peucker, 1973), and no more than the
 * server takes.
 * @param {[number, number][]} path
 * @param {number} tolerance pixels of the frame
 * @returns {[number, number][]}
 */
export function simplify(path, tolerance) {
  let kept = path;
  for (let allowed = tolerance; ; allowed *= 2) {
    kept = withinTolerance(path, allowed);
    if (kept.length <= MOST_VERTICES) return kept;
  }
}

/**
 * @param {[number, number][]} path
 * @param {number} tolerance
 * @returns {[number, number][]}
 */
function withinTolerance(path, tolerance) {
  const keeps = path.map((_, i) => i === 0 || i === path.length - 1);
  const open = [[0, path.length - 1]];
  for (let span = open.pop(); span; span = open.pop()) {
    const [first, last] = span;
    let farthest = 0;
    let most = tolerance;
    for (let i = first + 1; i < last; i += 1) {
      const off = distanceToLine(path[i], path[first], path[last]);
      if (off > most) [farthest, most] = [i, off];
    }
    if (!farthest) continue;
    keeps[farthest] = true;
    open.push([first, farthest], [farthest, last]);
  }
  const kept = path.filter((_, i) => keeps[i]);
  const [a, b] = kept;
  return kept.length === 2 && a[0] === b[0] && a[1] === b[1] ? [a] : kept;
}

/**
 * @param {[number, number]} place
 * @param {[number, number]} a
 * @param {[number, number]} b
 */
function distanceToLine([x, y], [ax, ay], [bx, by]) {
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy;
  const t = length ? clamp(((x - ax) * dx + (y - ay) * dy) / length, 0, 1) : 0;
  return Math.hypot(x - ax - t * dx, y - ay - t * dy);
}

/**
 * Return the vertex half-way along a path, where the stroke's handle is.
 * @param {[number, number][]} path
 * @returns {Position}
 */
export function middleOf(path) {
  const lengths = [0];
  for (let i = 1; i < path.length; i += 1) {
    lengths.push(lengths[i - 1] + Math.hypot(path[i][0] - path[i - 1][0], path[i][1] - path[i - 1][1]));
  }
  const half = lengths[lengths.length - 1] / 2;
  const [x, y] = path[lengths.findIndex((length) => length >= half)];
  return { x, y };
}

/**
 * Return a stroke moved, but not out of the frame.
 * @param {Stroke} stroke
 * @param {number} dx
 * @param {number} dy
 * @param {{width: number, height: number}} frame
 * @returns {Stroke}
 */
export function moveStroke(stroke, dx, dy, { width, height }) {
  const [xs, ys] = [stroke.path.map(([x]) => x), stroke.path.map(([, y]) => y)];
  const sx = clamp(dx, Math.min(0, -Math.max(...xs)), Math.max(0, width - Math.min(...xs)));
  const sy = clamp(dy, Math.min(0, -Math.max(...ys)), Math.max(0, height - Math.min(...ys)));
  return { ...stroke, path: stroke.path.map(([x, y]) => [tenth(x + sx), tenth(y + sy)]) };
}
