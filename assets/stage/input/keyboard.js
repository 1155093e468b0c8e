// Keyboard shortcuts of the stage; none acts while a text field has the focus.

import { addStroke, currentWidth, isBrush } from "../actions/brush.js";
import { addPoint } from "../actions/marks.js";
import { leapHandle } from "../actions/trimming.js";
import { pixelOf } from "../actions/viewport.js";
import { targetOf } from "../dom.js";
import { part } from "../parts.js";
import { render } from "../render.js";
import { state } from "../state.js";
import { shortcutOf } from "./shortcuts.js";

const TYPING = 'input:not([type="range"]), textarea, select, [contenteditable=""], [contenteditable="true"]';

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
  if (event.defaultPrevented || part.keys.open || !isForStage(target)) return;
  const isIdle = target === part.picture || target === document.body || target.matches('input[type="range"]');
  if (event.key === " " && isIdle) {
    if (!event.repeat) state.spacePanned = false;
    state.spaceHeld = true;
    event.preventDefault();
    render();
    return;
  }
  if (event.key === "Enter" && part.picture.classList.contains("aim") && target === part.picture) {
    event.preventDefault();
    markMiddle();
    return;
  }
  const key = event.key.toLowerCase();
  const hasCommand = event.ctrlKey || event.metaKey;
  const shortcut = shortcutOf(event);
  if (!shortcut || key === " " || (hasCommand && key !== "z")) return;
  if (event.altKey && !state.selected) return; // the browser goes back and forward with them
  if (key === "enter" && !isIdle) return; // it presses what has the focus
  if ((key === "home" || key === "end") && target.matches(".handle, .volume, .divider")) return; // the browser moves it
  const isArrow = key.startsWith("arrow") && !event.altKey;
  if (isArrow && target.closest("video")) return; // the player seeks with them
  if (isArrow && target.matches(".divider")) return; // the browser moves it
  const isHandle = isArrow && target.matches(".handle");
  if (isHandle && !event.shiftKey) return; // the browser moves it
  event.preventDefault();
  if (isHandle) leapHandle(/** @type {HTMLInputElement} */ (target), key === "arrowright" ? 1 : -1);
  else shortcut.act(event);
}

/** @param {KeyboardEvent} event */
export function onKeyUp(event) {
  if (event.key !== " " || !state.spaceHeld) return;
  state.spaceHeld = false;
  if (!state.spacePanned) shortcutOf(event)?.act(event); // unless it was held to pan the picture
  render();
}

/** Make a mark in the middle of the visible part, for use by keyboard: Alt and the arrows move it. */
function markMiddle() {
  const rect = part.picture.getBoundingClientRect();
  const { x, y } = pixelOf({ clientX: rect.left + rect.width / 2, clientY: rect.top + rect.height / 2 });
  if (isBrush()) addStroke({ path: [[x, y]], width: currentWidth(), keep: state.tool === "brush" });
  else addPoint(x, y, state.tool !== "remove");
  /** @type {NodeListOf<HTMLElement>} */
  const dots = part.points.querySelectorAll(`[data-object="${state.active}"] button.dot`);
  if (dots.length) dots[dots.length - 1].focus();
}
