// Which frames are fetched and shown while a part of a video plays. A part of `count` frames is counted in steps: step 0
// is the frame that playing would begin with, a step more is a frame on in the direction of playing, and where it loops
// the steps go on to count.

/** @import { FrameRange } from "../types" */

/** The speeds of playing, from the first press of a key to the last. */
export const SPEEDS = [1, 2];

/**
 * Return the speed after a press of the key for a direction.
 * @param {number} speed the present one, 0 while nothing plays
 * @param {1 | -1} direction
 */
export function nextSpeed(speed, direction) {
  const place = Math.sign(speed) === direction ? SPEEDS.indexOf(Math.abs(speed)) : -1;
  return direction * SPEEDS[Math.min(place + 1, SPEEDS.length - 1)];
}

/**
 * Return the frame that is shown at a time: the last one that has begun.
 * @param {number} time
 * @param {number[]} times the seconds of the frames, ascending
 */
export function frameShownAt(time, times) {
  let low = 0;
  let high = times.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (times[middle] <= time) low = middle;
    else high = middle - 1;
  }
  return low;
}

/**
 * Return where a time lies in a part that plays: inside it, and how often it has been played through.
 * @param {number} time seconds, beyond the part's end after each turn
 * @param {{begin: number, end: number}} part seconds
 * @returns {{time: number, turns: number}}
 */
export function wrapTime(time, { begin, end }) {
  const length = end - begin;
  if (length <= 0) return { time: begin, turns: 0 };
  const turns = Math.floor((time - begin) / length);
  return { time: time - turns * length, turns };
}

/**
 * Return the step of a frame.
 * @param {number} index
 * @param {FrameRange} frames
 * @param {number} direction
 */
export const stepOf = (index, { first, last }, direction) => (direction < 0 ? last - index : index - first);

/**
 * Return the frame of a step.
 * @param {number} step
 * @param {FrameRange} frames
 * @param {number} direction
 */
export function frameOf(step, { first, last }, direction) {
  const place = step % (last - first + 1);
  return direction < 0 ? last - place : first + place;
}

/**
 * Return the next step whose picture is worth asking for; null where there is none for now. In each turn the same frames
 * are asked for, so that the browser has them the next time.
 * @param {object} how
 * @param {number} how.asked the last step that was asked for, -1 before the first
 * @param {number} how.due the step that is shown now
 * @param {number} how.lead how many steps pass until a picture is here
 * @param {number} how.stride of how many frames one is asked for
 * @param {number} how.count how many frames there are
 * @param {boolean} how.loop
 * @param {number} how.horizon how many steps ahead pictures are fetched
 * @returns {?number}
 */
export function nextStep({ asked, due, lead, stride, count, loop, horizon }) {
  const soonest = Math.max(asked + 1, due + Math.max(1, lead));
  const place = soonest % count;
  const rest = Math.ceil(place / stride) * stride - place;
  let step = soonest + Math.min(rest, count - place); // the next turn begins with its first frame
  if (!loop && step >= count) {
    step = count - 1; // the last frame is shown whatever the stride
    if (step < soonest) return null;
  }
  return step - due > horizon ? null : step;
}

const EASE = 0.2; // the share of the newest time in the mean
const SLACK = 0.85; // how far below the next stride's limit the time has to be before that one is tried

/** How long pictures take to come, and so which of them can be had in time. */
export class Pace {
  #latency = 0;
  #each = 0;
  #stride = 1;

  /**
   * Note a picture that has come.
   * @param {number} ms since it was asked for
   * @param {number} parallel how many were under way with it, itself included
   */
  note(ms, parallel) {
    const each = ms / parallel;
    this.#latency = this.#latency ? this.#latency + EASE * (ms - this.#latency) : ms;
    this.#each = this.#each ? this.#each + EASE * (each - this.#each) : each;
  }

  /**
   * Return how many frames pass until a picture that is asked for now is here.
   * @param {number} frameMs how long a frame is shown
   */
  lead(frameMs) {
    return Math.ceil(this.#latency / frameMs);
  }

  /**
   * Return of how many frames one can be had.
   * @param {number} frameMs how long a frame is shown
   */
  stride(frameMs) {
    const needed = Math.max(1, Math.ceil(this.#each / frameMs));
    if (needed > this.#stride) this.#stride = needed;
    else if (this.#each < (this.#stride - 1) * frameMs * SLACK) this.#stride -= 1;
    return this.#stride;
  }
}
