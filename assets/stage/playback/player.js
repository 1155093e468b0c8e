// Playing what is kept, on the stage: one clock, which is the sound's where there is one. Frames whose pictures are not
// there in time are passed over.

/** @import { FrameRange } from "../types" */
/** @typedef {object} Run what plays
 * @property {{speed: number}} playing the state's, for as long as this is what plays
 * @property {MediaClock} clock
 * @property {FrameRange} frames
 * @property {number} turns how often it has been played through
 * @property {Ahead} ahead
 * @property {?number} seen the frame whose picture is shown */

import { go } from "../actions/navigation.js";
import { isResultPlayer } from "../actions/result-player.js";
import { part } from "../parts.js";
import { pictures } from "../pictures/pictures.js";
import { clamp } from "../pure/geometry.js";
import { MediaClock } from "../pure/media-clock.js";
import { frameShownAt, nextSpeed, stepOf, wrapTime } from "../pure/playback.js";
import { render } from "../render.js";
import { endOf, keptFrames, timeOf } from "../selectors.js";
import { state } from "../state.js";
import { Ahead } from "./ahead.js";
import { playedLayers } from "./layers.js";
import { playResult } from "./result.js";
import { sound } from "./sound.js";

/** @type {?Run} */
let run = null;

/** Play from the shown frame on, or pause. */
export function play() {
  if (state.view === "result") playResult(part.video.paused ? 1 : 0);
  else if (state.playing) pause();
  else start(1);
}

/**
 * Play on or back, faster with each call.
 * @param {1 | -1} direction
 */
export function shuttle(direction) {
  const speed = nextSpeed(state.playing?.speed ?? 0, direction);
  if (speed === state.playing?.speed) return; // a key that is held down
  if (state.view !== "result") start(speed);
  else if (isResultPlayer()) playResult(speed);
}

/** Stop at the frame that is seen. */
export function pause() {
  if (state.view === "result") {
    playResult(0);
    return;
  }
  const seen = run && state.playing === run.playing ? run.seen : null;
  finish();
  go(seen ?? state.index);
}

/** @param {number} speed */
function start(speed) {
  if (!state.value || state.times.length < 2) return;
  const goesOn = run && state.playing === run.playing;
  let time = goesOn && run ? run.clock.at(performance.now()) : null;
  finish();
  const frames = keptFrames();
  const { first, last } = frames;
  if (time === null) {
    const from = startFrame(speed, frames);
    if (from !== state.index) Object.assign(state, { index: from, selected: null, draft: null });
    time = speed > 0 ? timeOf(from) : endOf(from);
  }
  time = clamp(time, timeOf(first), endOf(last));
  state.error = "";
  state.loading = false;
  state.playing = { speed };
  const frameMs = (1000 * (endOf(last) - timeOf(first))) / (last - first + 1) || 1;
  const from = stepOf(clamp(state.index, first, last), frames, speed);
  const loops = () => state.loop;
  const layersOf = (/** @type {number} */ index) => playedLayers(index, state.view);
  const ahead = new Ahead({ frames, speed, frameMs, from, loops, layersOf });
  const clock = new MediaClock(time, speed, performance.now());
  const mine = { playing: state.playing, clock, frames, turns: 0, ahead, seen: null };
  run = mine;
  sound.start(time, speed, () => tick(mine));
  requestAnimationFrame(() => onFrame(mine));
  render();
}

/**
 * Return the frame to play from: the shown one, or where there is nothing to play from there, the other end.
 * @param {number} speed
 * @param {FrameRange} frames
 */
function startFrame(speed, { first, last }) {
  const { index } = state;
  if (speed > 0) return index >= last || index < first ? first : index;
  return index <= first || index > last ? last : index;
}

/** @param {Run} mine */
function onFrame(mine) {
  tick(mine);
  if (run === mine) requestAnimationFrame(() => onFrame(mine));
}

/**
 * Show the frame that is due, if its picture is here.
 * @param {Run} mine
 */
function tick(mine) {
  if (run !== mine) return;
  if (state.playing !== mine.playing || !element.isConnected) {
    finish();
    return;
  }
  const now = performance.now();
  const { clock, frames, ahead } = mine;
  const { first, last } = frames;
  sound.follow(clock, now);
  const { time, turns } = wrapTime(clock.at(now), { begin: timeOf(first), end: endOf(last) });
  if (turns > 0 ? clock.rate > 0 : turns < 0 && clock.rate < 0) {
    if (!state.loop) {
      finish();
      go(clock.rate > 0 ? last : first);
      return;
    }
    mine.turns += Math.abs(turns);
    clock.set(time, now);
    sound.seek(time);
  }
  const index = clamp(frameShownAt(turns ? time : clock.at(now), state.times), first, last);
  const picture = ahead.take(stepOf(index, frames, clock.rate) + mine.turns * (last - first + 1));
  if (ahead.hasFailed) {
    finish();
    go(index); // which says what is wrong
    return;
  }
  if (picture) {
    mine.seen = picture.index;
    pictures.present(picture.index, state.view, picture.layers, picture.cut);
  }
  if (index === state.index && !picture) return;
  if (index !== state.index) Object.assign(state, { index, selected: null, draft: null });
  render();
}

/** End what plays, where the stage stands. */
function finish() {
  if (!run) return;
  if (state.playing === run.playing) state.playing = null;
  run.ahead.stop();
  run = null;
  sound.stop();
}

/** Forget the video: another one, or the end. */
export function forgetPlaying() {
  finish();
  sound.forget();
}
