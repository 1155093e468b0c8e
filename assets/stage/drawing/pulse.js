// The pulse of a mark whose answer is pending.

/** @import { MarkRef } from "../types" */

import { reducedMotion } from "../parts.js";
import { isSameMark } from "../pure/prompts.js";
import { isAnswered } from "../selectors.js";
import { state } from "../state.js";

/**
 * Return whether a mark's answer is pending.
 * @param {MarkRef} mark
 */
export function isPending(mark) {
  const newest = state.newest;
  if (!newest || newest.index !== state.index || !isSameMark(newest.mark, mark)) return false;
  // A quick preview has a stroke to the pixel already.
  return !isAnswered() || state.loading || (state.refining && mark.kind !== "stroke");
}

/** @type {WeakMap<Element, Animation>} */
const pulses = new WeakMap();

/**
 * Start or end a mark's pulse. By script, as Gradio nests our style sheet, where no @keyframes may stand.
 * @param {Element} target
 * @param {boolean} on
 */
export function pulse(target, on) {
  const running = pulses.get(target);
  if (on === Boolean(running)) return;
  if (running) {
    running.cancel();
    pulses.delete(target);
  } else if (reducedMotion.matches) {
    const still = [{ opacity: 0.6 }, { opacity: 0.6 }];
    pulses.set(target, target.animate(still, { duration: 1000, iterations: Infinity }));
  } else {
    const beat = [{ opacity: 1 }, { opacity: 0.35 }, { opacity: 1 }];
    pulses.set(target, target.animate(beat, { duration: 900, iterations: Infinity }));
  }
}
