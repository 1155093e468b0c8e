// Prompts: the marks of one object on one frame. These functions do not change their arguments.

/** @import { Abilities, MarkRef, MaskFile, Point, Box, Prompt, PromptJson, StrokeJson } from "../types" */

import { nearestFrame } from "./frames.js";

/**
 * Return the strokes of a prompt under their key; without any there is no key.
 * @param {StrokeJson[]} [strokes]
 */
function strokesOf(strokes = []) {
  const all = strokes.map(({ path, width, keep }) => ({ path, width, keep: keep !== false }));
  return { ...(all.length > 0 && { strokes: all }) };
}

/**
 * Return the mask of a prompt under its key; without one there is no key.
 * @param {?MaskFile} [mask]
 */
const maskOf = (mask) => ({
  ...(mask && { mask: { file: mask.file, ...(mask.invert && { invert: true }) } }),
});

/**
 * Return whether marks are a single click, which may select a part of a thing or all of it; strokes correct that.
 * @param {{points: Point[], box: ?Box, mask?: ?MaskFile}} marks
 */
export const isSingleClick = ({ points, box, mask }) =>
  !box && !mask && points.length === 1 && points[0].keep;

/**
 * Bring prompts into one shape, whoever wrote them: by time and object, no empty ones, no missing keys, and a
 * chosen candidate for single clicks only.
 * @param {?PromptJson[]} [prompts]
 * @returns {Prompt[]}
 */
export function normalise(prompts) {
  return (prompts || [])
    .map((p) => ({
      time: p.time || 0,
      object: p.object || 1,
      points: (p.points || []).map(({ x, y, keep, whole }) => ({
        x,
        y,
        keep: keep !== false,
        ...(whole && { whole }),
      })),
      box: p.box || null,
      candidate: p.candidate ?? null,
      ...strokesOf(p.strokes),
      ...maskOf(p.mask),
    }))
    .filter((p) => p.points.length || p.box || p.strokes || p.mask)
    .map((p) => (isSingleClick(p) ? p : { ...p, candidate: null }))
    .sort((a, b) => a.time - b.time || a.object - b.object);
}

/**
 * Convert prompts to the server's JSON: default values have no key.
 * @param {Prompt[]} prompts
 * @returns {PromptJson[]}
 */
export function toJson(prompts) {
  return prompts.map(({ time, object, points, box, candidate, strokes, mask }) => ({
    time,
    points,
    ...(box && { box }),
    ...(object !== 1 && { object }),
    ...(candidate !== null && { candidate }),
    ...strokesOf(strokes),
    ...maskOf(mask),
  }));
}

/**
 * Return the marks that a model supports, strokes always; the others are kept for other models.
 * @param {Prompt[]} prompts
 * @param {Abilities} model
 */
export function acceptedBy(prompts, { can_point, can_box }) {
  if (can_point && can_box) return prompts;
  return normalise(
    prompts.map((p) => ({
      ...p,
      points: can_point ? p.points : [],
      box: can_box ? p.box : null,
      mask: can_box ? p.mask : null,
    })),
  );
}

/**
 * Return an object's marks on a frame as one prompt, be it empty: what prompts at several times near to it hold
 * goes together, with the last of their boxes and masks.
 * @param {Prompt[]} prompts
 * @param {number} index
 * @param {number} object
 * @param {number[]} times
 * @returns {Prompt}
 */
export function marksAt(prompts, index, object, times) {
  const here = prompts.filter((p) => p.object === object && nearestFrame(p.time, times) === index);
  if (here.length === 1) return here[0];
  const boxes = here.flatMap((p) => (p.box ? [p.box] : []));
  const points = here.flatMap((p) => p.points);
  const strokes = strokesOf(here.flatMap((p) => p.strokes ?? []));
  const mask = maskOf(here.findLast((p) => p.mask)?.mask);
  return {
    time: times[index] || 0,
    object,
    points,
    box: boxes.pop() || null,
    candidate: null,
    ...strokes,
    ...mask,
  };
}

/**
 * Change an object's marks on a frame by `change`.
 * @param {Prompt[]} prompts
 * @param {number} index
 * @param {number} object
 * @param {number[]} times
 * @param {(marks: Prompt) => Partial<Prompt>} change
 * @returns {Prompt[]}
 */
export function replaceMarks(prompts, index, object, times, change) {
  const before = marksAt(prompts, index, object, times);
  const others = prompts.filter((p) => p.object !== object || nearestFrame(p.time, times) !== index);
  return normalise([...others, { ...before, ...change(before) }]);
}

/**
 * Return whether two references are to the same mark; false if one is missing.
 * @param {?MarkRef} a
 * @param {?MarkRef} b
 */
export function isSameMark(a, b) {
  if (!a || !b || a.kind !== b.kind || a.object !== b.object) return false;
  return a.kind === "box" || b.kind === "box" || a.i === b.i;
}
