import assert from "node:assert/strict";
import { test } from "node:test";

import { isCropped, placeInWindow, windowAt } from "../../assets/stage/pure/crop.js";

const frame = { width: 1280, height: 720 };
const size = { width: 404, height: 720 };

test("a window lies where its frame has it", () => {
  const windows = {
    first: 10,
    corners: [
      [100, 0],
      [110, 0],
    ],
  };
  assert.deepEqual(windowAt(size, windows, 11, frame), { box: [110, 0, 514, 720], known: true });
});

test("a window lies in the middle while its place is not known, and outside of the result", () => {
  const middle = { box: [438, 0, 842, 720], known: false };
  assert.deepEqual(windowAt(size, null, 11, frame), middle);
  assert.deepEqual(windowAt(size, { first: 10, corners: [[100, 0]] }, 9, frame), middle);
  assert.deepEqual(windowAt(size, { first: 10, corners: [[100, 0]] }, 11, frame), middle);
});

test("a result of another aspect ratio is cropped, one that was padded to an even size is not", () => {
  assert.equal(isCropped(size, frame), true);
  assert.equal(isCropped({ width: 720, height: 720 }, frame), true);
  assert.equal(isCropped(frame, frame), false);
  assert.equal(isCropped({ width: 642, height: 362 }, { width: 641, height: 361 }), false);
  assert.equal(isCropped({ width: 64, height: 36 }, { width: 63, height: 35 }), false);
});

test("of a picture that is laid into the window's box, the window is seen", () => {
  const place = placeInWindow([100, 0, 420, 720], frame);
  assert.deepEqual(place, { width: 400, left: -31.25, top: -0 });
  assert.deepEqual(placeInWindow([0, 180, 1280, 540], frame), { width: 100, left: -0, top: -50 });
});
