// The cut that the server makes in the background: its frames, and when it is asked about.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  growingSpans,
  isSameReport,
  LATER_MS,
  mergeSpans,
  placeSpans,
  pollDelay,
  SOON_MS,
  spansHold,
  subtractSpans,
} from "../../assets/stage/pure/cut.js";

const report = (changes) => ({
  rev: "r",
  state: "cutting",
  ready: [],
  checks: [],
  done: 0,
  total: 40,
  rate: 0,
  left: null,
  message: "",
  ...changes,
});

test("spans are merged where they touch or overlap, and empty ones go", () => {
  const spans = [
    [20, 30],
    [5, 5],
    [0, 4],
    [4, 6],
    [25, 28],
  ];
  const before = structuredClone(spans);
  assert.deepEqual(mergeSpans(spans), [
    [0, 6],
    [20, 30],
  ]);
  assert.deepEqual(spans, before, "what was given stays as it was");
  assert.deepEqual(mergeSpans([]), []);
});

test("a span ends before its second number", () => {
  const spans = [
    [2, 4],
    [8, 9],
  ];
  assert.deepEqual(
    [1, 2, 3, 4, 8, 9].map((index) => spansHold(spans, index)),
    [false, true, true, false, true, false],
  );
});

test("frames are taken out of spans at their ends, in the middle and whole", () => {
  assert.deepEqual(subtractSpans([[0, 10]], [[3, 5]]), [
    [0, 3],
    [5, 10],
  ]);
  assert.deepEqual(
    subtractSpans(
      [[0, 10]],
      [
        [0, 2],
        [8, 20],
      ],
    ),
    [[2, 8]],
  );
  assert.deepEqual(
    subtractSpans(
      [
        [0, 3],
        [5, 9],
      ],
      [[2, 12]],
    ),
    [[0, 2]],
  );
  assert.deepEqual(subtractSpans([[0, 3]], []), [[0, 3]]);
  assert.deepEqual(subtractSpans([[4, 6]], [[0, 40]]), []);
});

test("what grows goes on in the direction in which it grew", () => {
  assert.deepEqual(growingSpans([[10, 20]], [[10, 25]], 2, 40), [[25, 27]]);
  assert.deepEqual(growingSpans([[10, 20]], [[6, 20]], 2, 40), [[4, 6]]);
  assert.deepEqual(growingSpans([], [[0, 3]], 2, 40), [[3, 5]], "the first frames");
  assert.deepEqual(growingSpans([[10, 38]], [[10, 40]], 2, 40), [], "there are no more behind the last");
  assert.deepEqual(growingSpans([[10, 20]], [[10, 20]], 2, 40), [], "nothing came");
  assert.deepEqual(
    growingSpans(
      [
        [0, 5],
        [7, 9],
      ],
      [[0, 9]],
      2,
      40,
    ),
    [],
    "a gap was closed",
  );
});

test("spans lie where the timeline's thumb stands on their frames", () => {
  assert.deepEqual(placeSpans([[0, 41]], 41), [{ left: 0, width: 100 }]);
  const [{ left, width }] = placeSpans([[20, 21]], 41);
  assert.ok(Math.abs(left + width / 2 - 50) < 1e-9, "the frame in the middle has its middle in the middle");
  assert.ok(Math.abs(width - 2.5) < 1e-9);
  assert.deepEqual(placeSpans([[0, 1]], 1), [{ left: 0, width: 100 }], "a video of one frame");
});

test("it is asked about often while something changes, and not at all where nothing does", () => {
  assert.equal(pollDelay(report({}), 9), SOON_MS);
  assert.equal(pollDelay(report({ state: "waiting" }), 0), SOON_MS);
  assert.equal(pollDelay(report({ state: "waiting" }), 1), LATER_MS);
  assert.equal(pollDelay(report({ state: "slow" }), 1), LATER_MS);
  assert.equal(pollDelay(report({ state: "slow", left: 0 }), 0), null);
  assert.equal(pollDelay(report({ state: "slow", left: 0, again: null }), 0), null);
  assert.equal(
    pollDelay(report({ state: "slow", left: 0, again: 29.9996 }), 0),
    30000,
    "nothing happens before",
  );
  assert.equal(pollDelay(report({ state: "slow", left: 0, again: 0 }), 0), LATER_MS, "it is measured now");
  for (const state of ["done", "failed", "idle"]) assert.equal(pollDelay(report({ state }), 0), null, state);
});

test("reports that differ in the pace alone say the same of the frames", () => {
  assert.equal(isSameReport(report({ rate: 3, left: 9 }), report({ rate: 4, left: 8 })), true);
  assert.equal(isSameReport(null, report({})), false);
  for (const change of [
    { rev: "s" },
    { state: "done" },
    { ready: [[0, 1]] },
    { checks: [1] },
    { done: 1 },
    { total: 6 },
    { message: "No." },
  ]) {
    assert.equal(isSameReport(report({}), report(change)), false, JSON.stringify(change));
  }
});
