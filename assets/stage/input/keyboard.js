// Keyboard shortcuts of the stage; none acts while a text field has the focus.

import { edit } from "../actions/edits.js";
import { redo, undo } from "../actions/history.js";
import { addPoint, deleteMark, withMovedMark } from "../actions/marks.js";
import { goToEnd, goToStart, leap, nextCheck, setTool, setView, step } from "../actions/navigation.js";
import { leapHandle, moveEnd } from "../actions/trimming.js";
import { pixelOf } from "../actions/viewport.js";
import { targetOf } from "../dom.js";
import { numberAt } from "../drawing/objects.js";
import { part } from "../parts.js";
import { pause, play, shuttle } from "../playback/player.js";
import { render } from "../render.js";
import { chooseCandidate } from "../server/candidates.js";
import { state } from "../state.js";
import { startRenaming } from "./object-names.js";

const TYPING = 'input:not([type="range"]), textarea, select, [contenteditable=""], [contenteditable="true"]';

/** @type {Record<string, (event: KeyboardEvent) => void>} */
const KEYS = {
  arrowleft: (event) => (event.shiftKey ? leap(-1) : step(-1)),
  arrowright: (event) => (event.shiftKey ? leap(1) : step(1)),
  home: goToStart,
  end: goToEnd,
  j: () => shuttle(-1),
  l: () => shuttle(1),
  z: (event) => (event.shiftKey ? redo() : undo()),
  q: () => moveEnd("start", state.index),
  i: () => moveEnd("start", state.index),
  w: () => moveEnd("end", state.index),
  1: () => chooseCandidate(0),
  2: () => chooseCandidate(1),
  3: () => chooseCandidate(2),
  n: nextCheck,
  f2: (event) => startRenaming(numberAt(targetOf(event))),
  m: () => setView("mask"),
  c: () => setView("cutout"),
  s: () => setView("split"),
  o: (event) => (event.shiftKey ? moveEnd("end", state.index) : setView("original")),
  r: () => setView("result"),
  k: () => (state.playing ? pause() : setTool("keep")),
  x: () => setTool("remove"),
  b: () => setTool("box"),
  delete: deleteSelected,
  backspace: deleteSelected,
  escape: () => {
    Object.assign(state, { gesture: null, selected: null, rubber: null, draft: null });
    render();
  },
};

/** Pixels by which Alt and an arrow move a mark. @type {Record<string, [number, number]>} */
const NUDGES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function deleteSelected() {
  if (state.selected) deleteMark(state.selected);
}

/**
 * Return whether a key on this element is for the stage.
 * @param {HTMLElement} target
 */
function isForStage(target) {
  if (!state.value || part.stage.offsetParent === null || target.closest(TYPING)) return false;
  return target === document.body || element.contains(target);
}

/** @param {KeyboardEvent} event */
export function onKeyDown(event) {
  const target = targetOf(event);
  if (event.defaultPrevented || !isForStage(target)) return;
  const isIdle = target === part.picture || target === document.body || target.matches('input[type="range"]');
  if (event.key === " " && isIdle) {
    if (!event.repeat) state.spacePanned = false;
    state.spaceHeld = true;
    event.preventDefault();
    render();
    return;
  }
  if (event.altKey && NUDGES[event.key] && state.selected) {
    const step = event.shiftKey ? 10 : 1;
    const [dx, dy] = NUDGES[event.key];
    event.preventDefault();
    edit({ prompts: withMovedMark(state.selected, dx * step, dy * step) }, state.selected);
    return;
  }
  if (event.key === "Enter" && part.picture.classList.contains("aim") && target === part.picture) {
    event.preventDefault();
    markMiddle();
    return;
  }
  const key = event.key.toLowerCase();
  const hasCommand = event.ctrlKey || event.metaKey;
  if (event.altKey || (hasCommand && key !== "z") || !KEYS[key]) return;
  if ((key === "home" || key === "end") && target.matches(".handle, .volume, .divider")) return; // the browser moves it
  const isArrow = key.startsWith("arrow");
  if (isArrow && target.closest("video")) return; // the player seeks with them
  if (isArrow && target.matches(".divider")) return; // the browser moves it
  const isHandle = isArrow && target.matches(".handle");
  if (isHandle && !event.shiftKey) return; // the browser moves it
  event.preventDefault();
  if (isHandle) leapHandle(/** @type {HTMLInputElement} */ (target), key === "arrowright" ? 1 : -1);
  else KEYS[key](event);
}

/** @param {KeyboardEvent} event */
export function onKeyUp(event) {
  if (event.key !== " " || !state.spaceHeld) return;
  state.spaceHeld = false;
  if (!state.spacePanned) play(); // unless it was held to pan the picture
  render();
}

/** Add a point in the middle of the visible part, for use by keyboard: Alt and the arrows move it. */
function markMiddle() {
  const rect = part.picture.getBoundingClientRect();
  const { x, y } = pixelOf({ clientX: rect.left + rect.width / 2, clientY: rect.top + rect.height / 2 });
  addPoint(x, y, state.tool !== "remove");
  /** @type {NodeListOf<HTMLElement>} */
  const dots = part.points.querySelectorAll(`[data-object="${state.active}"] button.dot`);
  if (dots.length) dots[dots.length - 1].focus();
}
