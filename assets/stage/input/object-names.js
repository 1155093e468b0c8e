// Renaming of objects in their chips.

import { activate, changeObject } from "../actions/objects.js";
import { targetOf } from "../dom.js";
import { chipOf, focusChip, inputOf } from "../drawing/objects.js";
import { part } from "../parts.js";
import { render } from "../render.js";
import { objectOf } from "../selectors.js";
import { state } from "../state.js";

/**
 * Start renaming an object.
 * @param {number} number
 */
export function startRenaming(number) {
  if (!state.value || part.objects.hidden || state.view === "result") return;
  activate(number);
  state.renaming = number;
  render();
  const chip = chipOf(number);
  if (!chip) return;
  const input = inputOf(chip);
  input.value = objectOf(number).name;
  input.focus();
  input.select();
}

/**
 * End renaming.
 * @param {boolean} accept whether it replaces the old one
 */
export function endRenaming(accept) {
  const number = state.renaming;
  if (number === null) return;
  state.renaming = null;
  const chip = chipOf(number);
  if (accept && chip) changeObject(number, { name: inputOf(chip).value.replace(/\s+/g, " ").trim() });
  render();
}

/**
 * Accept the name at Enter, discard it at Escape.
 * @param {KeyboardEvent} event
 */
export function onNameKey(event) {
  const isEnd = event.key === "Enter" || event.key === "Escape";
  if (targetOf(event).tagName !== "INPUT" || event.isComposing || !isEnd) return;
  event.preventDefault();
  event.stopPropagation();
  const number = state.renaming;
  endRenaming(event.key === "Enter");
  if (number !== null && objectOf(number)) focusChip(number);
}
