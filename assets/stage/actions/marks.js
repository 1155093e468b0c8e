// Marks on the frame that is shown: make, move and delete them.

/** @import { Box, MarkRef, Prompt } from "../types" */

import { inside, moveBox } from "../pure/geometry.js";
import { replaceMarks } from "../pure/prompts.js";
import { moveStroke } from "../pure/strokes.js";
import { marksHere, video } from "../selectors.js";
import { state } from "../state.js";
import { edit } from "./edits.js";

/**
 * Return the prompts with an object's marks on the current frame changed by `change`.
 * @param {(marks: Prompt) => Partial<Prompt>} change
 * @param {number} [object]
 */
export const withMarks = (change, object = state.active) =>
  replaceMarks(state.prompts, state.index, object, state.times, change);

/**
 * Return the prompts with another box for an object.
 * @param {Box} box
 * @param {number} [object]
 */
export const withBox = (box, object) => withMarks(() => ({ box }), object);

/**
 * Return the prompts with a mark moved, but not out of the frame.
 * @param {MarkRef} mark
 * @param {number} dx
 * @param {number} dy
 */
export function withMovedMark(mark, dx, dy) {
  return withMarks(({ points, box, strokes = [] }) => {
    if (mark.kind === "box") return { box: box && moveBox(box, dx, dy, video()) };
    if (mark.kind === "stroke") {
      return { strokes: strokes.map((s, i) => (i === mark.i ? moveStroke(s, dx, dy, video()) : s)) };
    }
    return {
      points: points.map((p, i) =>
        i === mark.i ? { ...p, ...inside({ x: p.x + dx, y: p.y + dy }, video()) } : p,
      ),
    };
  }, mark.object);
}

/**
 * Add a point of the active object, if the model supports points. Where the model tells things from each other, the
 * object's first click takes the thing that it lies on, and a point to remove removes the thing.
 * @param {number} x
 * @param {number} y
 * @param {boolean} keep
 */
export function addPoint(x, y, keep) {
  if (!video().can_point) return;
  const { points } = marksHere(state.prompts);
  const { splits } = video();
  const isFirst = !state.prompts.some(({ object }) => object === state.active);
  const added = { x, y, keep, ...(splits && (isFirst || !keep) && { whole: true }) };
  edit(
    { prompts: withMarks(() => ({ points: [...points, added] })) },
    { kind: "point", object: state.active, i: points.length },
  );
}

/** @param {MarkRef} mark */
export function deleteMark(mark) {
  state.selected = null;
  /** @param {Prompt} marks */
  const without = ({ points, strokes = [] }) => {
    if (mark.kind === "box") return { box: null };
    if (mark.kind === "stroke") return { strokes: strokes.filter((_, i) => i !== mark.i) };
    return { points: points.filter((_, i) => i !== mark.i) };
  };
  edit({ prompts: withMarks(without, mark.object) });
}

/** Delete the active object's marks here. */
export function clearMarks() {
  state.selected = null;
  edit({ prompts: withMarks(() => ({ points: [], box: null, strokes: [], mask: null })) });
}
