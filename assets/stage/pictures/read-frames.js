// The frames that the model has embedded: its first prediction on a frame may be slow. Pictures of frames without
// marks do not count, as they need no model.

/** @import { View } from "../types" */

import { isAnswered, isMarked, video } from "../selectors.js";
import { state } from "../state.js";

const read = new Set();

/** @param {number} index */
const keyOf = (index) => JSON.stringify([video().media, video().model, index]);

/**
 * Note a picture that was shown.
 * @param {{index: number, view: View}} picture
 */
export function noteReadFrame({ index, view }) {
  if (isMarked(index) && view !== "original" && isAnswered()) read.add(keyOf(index));
}

/** Return whether the pending picture is the slow first prediction on the current frame. */
export const isFirstReading = () =>
  Boolean(video().reads) && state.view !== "original" && !read.has(keyOf(state.index));
