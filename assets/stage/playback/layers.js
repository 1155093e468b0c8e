// The images that a frame is played with: no wider than they are seen, for there are many of them.

/** @import { View } from "../types" */
/** @typedef {import("./ahead.js").Layer} Layer */

import { part } from "../parts.js";
import { address } from "../pictures/images.js";
import { state } from "../state.js";

const WIDTH_STEP = 160; // so that a page that is made a little wider asks for what the browser has
const MOST_WIDTH = 960;
const MOST_WIDTH_ZOOMED = 1600;
const MOST_DENSITY = 2; // device pixels to one of CSS

/**
 * Return the address of a frame's picture for playing.
 * @param {number} index
 * @param {View} view
 */
export function playedAddress(index, view) {
  const seen = part.picture.clientWidth * Math.min(window.devicePixelRatio || 1, MOST_DENSITY) * state.zoom;
  const most = state.zoom > 1 ? MOST_WIDTH_ZOOMED : MOST_WIDTH;
  const width = Math.min(most, Math.max(1, Math.ceil(seen / WIDTH_STEP)) * WIDTH_STEP);
  return `${address(index, view)}&w=${width}`;
}

/**
 * Return the images of a frame in a view, the lowest first.
 * @param {number} index
 * @param {View} view
 * @returns {Layer[]}
 */
export function playedLayers(index, view) {
  const layers = [{ url: playedAddress(index, view), className: "layer" }];
  if (view === "split") layers.push({ url: playedAddress(index, "original"), className: "layer before" });
  return layers;
}
