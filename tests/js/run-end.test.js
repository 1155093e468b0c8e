import assert from "node:assert/strict";
import { test } from "node:test";

import { endedRun } from "../../assets/run-end.js";

/**
 * @param {string} state
 * @param {string} [session]
 */
const status = (state, session = "a") => ({ session, name: "Beach", state });

test("a run ends once, whether it was seen running or not", () => {
  assert.equal(endedRun(status("running"), status("done")), "done");
  assert.equal(endedRun(status("queued"), status("done")), "done");
  assert.equal(endedRun(status("running"), status("failed")), "failed");
  assert.equal(endedRun(status("running"), status("interrupted")), "failed");
  assert.equal(endedRun(status("done"), status("done")), "");
});

test("a run that goes on, was cancelled, or is another session's has not ended", () => {
  assert.equal(endedRun(status("queued"), status("running")), "");
  assert.equal(endedRun(status("running"), status("cancelled")), "");
  assert.equal(endedRun(status("running"), status("done", "b")), "");
  assert.equal(endedRun(null, status("done")), "");
  assert.equal(endedRun(status("running"), null), "");
});
