// Playing the result, and the frames that it was made from beside it. The player's clock is the stage's.

import { canCompare, isResultPlayer, resultIndex } from "../actions/result-player.js";
import { part } from "../parts.js";
import { address, decodedImage } from "../pictures/images.js";
import { stepOf } from "../pure/playback.js";
import { render } from "../render.js";
import { endOf, keptFrames, timeOf } from "../selectors.js";
import { state } from "../state.js";
import { Ahead } from "./ahead.js";
import { playedAddress } from "./layers.js";

const BACK_S = 1; // a player does not play backwards: it goes back by so much

/** @type {?Ahead} */
let ahead = null;
let turns = 0;
let loop = 0; // counts the starts: a loop over animation frames ends with the next
let wanted = ""; // the address of the frame beside the paused result

/**
 * Play the result at a speed; 0: pause it. Backwards it is paused and goes back by a second.
 * @param {number} speed
 */
export function playResult(speed) {
  const { video } = part;
  if (!isResultPlayer()) return;
  if (speed > 0) {
    video.playbackRate = speed;
    state.playing = { speed };
    video.play().catch(onResultPauses);
  } else {
    state.playing = null;
    video.pause();
    if (speed < 0) {
      video.currentTime = Math.max(0, video.currentTime - BACK_S);
      state.index = resultIndex();
    }
  }
  render();
}

/** Follow the player once it plays: whoever started it. */
export function onResultPlays() {
  if (part.video.paused) return; // stopped since
  state.playing = { speed: part.video.playbackRate };
  stopAhead();
  loop += 1;
  const mine = loop;
  requestAnimationFrame(() => onFrame(mine));
  render();
}

export function onResultPauses() {
  if (!part.video.paused) return; // goes on since
  if (state.view === "result") {
    state.playing = null;
    if (isResultPlayer()) state.index = resultIndex();
  }
  stopAhead();
  render();
}

/** Take over the time at which the player stands, such as after a seek by its own controls. */
export function onResultTime() {
  if (!isResultPlayer() || state.playing || !state.times.length || !part.video.readyState) return;
  const index = resultIndex();
  if (index === state.index) return;
  state.index = index;
  render();
}

/** @param {number} mine the number of the loop */
function onFrame(mine) {
  if (mine !== loop) return;
  if (!state.playing || !isResultPlayer() || !element.isConnected) {
    part.video.pause();
    stopAhead();
    return;
  }
  const index = resultIndex();
  if (isComparing()) followWithOriginal(index);
  if (index !== state.index) {
    state.index = index;
    render();
  }
  requestAnimationFrame(() => onFrame(mine));
}

/** Tell whether the frames that the result was made from are shown beside it. */
export const isComparing = () => state.comparing && isResultPlayer() && canCompare();

/** @param {number} index */
function followWithOriginal(index) {
  const frames = keptFrames();
  const { first, last } = frames;
  const count = last - first + 1;
  if (index < state.index) {
    if (state.loop && index - first < count / 2) turns += 1;
    else stopAhead();
  }
  if (!ahead) {
    turns = 0;
    const frameMs = (1000 * (endOf(last) - timeOf(first))) / count || 1;
    ahead = new Ahead({
      frames,
      speed: part.video.playbackRate,
      frameMs,
      from: stepOf(index, frames, 1),
      loops: () => state.loop,
      layersOf: (at) => [{ url: playedAddress(at, "original"), className: "layer before" }],
    });
  }
  const picture = ahead.take(stepOf(index, frames, 1) + turns * count);
  if (!picture) return;
  wanted = "";
  part.before.replaceChildren(...picture.layers);
}

function stopAhead() {
  ahead?.stop();
  ahead = null;
}

/** Fetch the frame beside a result that is paused. */
export async function fetchBefore() {
  if (!isComparing()) {
    wanted = "";
    if (part.before.firstChild) part.before.replaceChildren();
    return;
  }
  if (state.playing) return;
  const url = address(state.index, "original");
  if (url === wanted) return;
  wanted = url;
  try {
    const image = await decodedImage(url, "layer before");
    if (wanted === url) part.before.replaceChildren(image);
  } catch {
    // What is shown stays, until another frame is come to.
  }
}

/** Show the frames beside the result, or no longer. */
export function toggleComparing() {
  state.comparing = !state.comparing;
  render();
}
