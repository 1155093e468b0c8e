// The signs of whose something is: an object's colour and name.

import { inkOn } from "../pure/colours.js";
import { colourOfObject, nameOf, objectOf } from "../selectors.js";
import { state } from "../state.js";

/**
 * Give what is drawn in `target` an object's colour.
 * @param {HTMLElement} target
 * @param {number} number
 */
export function paint(target, number) {
  const colour = colourOfObject(number);
  target.style.setProperty("--own", colour);
  target.style.setProperty("--ink", inkOn(colour));
}

/**
 * Show whose mark or chip it is.
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
 * Return a mark's name; where there are several objects, after its object's.
 * @param {number} number
 * @param {string} words
 */
export function ownedName(number, words) {
  return state.objects.length > 1 ? `${nameOf(objectOf(number))}: ${words}` : words;
}
