// Undo and redo: both also lead back to the frame where the edit was made.

/** @import { Moment } from "../types" */

import { state } from "../state.js";
import { apply, momentAt } from "./edits.js";
import { go } from "./navigation.js";

export const undo = () => travel(state.undo, state.redo);
export const redo = () => travel(state.redo, state.undo);

/**
 * @param {Moment[]} from
 * @param {Moment[]} to
 */
function travel(from, to) {
  const moment = from.pop();
  if (!moment) return;
  to.push(momentAt(moment.index));
  go(moment.index);
  state.selected = null;
  apply(moment);
}
