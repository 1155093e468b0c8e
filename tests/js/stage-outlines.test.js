import assert from "node:assert/strict";
import { test } from "node:test";

import { contains, pathOf } from "../../assets/stage/pure/outlines.js";

/** @type {[number, number][]} */
const square = [
  [0, 0],
  [10, 0],
  [10, 10],
  [0, 10],
];
/** @type {[number, number][]} */
const hole = square.map(([x, y]) => [4 + x / 5, 4 + y / 5]);

test("a position is inside a line, and not in its hole", () => {
  assert.ok(contains([square], { x: 5, y: 5 }) && contains([square], { x: 1, y: 9 }));
  assert.ok(!contains([square], { x: 11, y: 5 }) && !contains([square], { x: 5, y: -1 }));
  assert.ok(!contains([square, hole], { x: 5, y: 5 }), "in the hole");
  assert.ok(contains([square, hole], { x: 3, y: 5 }), "beside it");
  assert.ok(!contains([], { x: 5, y: 5 }));
});

test("a position above a slope is outside", () => {
  /** @type {[number, number][]} */
  const triangle = [
    [0, 10],
    [10, 10],
    [10, 0],
  ];
  assert.ok(contains([triangle], { x: 9, y: 9 }));
  assert.ok(!contains([triangle], { x: 1, y: 1 }));
});

test("a path has each line, closed, where its pixels are drawn", () => {
  const placed = (/** @type {number} */ x, /** @type {number} */ y) => ({ left: 10 * x, top: y / 3 });
  assert.equal(
    pathOf([[[0, 0], [1, 1], [2, 0]], [[3, 3]]], placed), // biome-ignore format: corners
    "M0.00 0.00L10.00 0.33L20.00 0.00ZM30.00 1.00Z",
  );
  assert.equal(pathOf([], placed), "");
});
