// Trimming: changes the kept range by dragging its ends, by keys, or by typing their times.

/** @import { End, FrameRange } from "../types" */

import { clock, t } from "../locale.js";
import { moveRangeEnd, nearestFrame, rangeOfFrames } from "../pure/frames.js";
import { clamp } from "../pure/geometry.js";
import { parseTime } from "../pure/timecode.js";
import { render } from "../render.js";
import { endOf, frameCount, indexOf, keptFrames, timeOf } from "../selectors.js";
import { state } from "../state.js";
import { edit } from "./edits.js";
import { go } from "./navigation.js";

/** @param {FrameRange} frames */
function trim(frames) {
  if (state.times.length) edit({ range: rangeOfFrames(frames, state.times) });
}

/**
 * Set the first or last kept frame to `index`, and show that frame.
 * @param {End} end
 * @param {number} index
 */
export function moveEnd(end, index) {
  const range = moveRangeEnd(keptFrames(), end, clamp(index, 0, frameCount() - 1));
  trim(range);
  go(end === "start" ? range.first : range.last);
}

/** Keep the whole video. */
export const trimWhole = () => trim({ first: 0, last: state.times.length - 1 });

/**
 * Return which end of the range an input sets.
 * @param {HTMLInputElement} input
 */
export const endOfInput = ({ dataset: { end, typed } }) => /** @type {End} */ (end ?? typed);

/**
 * While a handle is dragged, show the frame that would be the first or the last.
 * @param {Event} event
 */
export function onHandleDrag(event) {
  const handle = /** @type {HTMLInputElement} */ (event.target);
  const end = endOfInput(handle);
  state.trimming = moveRangeEnd(keptFrames(), end, Number(handle.value));
  go(end === "start" ? state.trimming.first : state.trimming.last);
}

export function onHandleDrop() {
  const { trimming } = state;
  state.trimming = null;
  if (trimming) trim(trimming);
  render();
}

/**
 * Move a handle by seconds; by a frame the browser moves it itself.
 * @param {HTMLInputElement} handle
 * @param {number} seconds
 */
export function leapHandle(handle, seconds) {
  const end = endOfInput(handle);
  const { first, last } = keptFrames();
  moveEnd(end, indexOf(timeOf(end === "start" ? first : last) + seconds));
}

/**
 * Return the start or end of the kept range as the text of its field.
 * @param {End} end
 */
export function endText(end) {
  const { first, last } = keptFrames();
  return clock(end === "start" ? timeOf(first) : endOf(last));
}

/** @param {Event} event */
export function onTimeTyped(event) {
  const input = /** @type {HTMLInputElement} */ (event.target);
  const end = endOfInput(input);
  const time = parseTime(input.value);
  if (time !== null && state.times.length) {
    const ends = [...state.times, endOf(frameCount() - 1)];
    moveEnd(end, end === "start" ? indexOf(time) : nearestFrame(time, ends) - 1);
  }
  input.value = endText(end);
  state.error = time === null ? t("no_time") : "";
  render();
}
