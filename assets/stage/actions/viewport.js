// The picture's magnification, and the positions of pointers on it.

/** @import { ClientPosition, Viewport } from "../types" */

import { part } from "../parts.js";
import { heldViewport, toPercent, toPixels, zoomedViewport } from "../pure/geometry.js";
import { render } from "../render.js";
import { video } from "../selectors.js";
import { state } from "../state.js";

/** @param {Viewport} viewport */
function show(viewport) {
  Object.assign(state, viewport);
  render();
}

/**
 * Show the picture by `zoom`, with its top left corner at `x` and `y`, limited to the frame.
 * @param {number} zoom
 * @param {number} x
 * @param {number} y
 */
export const place = (zoom, x, y) => show(heldViewport({ zoom, x, y }));

/** Show the whole picture. */
export const fit = () => place(1, 0, 0);

/**
 * Zoom by a factor about a place given in parts of the frame's box, 0 to 1.
 * @param {number} factor
 * @param {{u: number, v: number}} place
 */
export const zoomAt = (factor, place) => show(zoomedViewport(state, state.zoom * factor, place));

/**
 * Zoom by a factor about the middle of what is seen; the player of the result is not zoomed.
 * @param {number} factor
 */
export const zoomBy = (factor) => {
  if (state.view !== "result") zoomAt(factor, { u: 0.5, v: 0.5 });
};

/**
 * Zoom by a pinch gesture that began at viewport `start`.
 * @param {Viewport} start
 * @param {number} zoom
 * @param {{u: number, v: number}} from where they began, in parts of the frame's box
 * @param {{u: number, v: number}} to where they are now
 */
export const pinchTo = (start, zoom, from, to) => show(zoomedViewport(start, zoom, from, to));

/**
 * Return where a pointer is, in parts of the frame's box: 0 to 1 from the top left.
 * @param {ClientPosition} at
 */
export function partsOf(at) {
  const rect = part.picture.getBoundingClientRect();
  return { u: (at.clientX - rect.left) / rect.width, v: (at.clientY - rect.top) / rect.height };
}

/**
 * Return a pointer's position in pixels of the frame, limited to it.
 * @param {ClientPosition} at
 */
export const pixelOf = (at) => toPixels(partsOf(at), state, video());

/**
 * Turn a position in the frame's pixels into percent of the frame's box.
 * @param {number} x
 * @param {number} y
 */
export const percentOf = (x, y) => toPercent({ x, y }, state, video());
