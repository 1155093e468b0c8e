// The colour and name of the object that a mark or chip belongs to.

import { inkOn } from "../pure/colours.js";
import { colourOfObject, nameOf, objectOf } from "../selectors.js";
import { state } from "../state.js";

/**
 * Set an object's colour on `target`.
 * @param {HTMLElement | SVGElement} target
 * @param {number} number
 */
export function paint(target, number) {
  const colour = colourOfObject(number);
  target.style.setProperty("--own", colour);
  target.style.setProperty("--ink", inkOn(colour));
}

/**
 * Show which object a mark or chip belongs to.
 * @param {HTMLElement} target
 * @param {number} number
 */
export function showOwner(target, number) {
  target.dataset.object = String(number);
  target.classList.toggle("active", number === state.active);
  target.classList.toggle("off", !objectOf(number).on);
  paint(target, number);
}

/**
 * Return a mark's name, after its object's if there are several objects.
 * @param {number} number
 * @param {string} words
 */
export function ownedName(number, words) {
  return state.objects.length > 1 ? `${nameOf(objectOf(number))}: ${words}` : words;
}
