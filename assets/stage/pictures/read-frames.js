// The frames that the model has read: its first answer about a frame may be slow. A picture of a frame without marks
// is no proof of it: nothing was asked of the model then.

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

/** Tell whether what is waited for is the slow first answer about the frame that is shown. */
export const isFirstReading = () =>
  Boolean(video().reads) && state.view !== "original" && !read.has(keyOf(state.index));
