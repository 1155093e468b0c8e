// The value that the server sends: shows, replaces, updates or removes the video.

/** @import { Value } from "../types" */

import { editedOf, publish, same } from "../actions/edits.js";
import { refresh, setView } from "../actions/navigation.js";
import { restoreHistory } from "../actions/stored-history.js";
import { t } from "../locale.js";
import { part } from "../parts.js";
import { pictures } from "../pictures/pictures.js";
import { forgetPlaying } from "../playback/player.js";
import { isStale, precedesNewestEdit } from "../pure/answers.js";
import { parseRange } from "../pure/frames.js";
import { activeAmong, normaliseObjects } from "../pure/objects.js";
import { normalise } from "../pure/prompts.js";
import { Refusal, refusalOf } from "../pure/refusal.js";
import { render } from "../render.js";
import { indexOf, keptFrames, timeOf, video } from "../selectors.js";
import { resetState, state } from "../state.js";

/** Apply the component's value after the server has changed it, unless it is stale. */
export function onValue() {
  if (!isStale(props.value, state)) adopt(props.value);
  else if (state.value) publish();
  else props.value = null;
}

/**
 * Apply a value.
 * @param {?Value} incoming
 */
export function adopt(incoming) {
  if (!incoming?.media) {
    close();
    return;
  }
  const before = state.value;
  if (!before || incoming.media !== before.media) {
    open(incoming);
    return;
  }
  if (precedesNewestEdit(incoming, state)) keepEdits(incoming, before);
  else takeEdits(incoming);
  state.error = "";
  if (!incoming.maps && state.view === "classes") setView("mask");
  if (!incoming.maps && state.back === "classes") state.back = "mask";
  followResult(before);
  refresh();
}

/**
 * Apply a value older than the newest edit here, except for its marks and pictures.
 * @param {Value} incoming
 * @param {Value} before
 */
function keepEdits(incoming, before) {
  if (incoming.seq !== null) state.base = state.sent.get(incoming.seq) || state.base;
  state.value = { ...incoming, rev: before.rev };
  publish();
}

/**
 * Apply a value that includes every edit here.
 * @param {Value} incoming
 */
function takeEdits(incoming) {
  state.value = incoming;
  state.seq = Math.max(state.seq, incoming.seq || 0);
  state.answered = state.seq;
  state.base = editedOf(incoming);
  state.sent.clear();
  const prompts = normalise(incoming.prompts);
  const objects = normaliseObjects(incoming.objects, prompts);
  const range = parseRange(incoming);
  if (same([prompts, objects, range], [state.prompts, state.objects, state.range])) return;
  // A change by the server, such as another subject: undo steps of other marks are void.
  const active = activeAmong(objects, state.active);
  Object.assign(state, { prompts, objects, range, active, renaming: null, undo: [], redo: [] });
  Object.assign(state, { selected: null, newest: null, draft: null });
}

/**
 * Show a new result, and leave the result view when it is removed. What no longer looks like that result, such as one
 * with another background, is shown in its place as it will look.
 * @param {?Value} before
 */
function followResult(before) {
  const now = video().result;
  const old = before?.result;
  if (!now) {
    if (state.view === "result") setView(state.back);
  } else if (!old || old.url !== now.url) {
    if (!now.outdated) setView("result");
    else if (!before) setView("after");
    if (before) reveal();
  } else if (state.view === "result" && now.outdated && looksDifferent(before, video())) {
    showAfter();
  } else if (state.view === "after" && !now.outdated) {
    setView("result");
  }
}

/** Scroll to the picture where it is not in view, as on a phone. */
function reveal() {
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  part.picture.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
}

/**
 * Return whether a run makes other pictures of a value than of the one before it.
 * @param {Value} before
 * @param {Value} now
 */
const looksDifferent = (before, now) => before.rev !== now.rev || !same([before.crop], [now.crop]);

/** Show the frame of the result's player as the next run will render it. */
function showAfter() {
  const { first, last } = keptFrames();
  const playing = !part.video.hidden && state.times.length;
  if (playing) state.index = Math.min(indexOf(timeOf(first) + part.video.currentTime), last);
  setView("after");
}

function close() {
  forgetPlaying();
  pictures.forget();
  resetState();
  render();
}

/** @param {Value} value */
function open(value) {
  close();
  state.value = value;
  state.prompts = normalise(value.prompts);
  state.objects = normaliseObjects(value.objects, state.prompts);
  state.range = parseRange(value);
  state.base = editedOf(value);
  state.sent.clear();
  state.active = state.objects[0].number;
  restoreHistory();
  state.before = value.seq == null ? state.seq : -1;
  state.seq = Math.max(state.seq, value.seq || 0);
  state.answered = state.seq;
  state.tool = value.can_point || !value.can_box ? "keep" : "box";
  part.strip.src = `${value.media}/strip`;
  part.said.value = "";
  loadTimes(value.media);
  followResult(null);
  refresh();
}

/**
 * Fetch when each frame is shown.
 * @param {string} media
 */
async function loadTimes(media) {
  try {
    const response = await fetch(`${media}/times`);
    if (!response.ok) throw await refusalOf(response);
    const times = await response.json();
    if (state.value?.media !== media) return;
    state.times = times;
  } catch (error) {
    if (state.value?.media !== media) return;
    state.error = (error instanceof Refusal && error.message) || t("failed", { frame: 1 });
  }
  refresh();
}
