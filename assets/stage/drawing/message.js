// The line under the picture: an error, else the server's message, else a hint.

/** @import { Abilities } from "../types" */

import { isBrush } from "../actions/brush.js";
import { t } from "../locale.js";
import { coarsePointer, part } from "../parts.js";
import { acceptedMarks } from "../selectors.js";
import { state } from "../state.js";

export function drawMessage() {
  const { value } = state;
  let text = "";
  if (value) {
    const marked = acceptedMarks(state.prompts).some((p) => p.object === state.active);
    text = state.error || state.note || value.message || unusedMarks(value);
    if (!text && state.view === "after" && value.result) text = t("after");
    if (!text && state.view !== "result" && isBrush())
      text = t(coarsePointer.matches ? "hint_finger" : "hint_brush");
    if (!text && state.view !== "result" && !marked) text = t(hintKey(value));
  }
  part.message.classList.toggle("error", Boolean(state.error));
  if (part.message.textContent !== text) part.message.textContent = text;
}

/**
 * Return the message about marks that the chosen model does not support; "" if it supports all.
 * @param {Abilities} model
 */
function unusedMarks({ can_point, can_box }) {
  const points = !can_point && state.prompts.some((p) => p.points.length);
  const boxes = !can_box && state.prompts.some((p) => p.box);
  if (!points && !boxes) return "";
  return t(can_box ? "points_wait" : can_point ? "boxes_wait" : "marks_wait");
}

/** @param {Abilities} model */
function hintKey({ can_point, can_box }) {
  if (!can_point) return can_box ? "hint_box" : "hint_auto";
  if (!can_box) return "hint_point";
  return coarsePointer.matches ? "hint_touch" : "hint";
}
