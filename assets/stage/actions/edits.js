// Edits of prompts, objects and range: each is stored for undo, shown at once, and sent to the server.

/** @import { Edited, MarkRef, Moment, Value } from "../types" */

import { toJson } from "../pure/prompts.js";
import { render } from "../render.js";
import { state } from "../state.js";
import { saveHistory } from "./stored-history.js";

const RESEND_MS = 3000;
const ANSWER_MS = 20000; // a mark stops pulsing after this, should the answer have been lost

/**
 * Compare two plain values, keys and their order included.
 * @param {unknown} a
 * @param {unknown} b
 */
export const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/**
 * Make an edit, unless it changes nothing.
 * @param {Partial<Moment>} change
 * @param {?MarkRef} [newest] the mark that it made
 */
export function edit(change, newest = null) {
  const now = momentAt(state.index);
  const next = { ...now, ...change };
  if (same([next.prompts, next.objects, next.range], [now.prompts, now.objects, now.range])) return;
  state.undo.push(now);
  state.redo = [];
  apply(next, newest);
}

/**
 * Return the present state for undo, with the frame at `index`.
 * @param {number} index
 * @returns {Moment}
 */
export function momentAt(index) {
  const { prompts, objects, range, active } = state;
  return { prompts, objects, range, active, index };
}

/**
 * Replace the state by a moment, and send it.
 * @param {Moment} moment
 * @param {?MarkRef} [newest]
 */
export function apply({ prompts, objects, range, active }, newest = null) {
  Object.assign(state, { prompts, objects, range, active, playing: null, note: "" });
  state.newest = newest && { index: state.index, mark: newest };
  state.seq += 1;
  send();
  saveHistory();
  expectAnswer(state.seq);
  render();
}

/** @returns {Edited} */
const edited = () => ({ prompts: toJson(state.prompts), objects: state.objects, ...state.range });

/**
 * Return the editable fields of a value.
 * @param {Value} value
 * @returns {Edited}
 */
export const editedOf = ({ prompts, objects, start, end }) => ({ prompts, objects, start, end });

/** Set the component's value, which Gradio sends with the next event of any control. */
export function publish() {
  props.value = { ...state.value, ...edited(), base: state.base, seq: state.seq, rev: null };
}

function send() {
  publish();
  state.sent.set(state.seq, edited());
  trigger("input", { seq: state.seq });
}

/**
 * Resend an edit that may be lost. Gradio drops a queued call if the one before it failed, so an edit made during
 * another one is sent once more; a single one is not, as its error was shown.
 * @param {number} seq
 */
function expectAnswer(seq) {
  const isOpen = () => element.isConnected && state.value && state.seq === seq && state.answered < seq;
  setTimeout(() => {
    if (isOpen() && seq - state.answered > 1) send();
  }, RESEND_MS);
  setTimeout(() => {
    if (!isOpen()) return;
    state.newest = null;
    render();
  }, ANSWER_MS);
}
