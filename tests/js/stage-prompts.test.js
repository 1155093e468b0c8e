// Prompts and the list of objects.

import assert from "node:assert/strict";
import { test } from "node:test";
import { activeAmong, freeNumber, normaliseObjects, withoutObject } from "../../assets/stage/pure/objects.js";
import {
  acceptedBy,
  isSameMark,
  isSingleClick,
  marksAt,
  normalise,
  replaceMarks,
  toJson,
} from "../../assets/stage/pure/prompts.js";

const TIMES = [0, 0.1, 0.2, 0.3];
const click = { x: 10, y: 20, keep: true };
const away = { x: 5, y: 5, keep: false };
const prompt = (changes) => ({ time: 0, object: 1, points: [], box: null, candidate: null, ...changes });

/** Fail where a function changes what it is given. */
function freeze(value) {
  if (value && typeof value === "object") Object.values(Object.freeze(value)).forEach(freeze);
  return value;
}

test("a single click to keep may have candidates", () => {
  assert.equal(isSingleClick(prompt({ points: [click] })), true);
  assert.equal(isSingleClick(prompt({ points: [away] })), false);
  assert.equal(isSingleClick(prompt({ points: [click, click] })), false);
  assert.equal(isSingleClick(prompt({ points: [click], box: [0, 0, 9, 9] })), false);
});

test("prompts are normalised", () => {
  const given = freeze([
    { time: 0.2, points: [{ x: 1, y: 2 }], candidate: 1 },
    { time: 0.1, object: 2, box: [0, 0, 9, 9], candidate: 2 },
    { time: 0.1, points: [{ x: 3, y: 4, keep: false }] },
    { time: 0, points: [] },
  ]);
  assert.deepEqual(normalise(given), [
    prompt({ time: 0.1, points: [{ x: 3, y: 4, keep: false }] }),
    prompt({ time: 0.1, object: 2, box: [0, 0, 9, 9] }),
    prompt({ time: 0.2, points: [{ x: 1, y: 2, keep: true }], candidate: 1 }),
  ]);
  assert.deepEqual(normalise(null), []);
  assert.deepEqual(normalise(), []);
});

test("a point that stands for a whole thing keeps that", () => {
  const whole = { x: 3, y: 4, keep: false, whole: true };
  const prompts = normalise([{ time: 0.1, points: [whole, { ...click, whole: false }] }]);
  assert.deepEqual(prompts, [prompt({ time: 0.1, points: [whole, click] })]);
  assert.deepEqual(toJson(prompts), [{ time: 0.1, points: [whole, click] }]);
});

test("default values of prompts are not written", () => {
  assert.deepEqual(toJson([prompt({ points: [click] })]), [{ time: 0, points: [click] }]);
  const full = prompt({ time: 0.1, object: 2, box: [0, 0, 9, 9], candidate: 0 });
  assert.deepEqual(toJson([full]), [{ time: 0.1, points: [], box: [0, 0, 9, 9], object: 2, candidate: 0 }]);
});

test("JSON round trip", () => {
  const prompts = normalise([
    { time: 0.1, points: [click], candidate: 2 },
    { time: 0.1, object: 3, points: [click, away], box: [1, 2, 3, 4] },
  ]);
  assert.deepEqual(normalise(toJson(prompts)), prompts);
});

test("marks that the model does not support are left out", () => {
  const prompts = freeze([
    prompt({ points: [click], box: [0, 0, 9, 9] }),
    prompt({ time: 0.1, points: [click] }),
  ]);
  assert.equal(acceptedBy(prompts, { can_point: true, can_box: true }), prompts);
  assert.deepEqual(acceptedBy(prompts, { can_point: false, can_box: true }), [prompt({ box: [0, 0, 9, 9] })]);
  assert.deepEqual(acceptedBy(prompts, { can_point: true, can_box: false }), [
    prompt({ points: [click] }),
    prompt({ time: 0.1, points: [click] }),
  ]);
  assert.deepEqual(acceptedBy(prompts, { can_point: false, can_box: false }), []);
});

test("an object's marks on a frame are one prompt", () => {
  const here = prompt({ time: 0.1, points: [click], candidate: 1 });
  const prompts = freeze([here, prompt({ time: 0.1, object: 2, points: [away] })]);
  assert.equal(marksAt(prompts, 1, 1, TIMES), here);
  assert.deepEqual(marksAt(prompts, 2, 1, TIMES), prompt({ time: 0.2 }));
});

test("marks at several times of a frame are merged, with the last box", () => {
  const prompts = freeze([
    prompt({ time: 0.09, points: [click], box: [0, 0, 1, 1] }),
    prompt({ time: 0.1, points: [away] }),
    prompt({ time: 0.11, box: [2, 2, 3, 3] }),
  ]);
  assert.deepEqual(
    marksAt(prompts, 1, 1, TIMES),
    prompt({ time: 0.1, points: [click, away], box: [2, 2, 3, 3] }),
  );
});

test("only the marks of one object on one frame are replaced", () => {
  const others = [prompt({ time: 0, points: [click] }), prompt({ time: 0.1, object: 2, points: [click] })];
  const prompts = freeze([...others, prompt({ time: 0.1, points: [click], candidate: 2 })]);
  const changed = replaceMarks(prompts, 1, 1, TIMES, ({ points }) => ({ points: [...points, away] }));
  assert.deepEqual(changed, [others[0], prompt({ time: 0.1, points: [click, away] }), others[1]]);
  assert.deepEqual(
    replaceMarks(prompts, 1, 1, TIMES, () => ({ points: [] })),
    others,
  );
});

test("references to marks are compared", () => {
  const point = { kind: "point", object: 1, i: 0 };
  assert.equal(isSameMark(point, { ...point }), true);
  assert.equal(isSameMark(point, { ...point, i: 1 }), false);
  assert.equal(isSameMark(point, { ...point, object: 2 }), false);
  assert.equal(isSameMark({ kind: "box", object: 1 }, { kind: "box", object: 1 }), true);
  assert.equal(isSameMark({ kind: "box", object: 1 }, point), false);
  assert.equal(isSameMark(null, null), false);
});

test("there is an object for every mark, and at least one", () => {
  assert.deepEqual(normaliseObjects([], []), [{ number: 1, name: "", on: true }]);
  assert.deepEqual(normaliseObjects(undefined, [prompt({ object: 3 })]), [{ number: 3, name: "", on: true }]);
  assert.deepEqual(
    normaliseObjects(freeze([{ number: 2, name: "hat", on: false }]), [prompt({ object: 1 })]),
    [
      { number: 1, name: "", on: true },
      { number: 2, name: "hat", on: false },
    ],
  );
});

test("a new object takes the lowest free number of nine", () => {
  const numbered = (...numbers) => numbers.map((number) => ({ number, name: "", on: true }));
  assert.equal(freeNumber(numbered(1, 2, 4)), 3);
  assert.equal(freeNumber(numbered(2)), 1);
  assert.equal(freeNumber(numbered(1, 2, 3, 4, 5, 6, 7, 8, 9)), null);
});

test("a deleted object's neighbour becomes active", () => {
  const objects = freeze([1, 2, 3].map((number) => ({ number, name: "", on: true })));
  assert.equal(withoutObject(objects, 2).next, 3);
  assert.equal(withoutObject(objects, 3).next, 2);
  assert.deepEqual(
    withoutObject(objects, 1).objects.map((object) => object.number),
    [2, 3],
  );
  assert.equal(withoutObject(objects.slice(0, 1), 1), null);
  assert.equal(activeAmong(objects, 3), 3);
  assert.equal(activeAmong(objects, 9), 1);
});

test("a mask is kept by edits, and makes a click no single one", () => {
  const mask = { file: "mask-1.png" };
  const given = freeze([
    { time: 0.1, points: [{ x: 1, y: 2 }], candidate: 1, mask: { file: "mask-1.png", invert: true } },
    { time: 0.2, mask },
  ]);
  const [marked, alone] = normalise(given);
  assert.deepEqual(marked.mask, { file: "mask-1.png", invert: true });
  assert.equal(marked.candidate, null);
  assert.deepEqual(toJson([alone]), [{ time: 0.2, points: [], mask }]);
  const pointed = replaceMarks([marked, alone], 2, 1, TIMES, () => ({ points: [click] }));
  assert.deepEqual(marksAt(pointed, 2, 1, TIMES).mask, mask);
  const cleared = replaceMarks(pointed, 2, 1, TIMES, () => ({ points: [], mask: null }));
  assert.equal(cleared.length, 1);
  assert.deepEqual(acceptedBy([alone], { can_point: true, can_box: false }), []);
});
