// Navigation: the frame that is shown, by steps and leaps, and its view.

/** @import { Tool, View } from "../types" */

import { part } from "../parts.js";
import { pictures } from "../pictures/pictures.js";
import { clamp } from "../pure/geometry.js";
import { render } from "../render.js";
import { checkedFrames, frameCount, indexOf, keptFrames, timeOf, video } from "../selectors.js";
import { state } from "../state.js";
import { isResultPlayer, seekResult } from "./result-player.js";

/** Request the picture of the state, then draw. While it plays the player requests them. */
export function refresh() {
  if (state.value && state.view !== "result" && !state.playing) pictures.want(state.index, state.view);
  render();
}

/**
 * Show the frame at `index`, limited to the video's frames.
 * @param {number} index
 */
export function go(index) {
  state.playing = null;
  const last = Math.max(0, (state.times.length || 1) - 1);
  const target = clamp(index, 0, last);
  if (state.view === "result") state.view = state.back;
  if (target !== state.index) {
    Object.assign(state, { index: target, selected: null, draft: null, error: "", note: "" });
  }
  refresh();
}

/**
 * Show the frame at `index` where one is: in the result's player while that is shown, else on the stage.
 * @param {number} index
 */
export function goWithin(index) {
  if (!isResultPlayer()) {
    go(index);
    return;
  }
  state.playing = null;
  part.video.pause();
  seekResult(index);
  render();
}

/**
 * Move by frames.
 * @param {number} frames
 */
export const step = (frames) => goWithin(state.index + frames);

/**
 * Move by seconds, to the nearest frame, at least by one frame.
 * @param {number} seconds
 */
export function leap(seconds) {
  const target = indexOf(timeOf(state.index) + seconds);
  goWithin(target === state.index ? state.index + Math.sign(seconds) : target);
}

/** Go to the first frame that is kept, and from there to that of the video. */
export function goToStart() {
  const { first } = keptFrames();
  goWithin(state.index === first ? 0 : first);
}

/** Go to the last frame that is kept, and from there to that of the video. */
export function goToEnd() {
  const { last } = keptFrames();
  goWithin(state.index === last ? frameCount() - 1 : last);
}

/** Go to the next frame to review, after the last one to the first. */
export function nextCheck() {
  const frames = checkedFrames();
  if (frames.length) go(frames.find((index) => index > state.index) ?? frames[0]);
}

/** @param {View} view */
export function setView(view) {
  if (view === "result" && !video().result) return;
  if (view !== state.view) state.error = "";
  if (view !== "result") state.back = view;
  if (view === "result" || state.view === "result") state.playing = null; // each has a player of its own
  const enters = view === "result" && state.view !== "result";
  state.view = view;
  refresh();
  if (enters && isResultPlayer()) seekResult(state.index); // at the time at which the stage stood
}

/**
 * Return whether the model takes what a tool makes; every one takes strokes.
 * @param {Tool} tool
 */
export function canUse(tool) {
  if (tool === "brush" || tool === "erase") return true;
  return tool === "box" ? video().can_box : video().can_point;
}

/** @param {Tool} tool */
export function setTool(tool) {
  if (!canUse(tool)) return;
  state.tool = tool;
  render();
}
