// The keyboard shortcuts: the keyboard acts by this table, and the dialog of the keys lists it.

import { BRUSH_STEP, isBrush, setBrush } from "../actions/brush.js";
import { edit } from "../actions/edits.js";
import { redo, undo } from "../actions/history.js";
import { deleteMark, withMovedMark } from "../actions/marks.js";
import { goToEnd, goToStart, leap, nextCheck, setTool, setView, step } from "../actions/navigation.js";
import { moveEnd } from "../actions/trimming.js";
import { fit, zoomBy } from "../actions/viewport.js";
import { targetOf } from "../dom.js";
import { numberAt } from "../drawing/objects.js";
import { pause, play, shuttle } from "../playback/player.js";
import { ZOOM_STEP } from "../pure/geometry.js";
import { render } from "../render.js";
import { chooseCandidate } from "../server/candidates.js";
import { state } from "../state.js";
import { openKeys } from "./keys-dialog.js";
import { startRenaming } from "./object-names.js";

/** @import { Shortcut } from "../types" */

function makeVideo() {
  /** @type {?HTMLButtonElement} */
  const button = document.querySelector("#make");
  if (button && !button.disabled && button.offsetParent !== null) button.click();
}

function deleteSelected() {
  if (state.selected) deleteMark(state.selected);
}

/** Forget the gesture and the selection. */
function letGo() {
  Object.assign(state, { gesture: null, selected: null, rubber: null, draft: null, stroke: null });
  render();
}

/**
 * Move the selected mark.
 * @param {number} dx pixels
 * @param {number} dy
 */
function nudge(dx, dy) {
  if (state.selected) edit({ prompts: withMovedMark(state.selected, dx, dy) }, state.selected);
}

/**
 * Change the brush's size, while a brush is chosen.
 * @param {number} change
 */
function resizeBrush(change) {
  if (isBrush()) setBrush(state.brush + change);
}

/**
 * In the order in which they are listed; those of the same group and text share a line. A key is called as
 * KeyboardEvent does, with the keys held with it before it. A letter that is not listed with Shift acts with it, too.
 * @type {Shortcut[]}
 */
export const SHORTCUTS = [
  { group: "play", text: "play", keys: ["Space"], act: play },
  { group: "play", text: "shuttle", keys: ["J"], act: () => shuttle(-1) },
  {
    group: "play",
    text: "shuttle",
    keys: ["K"],
    act: () => (state.playing ? pause() : setTool("keep")),
  },
  { group: "play", text: "shuttle", keys: ["L"], act: () => shuttle(1) },
  { group: "play", text: "step", keys: ["ArrowLeft"], act: () => step(-1) },
  { group: "play", text: "step", keys: ["ArrowRight"], act: () => step(1) },
  { group: "play", text: "leap", keys: ["Shift+ArrowLeft"], act: () => leap(-1) },
  { group: "play", text: "leap", keys: ["Shift+ArrowRight"], act: () => leap(1) },
  { group: "play", text: "ends", keys: ["Home"], act: goToStart },
  { group: "play", text: "ends", keys: ["End"], act: goToEnd },
  { group: "play", text: "next_check", keys: ["N"], act: nextCheck },
  { group: "play", text: "set_start", keys: ["I", "Q"], act: () => moveEnd("start", state.index) },
  { group: "play", text: "set_end", keys: ["Shift+O", "W"], act: () => moveEnd("end", state.index) },
  { group: "marks", text: "tool_keep", keys: ["K"], act: () => setTool("keep") },
  { group: "marks", text: "tool_remove", keys: ["X"], act: () => setTool("remove") },
  { group: "marks", text: "tool_box", keys: ["B"], act: () => setTool("box") },
  { group: "marks", text: "tool_brush", keys: ["P"], act: () => setTool("brush") },
  { group: "marks", text: "tool_erase", keys: ["E"], act: () => setTool("erase") },
  { group: "marks", text: "brush_size", keys: ["[", ","], act: () => resizeBrush(-BRUSH_STEP) },
  { group: "marks", text: "brush_size", keys: ["]", "."], act: () => resizeBrush(BRUSH_STEP) },
  { group: "marks", text: "choose", keys: ["1"], act: () => chooseCandidate(0) },
  { group: "marks", text: "choose", keys: ["2"], act: () => chooseCandidate(1) },
  { group: "marks", text: "choose", keys: ["3"], act: () => chooseCandidate(2) },
  { group: "marks", text: "delete", keys: ["Delete", "Backspace"], act: deleteSelected },
  { group: "marks", text: "nudge", keys: ["Alt+ArrowLeft"], act: () => nudge(-1, 0) },
  { group: "marks", text: "nudge", keys: ["Alt+ArrowRight"], act: () => nudge(1, 0) },
  { group: "marks", text: "nudge", keys: ["Alt+ArrowUp"], act: () => nudge(0, -1) },
  { group: "marks", text: "nudge", keys: ["Alt+ArrowDown"], act: () => nudge(0, 1) },
  { group: "marks", text: "nudge_far", keys: ["Alt+Shift+ArrowLeft"], act: () => nudge(-10, 0) },
  { group: "marks", text: "nudge_far", keys: ["Alt+Shift+ArrowRight"], act: () => nudge(10, 0) },
  { group: "marks", text: "nudge_far", keys: ["Alt+Shift+ArrowUp"], act: () => nudge(0, -10) },
  { group: "marks", text: "nudge_far", keys: ["Alt+Shift+ArrowDown"], act: () => nudge(0, 10) },
  { group: "marks", text: "undo", keys: ["Z"], act: undo },
  { group: "marks", text: "redo", keys: ["Shift+Z"], act: redo },
  { group: "marks", text: "rename", keys: ["F2"], act: (event) => startRenaming(numberAt(targetOf(event))) },
  { group: "marks", text: "let_go", keys: ["Escape"], act: letGo },
  { group: "view", text: "mask", keys: ["M"], act: () => setView("mask") },
  { group: "view", text: "cutout", keys: ["C"], act: () => setView("cutout") },
  { group: "view", text: "split", keys: ["S"], act: () => setView("split") },
  { group: "view", text: "original", keys: ["O"], act: () => setView("original") },
  { group: "view", text: "result", keys: ["R"], act: () => setView("result") },
  { group: "view", text: "zoom", keys: ["+", "="], act: () => zoomBy(ZOOM_STEP) },
  { group: "view", text: "zoom", keys: ["-"], act: () => zoomBy(1 / ZOOM_STEP) },
  { group: "view", text: "fit", keys: ["0"], act: fit },
  { group: "page", text: "make", keys: ["Enter"], act: makeVideo },
  { group: "page", text: "keys", keys: ["?"], act: () => openKeys(SHORTCUTS) },
];

/**
 * By the name that `nameOf` gives; of two with the same key the first acts.
 * @type {Map<string, Shortcut>}
 */
const BY_NAME = new Map(
  SHORTCUTS.flatMap((shortcut) =>
    shortcut.keys.map((key) => /** @type {[string, Shortcut]} */ ([key.toLowerCase(), shortcut])),
  ).reverse(),
);

/**
 * Return the shortcut of a key that was pressed, if there is one.
 * @param {KeyboardEvent} event
 */
export function shortcutOf({ key, altKey, shiftKey }) {
  const name = (key === " " ? "space" : key).toLowerCase();
  const alt = altKey ? "alt+" : "";
  return BY_NAME.get(`${alt}${shiftKey ? "shift+" : ""}${name}`) ?? BY_NAME.get(`${alt}${name}`) ?? null;
}
