// Boxes, points and magnification.

/** @import { Box, ClientPosition, Corner, Position, Viewport } from "../types" */

export const MAX_ZOOM = 12;

/** Factor of a press of a zoom key or button. */
export const ZOOM_STEP = 1.25;

/**
 * Return the magnification at a place of the zoom slider, 0 to 100: each step multiplies it by the same factor.
 * @param {number} place
 */
export const zoomOfSlider = (place) => MAX_ZOOM ** (place / 100);

/**
 * Return the place of the zoom slider, 0 to 100, at a magnification.
 * @param {number} zoom
 */
export const sliderOfZoom = (zoom) => Math.round((100 * Math.log(zoom)) / Math.log(MAX_ZOOM));

/** The least width and height of a box that is resized, in pixels. */
const SMALLEST_BOX = 2;

/**
 * @param {number} n
 * @param {number} low
 * @param {number} high
 */
export const clamp = (n, low, high) => Math.min(Math.max(n, low), high);

/**
 * Round to a tenth of a pixel.
 * @param {number} n
 */
export const tenth = (n) => Math.round(n * 10) / 10;

/**
 * Return the nearest position inside a frame.
 * @param {Position} position
 * @param {{width: number, height: number}} frame
 * @returns {Position}
 */
export function inside({ x, y }, { width, height }) {
  return { x: tenth(clamp(x, 0, width)), y: tenth(clamp(y, 0, height)) };
}

/**
 * Return the box between two opposite corners.
 * @param {Position} a
 * @param {Position} b
 * @returns {Box}
 */
export function boxBetween(a, b) {
  return [Math.min(a.x, b.x), Math.min(a.y, b.y), Math.max(a.x, b.x), Math.max(a.y, b.y)];
}

/**
 * Return whether a box is too small to be intended.
 * @param {Box} box
 */
export const isTiny = ([x0, y0, x1, y1]) => !(x1 - x0 >= SMALLEST_BOX && y1 - y0 >= SMALLEST_BOX);

/**
 * Move a box without pushing it out of the frame.
 * @param {Box} box
 * @param {number} dx
 * @param {number} dy
 * @param {{width: number, height: number}} frame
 * @returns {Box}
 */
export function moveBox([x0, y0, x1, y1], dx, dy, { width, height }) {
  const sx = clamp(dx, -x0, width - x1);
  const sy = clamp(dy, -y0, height - y1);
  return [tenth(x0 + sx), tenth(y0 + sy), tenth(x1 + sx), tenth(y1 + sy)];
}

/**
 * Move one corner of a box, never past the opposite one.
 * @param {Box} box
 * @param {Corner} corner
 * @param {Position} to
 * @returns {Box}
 */
export function resizeBox([x0, y0, x1, y1], corner, { x, y }) {
  return [
    corner.includes("w") ? Math.min(x, x1 - SMALLEST_BOX) : x0,
    corner.includes("n") ? Math.min(y, y1 - SMALLEST_BOX) : y0,
    corner.includes("e") ? Math.max(x, x0 + SMALLEST_BOX) : x1,
    corner.includes("s") ? Math.max(y, y0 + SMALLEST_BOX) : y1,
  ];
}

/**
 * Return the distance between two positions in CSS pixels, at least 1.
 * @param {ClientPosition} a
 * @param {ClientPosition} b
 */
export const distance = (a, b) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY) || 1;

/**
 * Return the position halfway between two others.
 * @param {ClientPosition} a
 * @param {ClientPosition} b
 */
export const midpoint = (a, b) => ({
  clientX: (a.clientX + b.clientX) / 2,
  clientY: (a.clientY + b.clientY) / 2,
});

/**
 * Limit a viewport to the picture.
 * @param {Viewport} viewport
 * @returns {Viewport}
 */
export function heldViewport({ zoom, x, y }) {
  return { zoom, x: clamp(x, 1 - zoom, 0), y: clamp(y, 1 - zoom, 0) };
}

/**
 * Magnify a viewport to `zoom`, within limits, and move position `from` to `to` (parts of the frame's box).
 * @param {Viewport} viewport
 * @param {number} zoom
 * @param {{u: number, v: number}} from
 * @param {{u: number, v: number}} to
 * @returns {Viewport}
 */
export function zoomedViewport(viewport, zoom, from, to = from) {
  const held = clamp(zoom, 1, MAX_ZOOM);
  const ratio = held / viewport.zoom;
  return heldViewport({
    zoom: held,
    x: to.u - (from.u - viewport.x) * ratio,
    y: to.v - (from.v - viewport.y) * ratio,
  });
}

/**
 * Convert a position in the frame's box (0 to 1 from its top left) to pixels of the frame, or beside it.
 * @param {{u: number, v: number}} place
 * @param {Viewport} viewport
 * @param {{width: number, height: number}} frame
 * @returns {Position}
 */
export function toFrame({ u, v }, { zoom, x, y }, frame) {
  return { x: ((u - x) / zoom) * frame.width, y: ((v - y) / zoom) * frame.height };
}

/**
 * Do as `toFrame`, limited to the frame.
 * @param {{u: number, v: number}} place
 * @param {Viewport} viewport
 * @param {{width: number, height: number}} frame
 */
export const toPixels = (place, viewport, frame) => inside(toFrame(place, viewport, frame), frame);

/**
 * Convert pixels of the frame to percent of the frame's box.
 * @param {Position} position
 * @param {Viewport} viewport
 * @param {{width: number, height: number}} frame
 */
export function toPercent({ x, y }, viewport, { width, height }) {
  return {
    left: ((x / width) * viewport.zoom + viewport.x) * 100,
    top: ((y / height) * viewport.zoom + viewport.y) * 100,
  };
}
