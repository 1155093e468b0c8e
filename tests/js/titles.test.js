// Titles of the page.

import assert from "node:assert/strict";
import { test } from "node:test";

import { titleOf } from "../../assets/titles.js";

test("the title tells how far a run is, and of which session", () => {
  assert.equal(titleOf(null, "a.mp4"), "Recorte");
  assert.equal(titleOf(0.439, "a.mp4"), "43 % · a.mp4 – Recorte");
  assert.equal(titleOf(0, ""), "0 % – Recorte");
  assert.equal(titleOf(0.999, "a"), "99 % · a – Recorte", "and not done before it is");
  assert.equal(titleOf(1, "a"), "100 % · a – Recorte");
});
