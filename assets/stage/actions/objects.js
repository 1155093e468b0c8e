// The objects to keep: add, change and delete them.

/** @import { VideoObject } from "../types" */

import { freeNumber, normaliseObjects, withoutObject } from "../pure/objects.js";
import { state } from "../state.js";
import { edit } from "./edits.js";

/**
 * Make an object the active one, to which new marks belong.
 * @param {number} number
 */
export function activate(number) {
  state.active = number;
  if (state.selected && state.selected.object !== number) state.selected = null;
}

export function addObject() {
  const number = freeNumber(state.objects);
  if (!number) return;
  state.selected = null;
  edit({ objects: normaliseObjects([...state.objects, { number }], []), active: number });
}

/**
 * Delete an object with its marks; if it was active, its neighbour becomes active.
 * @param {number} number
 */
export function deleteObject(number) {
  const remaining = withoutObject(state.objects, number);
  if (!remaining) return;
  state.selected = null;
  edit({
    prompts: state.prompts.filter((p) => p.object !== number),
    objects: remaining.objects,
    active: state.active === number ? remaining.next : state.active,
  });
}

/**
 * @param {number} number
 * @param {Partial<VideoObject>} change
 */
export function changeObject(number, change) {
  edit({
    objects: state.objects.map((object) => (object.number === number ? { ...object, ...change } : object)),
  });
}
