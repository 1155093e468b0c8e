// The stored history of a video.

import assert from "node:assert/strict";
import { test } from "node:test";

import { capped, matching } from "../../assets/stage/pure/history.js";

const present = { prompts: [], objects: [{ number: 1, name: "", on: true }], range: { start: 0, end: null } };
const moment = (index) => ({ ...present, active: 1, index });

test("a history is taken up where it leads to what is present", () => {
  const stored = JSON.stringify(capped({ ...present, undo: [moment(1)], redo: [moment(2)] }));
  assert.deepEqual(matching(stored, present), { undo: [moment(1)], redo: [moment(2)] });
  assert.equal(matching(stored, { ...present, range: { start: 1, end: null } }), null, "changed elsewhere");
  assert.equal(matching(null, present), null);
  assert.equal(matching("{", present), null);
});

test("only the newest steps are kept", () => {
  const long = Array.from({ length: 80 }, (_, n) => moment(n));
  const { undo, redo } = capped({ ...present, undo: long, redo: long });
  assert.deepEqual([undo.length, undo[0].index, undo.at(-1).index], [50, 30, 79]);
  assert.equal(redo.length, 50);
});
