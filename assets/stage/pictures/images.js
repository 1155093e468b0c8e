// Decoded images, and the addresses of frames.

/** @import { View } from "../types" */

import { node } from "../dom.js";
import { video } from "../selectors.js";
import { state } from "../state.js";

/**
 * Return the address of a frame's picture. It changes with whatever changes the picture.
 * @param {number} index
 * @param {View} view
 */
export function address(index, view) {
  const rev = view === "original" ? "0" : revision(); // the plain frame never changes
  const drawn = view === "mask" && state.tint ? `mask-${state.tint}` : view;
  const asked = view === "split" || view === "after" ? "over" : drawn;
  return `${video().media}/frames/${index}?view=${asked}&rev=${encodeURIComponent(rev)}`;
}

/** Return the revision of the pictures that are requested now. */
export const revision = () => video().rev || "";

/**
 * Return a decoded image.
 * @param {string} source
 * @param {string} className
 */
export async function decodedImage(source, className) {
  const image = node("img", className, { alt: "", draggable: "false" });
  image.src = source;
  await image.decode();
  return image;
}
