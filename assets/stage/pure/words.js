// What was found by words, as objects with boxes. These functions do not change their arguments.

/** @import { FoundWord, Prompt, VideoObject } from "../types" */

import { freeNumber, normaliseObjects } from "./objects.js";
import { normalise } from "./prompts.js";

const LONGEST_NAME = 60;

/**
 * Add what was found to objects and prompts: each found object takes an object without name and marks, else a new one,
 * and the phrase is its name. Those for which there is no room are left out; `added` are the numbers of the others. With
 * `again` what is found is the object that the same phrase has made before, if there is one.
 * @param {VideoObject[]} objects
 * @param {Prompt[]} prompts
 * @param {FoundWord[]} found
 * @param {boolean} again
 * @returns {{objects: VideoObject[], prompts: Prompt[], added: number[], left: number}}
 */
export function withFound(objects, prompts, found, again = false) {
  const marked = new Set(prompts.map((p) => p.object));
  const unused = objects.filter(({ number, name, on }) => on && !name && !marked.has(number));
  let all = objects;
  /** @type {Map<number, ?number>} */
  const numbers = new Map();
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { words, prompt } of found) {
    const key = prompt.object ?? 1;
    if (numbers.has(key)) continue;
    const count = (counts.get(words) ?? 0) + 1;
    counts.set(words, count);
    const known = again && objects.find(({ name }) => name === numberedName(words, count));
    if (known) {
      numbers.set(key, known.number);
      continue;
    }
    const number = unused.shift()?.number ?? freeNumber(all);
    numbers.set(key, number);
    if (number === null) continue;
    const named = { number, name: unusedName(words, all), on: true };
    all = normaliseObjects([...all.filter((object) => object.number !== number), named], []);
  }
  const boxes = found.flatMap(({ prompt }) => {
    const object = numbers.get(prompt.object ?? 1);
    return object ? [{ ...prompt, object }] : [];
  });
  const added = [...numbers.values()].filter((number) => number !== null);
  return {
    objects: all,
    prompts: normalise([...prompts, ...boxes]),
    added,
    left: numbers.size - added.length,
  };
}

/**
 * Return a phrase as a name that no object has yet: "a dog", "a dog 2".
 * @param {string} words
 * @param {VideoObject[]} objects
 */
function unusedName(words, objects) {
  const names = new Set(objects.map(({ name }) => name));
  for (let count = 1; ; count += 1) {
    const name = numberedName(words, count);
    if (!names.has(name)) return name;
  }
}

/**
 * @param {string} words
 * @param {number} count
 */
function numberedName(words, count) {
  const end = count > 1 ? ` ${count}` : "";
  return words.slice(0, LONGEST_NAME - end.length) + end;
}
