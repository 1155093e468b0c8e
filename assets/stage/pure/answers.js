// The order of edits and the server's answers to them. Edits are counted by `seq`, and the answer to an edit has
// its number; a value that answers none has null.

/** @import { Value } from "../types" */

/**
 * Return whether a value answers an edit that was made before the video on the stage was opened.
 * @param {?Value} incoming
 * @param {{value: ?Value, before: number}} stage
 */
export function isStale(incoming, { value, before }) {
  if (!incoming || incoming.seq == null) return false;
  return !value || incoming.media !== value.media || incoming.seq <= before;
}

/**
 * Return whether a value of the video on the stage is older than the newest edit: its marks and pictures are older
 * than what is shown.
 * @param {Value} incoming
 * @param {{seq: number, answered: number}} stage
 */
export function precedesNewestEdit(incoming, { seq, answered }) {
  if (incoming.rev == null) return true;
  return incoming.seq == null ? answered < seq : incoming.seq < seq;
}
