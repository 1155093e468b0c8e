// Navigation: the frame that is shown, by steps, leaps and playing, and its view.

/** @import { Tool, View } from "../types" */

import { part } from "../parts.js";
import { pictures } from "../pictures/pictures.js";
import { clamp } from "../pure/geometry.js";
import { render } from "../render.js";
import { checkedFrames, endOf, indexOf, keptFrames, timeOf, video } from "../selectors.js";
import { state } from "../state.js";

/** Request the picture of the state, then draw. */
export function refresh() {
  if (state.value && state.view !== "result") pictures.want(state.index, state.view);
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
    Object.assign(state, { index: target, selected: null, draft: null, error: "" });
  }
  refresh();
}

/**
 * Move by seconds, to the nearest frame, at least by one frame.
 * @param {number} seconds
 */
export function leap(seconds) {
  const target = indexOf(timeOf(state.index) + seconds);
  go(target === state.index ? state.index + Math.sign(seconds) : target);
}

/** Play the kept range from the current frame, or stop; the result has its own player. */
export function play() {
  if (state.view === "result") {
    if (part.video.hidden) return;
    if (part.video.paused) part.video.play();
    else part.video.pause();
    return;
  }
  if (state.playing || state.times.length < 2) {
    state.playing = null;
    render();
    return;
  }
  const { first, last } = keptFrames();
  if (state.index >= last || state.index < first) go(first);
  state.playing = { time: timeOf(state.index), since: performance.now() };
  requestAnimationFrame(playOn);
  render();
}

/** Show the frame of the present time; frames that are not loaded in time are skipped. */
function playOn() {
  const { playing } = state;
  if (!playing || !element.isConnected) return;
  const due = playing.time + (performance.now() - playing.since) / 1000;
  const { last } = keptFrames();
  if (due >= endOf(last)) {
    go(last);
    return;
  }
  if (!state.loading) {
    const index = Math.min(indexOf(due), last);
    if (index !== state.index) go(index);
    state.playing = playing;
  }
  requestAnimationFrame(playOn);
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
  else state.playing = null;
  state.view = view;
  refresh();
}

/** @param {Tool} tool */
export function setTool(tool) {
  if (tool === "box" ? !video().can_box : !video().can_point) return;
  state.tool = tool;
  render();
}
