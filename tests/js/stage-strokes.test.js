// Brush strokes: width, simplification, handles and moves; and strokes among the marks of a prompt.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  acceptedBy,
  isSameMark,
  isSingleClick,
  marksAt,
  normalise,
  replaceMarks,
  toJson,
} from "../../assets/stage/pure/prompts.js";
import {
  brushWidth,
  MOST_VERTICES,
  middleOf,
  moveStroke,
  nearFrame,
  pressureFactor,
  simplify,
} from "../../assets/stage/pure/strokes.js";

const FRAME = { width: 640, height: 360 };
const stroke = (changes) => ({
  path: [
    [10, 20],
    [30, 20],
  ],
  width: 8,
  keep: true,
  ...changes,
});

test("the brush grows by the same factor with each step, from a few pixels to a large part of the frame", () => {
  assert.equal(brushWidth(0, FRAME), 2.6);
  assert.equal(brushWidth(100, FRAME), 256);
  assert.ok(
    Math.abs(brushWidth(75, FRAME) / brushWidth(50, FRAME) - brushWidth(50, FRAME) / brushWidth(25, FRAME)) <
      0.05,
  );
  assert.equal(brushWidth(0, { width: 20, height: 10 }), 1);
});

test("a pen at half of its pressure paints as wide as a mouse", () => {
  assert.equal(pressureFactor(0.5), 1);
  assert.ok(
    pressureFactor(0) > 0 &&
      pressureFactor(1) > pressureFactor(0.9) &&
      pressureFactor(9) === pressureFactor(1),
  );
});

test("a place beside the frame is kept as far as the server takes it", () => {
  assert.deepEqual(nearFrame({ x: -12.34, y: 400.06 }, FRAME), { x: -12.3, y: 400.1 });
  assert.deepEqual(nearFrame({ x: -1e6, y: 1e6 }, FRAME), { x: -640, y: 1000 });
});

test("a path is simplified within the tolerance, and its ends stay", () => {
  const wave = Array.from({ length: 400 }, (_, i) => [i, 50 * Math.sin(i / 40)]);
  const kept = simplify(wave, 0.5);
  assert.ok(kept.length > 5 && kept.length < 60);
  assert.deepEqual([kept[0], kept.at(-1)], [wave[0], wave.at(-1)]);
  for (const [x, y] of wave) {
    const i = Math.max(
      1,
      kept.findIndex(([right]) => right >= x),
    );
    const [[ax, ay], [bx, by]] = [kept[i - 1], kept[i]];
    assert.ok(Math.abs(ay + ((by - ay) * (x - ax)) / (bx - ax) - y) < 1);
  }
});

test("a straight path has two vertices, and a dot one", () => {
  assert.deepEqual(simplify([[0, 0], [5, 0], [9, 0]], 0.5), [[0, 0], [9, 0]]); // biome-ignore format: short
  assert.deepEqual(simplify([[4, 4]], 0.5), [[4, 4]]);
  assert.deepEqual(simplify([[4, 4], [4, 4.2], [4, 4]], 0.5), [[4, 4]]); // biome-ignore format: short
});

test("a path has no more vertices than the server takes", () => {
  const zigzag = Array.from({ length: 4000 }, (_, i) => [i, 30 * (i % 2)]);
  const kept = simplify(zigzag, 0.5);
  assert.ok(kept.length <= MOST_VERTICES && kept.length >= 2);
});

test("the handle of a stroke lies on its path, half-way", () => {
  assert.deepEqual(middleOf([[3, 4]]), { x: 3, y: 4 });
  assert.deepEqual(middleOf([[0, 0], [10, 0], [11, 0], [20, 0]]), { x: 10, y: 0 }); // biome-ignore format: short
});

test("a moved stroke stays at the frame", () => {
  const moved = moveStroke(stroke(), 5, -3, FRAME);
  assert.deepEqual(moved.path, [[15, 17], [35, 17]]); // biome-ignore format: short
  const away = moveStroke(stroke(), 1e5, -1e5, FRAME).path;
  assert.deepEqual(away, [[640, 0], [660, 0]]); // biome-ignore format: short
});

test("strokes are marks of a prompt, and without any there is no key", () => {
  const written = [{ time: 0.2, strokes: [{ path: stroke().path, width: 8 }] }];
  const [prompt] = normalise(written);
  assert.deepEqual(prompt.strokes, [stroke()]);
  assert.deepEqual(toJson([prompt]), [{ time: 0.2, points: [], strokes: [stroke()] }]);
  const [clicked] = normalise([{ time: 0, points: [{ x: 1, y: 2 }], strokes: [] }]);
  assert.ok(!("strokes" in clicked) && !("strokes" in toJson([clicked])[0]));
  assert.deepEqual(acceptedBy([prompt], { can_point: false, can_box: false }), [prompt]);
});

test("a single click keeps its candidate beside strokes", () => {
  const [prompt] = normalise([{ points: [{ x: 1, y: 2 }], candidate: 2, strokes: [stroke()] }]);
  assert.ok(isSingleClick(prompt) && prompt.candidate === 2);
});

test("strokes at times of one frame go together, are replaced, and the last one leaves no prompt", () => {
  const times = [0, 0.1, 0.2];
  const given = normalise([
    { time: 0.1, strokes: [stroke()] },
    { time: 0.101, strokes: [stroke({ keep: false })] },
  ]);
  assert.deepEqual(marksAt(given, 1, 1, times).strokes, [stroke(), stroke({ keep: false })]);
  const less = replaceMarks(given, 1, 1, times, ({ strokes = [] }) => ({ strokes: strokes.slice(1) }));
  assert.deepEqual(marksAt(less, 1, 1, times).strokes, [stroke({ keep: false })]);
  assert.deepEqual(
    replaceMarks(less, 1, 1, times, () => ({ strokes: [] })),
    [],
  );
});

test("a stroke and a point of the same number are two marks", () => {
  assert.equal(isSameMark({ kind: "stroke", object: 1, i: 0 }, { kind: "point", object: 1, i: 0 }), false);
  assert.equal(isSameMark({ kind: "stroke", object: 1, i: 0 }, { kind: "stroke", object: 1, i: 0 }), true);
});
