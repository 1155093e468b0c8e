// The list of a video's objects. These functions do not change their arguments.

/** @import { Prompt, VideoObject, VideoObjectJson } from "../types" */

export const MOST_OBJECTS = 9;

/**
 * Return the listed objects and others that prompts refer to, by number; at least the first object.
 * @param {?VideoObjectJson[] | undefined} listed
 * @param {Prompt[]} prompts
 * @returns {VideoObject[]}
 */
export function normaliseObjects(listed, prompts) {
  /** @type {Map<number, VideoObject>} */
  const known = new Map();
  for (const { number, name, on } of listed || []) {
    known.set(number, { number, name: name || "", on: on !== false });
  }
  const named = prompts.map((p) => p.object);
  for (const number of known.size || named.length ? named : [1]) {
    if (!known.has(number)) known.set(number, { number, name: "", on: true });
  }
  return [...known.values()].sort((a, b) => a.number - b.number);
}

/**
 * Return the lowest free number; null at the limit of objects.
 * @param {VideoObject[]} objects
 * @returns {?number}
 */
export function freeNumber(objects) {
  const used = objects.map((object) => object.number);
  const numbers = Array.from({ length: MOST_OBJECTS }, (_, i) => i + 1);
  return numbers.find((number) => !used.includes(number)) ?? null;
}

/**
 * Return the object that is active after `number`, the active one, is removed.
 * @param {VideoObject[]} objects at least one
 * @param {number} number
 */
export function activeAmong(objects, number) {
  return objects.some((object) => object.number === number) ? number : objects[0].number;
}

/**
 * Remove an object; null where it is the only one. `next` is the one after it, else the one before it.
 * @param {VideoObject[]} objects
 * @param {number} number
 */
export function withoutObject(objects, number) {
  const at = objects.findIndex((object) => object.number === number);
  const left = objects.filter((object) => object.number !== number);
  if (!left.length) return null;
  return { objects: left, next: left[Math.min(at, left.length - 1)].number };
}
