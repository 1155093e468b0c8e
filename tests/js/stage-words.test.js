// What is found by words, as objects and boxes.

import assert from "node:assert/strict";
import { test } from "node:test";

import { withFound } from "../../assets/stage/pure/words.js";

const object = (number, name = "", on = true) => ({ number, name, on });
const hit = (words, time, number, box = [1, 2, 30, 40]) => ({
  words,
  prompt: { time, box, ...(number > 1 && { object: number }) },
});
const boxesOf = ({ prompts }) => prompts.map((p) => [p.time, p.object, p.box?.[0] ?? null]);

test("each thing is an object with the phrase as its name, and the first takes the unused object", () => {
  const found = [
    hit("a dog", 0, 1),
    hit("a dog", 0, 2, [5, 6, 7, 8]),
    hit("a dog", 2, 1),
    hit("a cat", 0, 3),
  ];
  const made = withFound([object(1)], [], found);
  assert.deepEqual(made.objects, [object(1, "a dog"), object(2, "a dog 2"), object(3, "a cat")]);
  assert.deepEqual(boxesOf(made), [
    [0, 1, 1],
    [0, 2, 5],
    [0, 3, 1],
    [2, 1, 1],
  ]);
  assert.deepEqual([made.added, made.left], [[1, 2, 3], 0]);
});

test("marked, named and switched off objects are left as they are", () => {
  const own = { time: 1, object: 1, points: [{ x: 1, y: 1, keep: true }], box: null, candidate: null };
  const objects = [object(1), object(2, "hat"), object(4, "", false)];
  const made = withFound(objects, [own], [hit("hat", 0, 1)]);
  assert.deepEqual(made.objects, [object(1), object(2, "hat"), object(3, "hat 2"), object(4, "", false)]);
  assert.deepEqual(made.prompts[1], own);
  assert.deepEqual(objects, [object(1), object(2, "hat"), object(4, "", false)]);
});

test("what has no room is counted, and its boxes are left out", () => {
  const objects = Array.from({ length: 8 }, (_, i) => object(i + 1, `n${i}`));
  const made = withFound(objects, [], [hit("a", 0, 1), hit("b", 0, 2), hit("b", 3, 2), hit("a", 3, 1)]);
  assert.deepEqual([made.added, made.left], [[9], 1]);
  assert.deepEqual(boxesOf(made), [
    [0, 9, 1],
    [3, 9, 1],
  ]);
});

test("names are as long as a name may be", () => {
  const made = withFound([object(1)], [], [hit("x".repeat(90), 0, 1), hit("x".repeat(90), 0, 2)]);
  assert.deepEqual(
    made.objects.map(({ name }) => [name.length, name.slice(-3)]),
    [
      [60, "xxx"],
      [60, "x 2"],
    ],
  );
});

test("what is found again is the object that its phrase has made before", () => {
  const objects = [object(1, "hat"), object(2, "a dog"), object(3, "a dog 2")];
  const found = [hit("a dog", 4, 1), hit("a dog", 4, 2), hit("a dog", 4, 3), hit("a cat", 5, 4)];
  const made = withFound(objects, [], found, true);
  assert.deepEqual(made.objects, [...objects, object(4, "a dog 3"), object(5, "a cat")]);
  assert.deepEqual(boxesOf(made), [
    [4, 2, 1],
    [4, 3, 1],
    [4, 4, 1],
    [5, 5, 1],
  ]);
  assert.deepEqual(made.added, [2, 3, 4, 5]);
});
