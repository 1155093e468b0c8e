// Values derived from the state.

/** @import { FrameRange, Prompt, Value, VideoObject } from "./types" */

import { t } from "./locale.js";
import { colourOf } from "./pure/colours.js";
import { spansHold } from "./pure/cut.js";
import { frameEnd, framesAt, framesOfRange, nearestFrame } from "./pure/frames.js";
import { acceptedBy, marksAt } from "./pure/prompts.js";
import { state } from "./state.js";

/** Return the value of the video on the stage; to be called only while there is one. */
export const video = () => /** @type {Value} */ (state.value);

/** Return how many frames the video has. */
export const frameCount = () => state.times.length || (state.value ? state.value.frames : 0);

/**
 * Return when a frame is shown, in seconds.
 * @param {number} index
 */
export const timeOf = (index) => state.times[index] || 0;

/**
 * Return the frame nearest to a time in seconds.
 * @param {number} time
 */
export const indexOf = (time) => nearestFrame(time, state.times);

/**
 * Return when a frame ends, in seconds.
 * @param {number} index
 */
export const endOf = (index) => frameEnd(index, state.times, video().duration);

/**
 * Return the first and the last kept frame, according to the handle while one is dragged.
 * @returns {FrameRange}
 */
export const keptFrames = () => state.trimming ?? framesOfRange(state.range, state.times, frameCount());

/** Return the seconds to review, where confidence was low. */
export const checkedTimes = () => [...(state.value?.checks || []), ...(currentCut()?.checks ?? [])];

/** Return the frames to review. */
export function checkedFrames() {
  if (!state.value || !state.times.length) return [];
  return framesAt(checkedTimes(), state.times);
}

/** Return the report about the cut, if it is about the pictures that are shown now. */
export const currentCut = () => (state.cut && state.cut.rev === state.value?.rev ? state.cut : null);

/**
 * Tell whether a frame's cut is stored.
 * @param {number} index
 */
export const isCut = (index) => spansHold(currentCut()?.ready ?? [], index);

/** Tell whether the whole range is cut. */
export const isAllCut = () => currentCut()?.state === "done";

/**
 * Tell whether a frame is in the part that is kept.
 * @param {number} index
 */
export function isKept(index) {
  const { first, last } = keptFrames();
  return first <= index && index <= last;
}

/** Tell whether the model needs a mark and there is none yet. */
export const isUnmarked = () =>
  Boolean(state.value) &&
  !video().automatic &&
  !acceptedMarks(state.prompts).some((p) => objectOf(p.object).on);

/**
 * Return the marks that the chosen model supports.
 * @param {Prompt[]} prompts
 */
export const acceptedMarks = (prompts) => acceptedBy(prompts, video());

/**
 * Return the marks of an object on the current frame, as one prompt; it may be empty.
 * @param {Prompt[]} prompts
 * @param {number} [object]
 */
export const marksHere = (prompts, object = state.active) =>
  marksAt(prompts, state.index, object, state.times);

/**
 * Return whether an enabled object has marks on a frame.
 * @param {number} index
 */
export const isMarked = (index) =>
  state.prompts.some((p) => objectOf(p.object).on && indexOf(p.time) === index);

/**
 * Return the object with an existing number.
 * @param {number} number
 */
export const objectOf = (number) =>
  /** @type {VideoObject} */ (state.objects.find((object) => object.number === number));

/**
 * Return an object's name, or its default name.
 * @param {VideoObject} object
 */
export const nameOf = ({ number, name }) => name || t("object", { number });

/**
 * Return an object's colour; "" where there is no palette.
 * @param {number} number
 */
export const colourOfObject = (number) => colourOf(state.value?.palette || [], number);

/** Return whether the server has answered every edit. */
export const isAnswered = () => state.answered >= state.seq;
