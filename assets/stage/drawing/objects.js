// The list of objects: a chip for each, and the buttons to add, rename and delete one.

/** @import { VideoObject } from "../types" */

import { all, buttonsOf, pool } from "../dom.js";
import { t } from "../locale.js";
import { part } from "../parts.js";
import { MOST_OBJECTS } from "../pure/objects.js";
import { nameOf, objectOf } from "../selectors.js";
import { state } from "../state.js";
import { showOwner } from "./owner.js";

export function drawObjects() {
  const { value, objects, active } = state;
  const busy = !value || state.view === "result";
  part.objects.hidden = !value || !(value.can_point || value.can_box);
  if (!value) return;
  pool(part.chips, objects.length, makeChip).forEach((chip, i) => {
    drawChip(chip, objects[i]);
  });
  const several = objects.length > 1;
  part.objects.classList.toggle("several", several);
  const object = objectOf(active);
  const { add, rename, drop } = buttonsOf(part.objects);
  rename.hidden = !several && !object.name;
  drop.hidden = !several;
  rename.title = t("rename", { name: nameOf(object) });
  drop.title = t("drop", { name: nameOf(object) });
  for (const button of [rename, drop]) button.setAttribute("aria-label", button.title);
  /** @type {HTMLButtonElement[]} */
  const buttons = all(part.objects, "button");
  for (const button of buttons) button.disabled = busy;
  add.disabled = busy || objects.length >= MOST_OBJECTS;
}

const makeChip = () => {
  const chip = /** @type {HTMLElement} */ (part.chip.content.firstElementChild);
  return /** @type {HTMLElement} */ (chip.cloneNode(true));
};

/**
 * @param {HTMLElement} chip
 * @param {VideoObject} object
 */
function drawChip(chip, object) {
  const { number, on } = object;
  const name = nameOf(object);
  const { pick, toggle } = buttonsOf(chip);
  const input = inputOf(chip);
  showOwner(chip, number);
  pick.setAttribute("aria-pressed", String(number === state.active));
  pick.title = t("object_tip");
  /** @type {HTMLElement} */ (pick.querySelector(".name")).textContent = name;
  pick.hidden = number === state.renaming;
  input.hidden = number !== state.renaming;
  input.placeholder = t("object", { number });
  input.setAttribute("aria-label", t("name_of", { name }));
  toggle.hidden = on && state.objects.length === 1;
  toggle.setAttribute("aria-pressed", String(on));
  toggle.setAttribute("aria-label", t("in_result", { name }));
  toggle.title = t(on ? "in_result" : "not_in_result", { name });
}

/**
 * Return a chip's field for the name.
 * @param {HTMLElement} chip
 */
export const inputOf = (chip) => /** @type {HTMLInputElement} */ (chip.querySelector("input"));

/**
 * Return an object's chip.
 * @param {number} number
 * @returns {?HTMLElement}
 */
export const chipOf = (number) => part.chips.querySelector(`[data-object="${number}"]`);

/**
 * Put the focus on an object's chip.
 * @param {number} number
 */
export function focusChip(number) {
  const chip = chipOf(number);
  if (chip) buttonsOf(chip).pick.focus();
}

/**
 * Return the number of the object whose chip this is in, else of the active one.
 * @param {HTMLElement} target
 */
export function numberAt(target) {
  /** @type {?HTMLElement} */
  const chip = target.closest(".chip");
  return chip ? Number(chip.dataset.object) : state.active;
}
