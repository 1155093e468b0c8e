// Frames and their times. `times` are the seconds of a video's frames, ascending.

/** @import { End, FrameRange, TimeRange } from "../types" */

/**
 * Return the index of the frame nearest to a time, the earlier one of two at the same distance; 0 without frames.
 * @param {number} time
 * @param {number[]} times
 */
export function nearestFrame(time, times) {
  let low = 0;
  let high = times.length - 1;
  if (high < 1) return 0;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (times[middle] <= time) low = middle;
    else high = middle;
  }
  return time - times[low] <= times[high] - time ? low : high;
}

/**
 * Return the start of the frame after `index`; for the last one, the end of the video.
 * @param {number} index
 * @param {number[]} times
 * @param {number} duration
 */
export function frameEnd(index, times, duration) {
  if (index + 1 < times.length) return times[index + 1];
  return Math.max(duration || 0, times[index] || 0);
}

/**
 * Parse a range from the server.
 * @param {{start?: number, end?: ?number}} written
 * @returns {TimeRange}
 */
export const parseRange = ({ start, end }) => ({ start: start || 0, end: end ?? null });

/**
 * Return the frames of a range of times.
 * @param {TimeRange} range
 * @param {number[]} times
 * @param {number} count how many frames there are, where `times` is still empty as well
 * @returns {FrameRange}
 */
export function framesOfRange({ start, end }, times, count) {
  const first = nearestFrame(start, times);
  return { first, last: end === null ? count - 1 : Math.max(first, nearestFrame(end, times) - 1) };
}

/**
 * Return the range of times of some frames.
 * @param {FrameRange} frames
 * @param {number[]} times
 * @returns {TimeRange}
 */
export function rangeOfFrames({ first, last }, times) {
  return { start: first ? times[first] || 0 : 0, end: last + 1 < times.length ? times[last + 1] || 0 : null };
}

/**
 * Move one end of a range to the frame at `index`, but not past the other.
 * @param {FrameRange} range
 * @param {End} end
 * @param {number} index
 * @returns {FrameRange}
 */
export function moveRangeEnd({ first, last }, end, index) {
  return end === "start" ? { first: Math.min(index, last), last } : { first, last: Math.max(index, first) };
}

/**
 * Return the frames nearest to some times, each once, in order.
 * @param {number[]} seconds
 * @param {number[]} times
 */
export function framesAt(seconds, times) {
  return [...new Set(seconds.map((time) => nearestFrame(time, times)))].sort((a, b) => a - b);
}
