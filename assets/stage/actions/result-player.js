// The result's player, by the frames of the clip: its second 0 is the first frame that is kept.

import { part } from "../parts.js";
import { isCropped } from "../pure/crop.js";
import { clamp } from "../pure/geometry.js";
import { frameShownAt } from "../pure/playback.js";
import { keptFrames, timeOf } from "../selectors.js";
import { state } from "../state.js";

const WITHIN_S = 0.002; // so far into a frame that rounding leaves none of the one before it
const ROUNDING_S = 0.001;

/** Tell whether the result is shown, and moves. */
export const isResultPlayer = () =>
  state.view === "result" && !part.video.hidden && Boolean(part.video.getAttribute("src"));

/** Tell whether the result can be seen beside the frames that it was made from, which show what it shows. */
export function canCompare() {
  const { videoWidth: width, videoHeight: height } = part.video;
  return state.times.length > 1 && !(state.value && width && isCropped({ width, height }, state.value));
}

/** Return the frame at which the player stands. */
export function resultIndex() {
  const { first, last } = keptFrames();
  const time = timeOf(first) + part.video.currentTime + ROUNDING_S;
  return clamp(frameShownAt(time, state.times), first, last);
}

/**
 * Have the player show a frame, or the nearest one that it has.
 * @param {number} index
 */
export function seekResult(index) {
  if (!state.times.length) return;
  const { first, last } = keptFrames();
  const frame = clamp(index, first, last);
  part.video.currentTime = frame === first ? 0 : timeOf(frame) - timeOf(first) + WITHIN_S;
  state.index = frame;
}
