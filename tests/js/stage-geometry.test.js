import assert from "node:assert/strict";
import { test } from "node:test";
import {
  boxBetween,
  distance,
  heldViewport,
  inside,
  isTiny,
  midpoint,
  moveBox,
  resizeBox,
  tenth,
  toPercent,
  toPixels,
  zoomedViewport,
} from "../../assets/stage/pure/geometry.js";

const FRAME = { width: 640, height: 360 };
const WHOLE = { zoom: 1, x: 0, y: 0 };

test("positions are limited to the frame and rounded to a tenth of a pixel", () => {
  assert.equal(tenth(1.25001), 1.3);
  assert.deepEqual(inside({ x: -3, y: 12.3456 }, FRAME), { x: 0, y: 12.3 });
  assert.deepEqual(inside({ x: 641, y: 360.04 }, FRAME), { x: 640, y: 360 });
});

test("a box may be drawn from any corner", () => {
  const box = [10, 20, 30, 50];
  assert.deepEqual(boxBetween({ x: 10, y: 20 }, { x: 30, y: 50 }), box);
  assert.deepEqual(boxBetween({ x: 30, y: 20 }, { x: 10, y: 50 }), box);
  assert.deepEqual(boxBetween({ x: 30, y: 50 }, { x: 10, y: 20 }), box);
});

test("a box of less than two pixels either way is ignored", () => {
  assert.equal(isTiny([0, 0, 2, 2]), false);
  assert.equal(isTiny([0, 0, 1.9, 100]), true);
  assert.equal(isTiny([0, 0, 100, 1.9]), true);
});

test("a moved box keeps its size and stays inside the frame", () => {
  assert.deepEqual(moveBox([10, 10, 50, 60], 5.04, -3, FRAME), [15, 7, 55, 57]);
  assert.deepEqual(moveBox([10, 10, 50, 60], -30, -30, FRAME), [0, 0, 40, 50]);
  assert.deepEqual(moveBox([10, 10, 50, 60], 1000, 1000, FRAME), [600, 310, 640, 360]);
});

test("a corner moves two sides, not past the others", () => {
  const box = [10, 10, 50, 60];
  assert.deepEqual(resizeBox(box, "nw", { x: 5, y: 6 }), [5, 6, 50, 60]);
  assert.deepEqual(resizeBox(box, "ne", { x: 70, y: 6 }), [10, 6, 70, 60]);
  assert.deepEqual(resizeBox(box, "sw", { x: 5, y: 90 }), [5, 10, 50, 90]);
  assert.deepEqual(resizeBox(box, "se", { x: 0, y: 0 }), [10, 10, 12, 12]);
  assert.deepEqual(resizeBox(box, "nw", { x: 100, y: 100 }), [48, 58, 50, 60]);
});

test("distances and midpoints", () => {
  const a = { clientX: 0, clientY: 0 };
  const b = { clientX: 30, clientY: 40 };
  assert.equal(distance(a, b), 50);
  assert.equal(distance(a, a), 1, "it is divided by");
  assert.deepEqual(midpoint(a, b), { clientX: 15, clientY: 20 });
});

test("a viewport stays inside the picture", () => {
  assert.deepEqual(heldViewport({ zoom: 2, x: 0.5, y: -3 }), { zoom: 2, x: 0, y: -1 });
  assert.deepEqual(heldViewport({ zoom: 1, x: 0.5, y: -3 }), { zoom: 1, x: 0, y: 0 });
});

test("zooming keeps the position under the pointer", () => {
  const place = { u: 0.25, v: 0.75 };
  const before = toPixels(place, WHOLE, FRAME);
  for (const zoom of [1.5, 4, 12]) {
    assert.deepEqual(toPixels(place, zoomedViewport(WHOLE, zoom, place), FRAME), before);
  }
});

test("pinching keeps the position between two fingers", () => {
  const start = { zoom: 2, x: -0.5, y: -0.5 };
  const from = { u: 0.5, v: 0.5 };
  const to = { u: 0.6, v: 0.4 };
  assert.deepEqual(toPixels(to, zoomedViewport(start, 4, from, to), FRAME), toPixels(from, start, FRAME));
});

test("zoom is limited", () => {
  assert.equal(zoomedViewport(WHOLE, 100, { u: 0, v: 0 }).zoom, 12);
  assert.deepEqual(zoomedViewport({ zoom: 3, x: -1, y: -1 }, 0.1, { u: 0.5, v: 0.5 }), WHOLE);
});

test("pixels and percent of the frame's box round trip", () => {
  const viewport = { zoom: 3, x: -0.7, y: -1.1 };
  const { left, top } = toPercent({ x: 200, y: 150 }, viewport, FRAME);
  assert.deepEqual(toPixels({ u: left / 100, v: top / 100 }, viewport, FRAME), { x: 200, y: 150 });
  assert.deepEqual(toPercent({ x: 320, y: 90 }, WHOLE, FRAME), { left: 50, top: 25 });
});
