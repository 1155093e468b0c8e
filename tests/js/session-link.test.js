// Links to a session.

import assert from "node:assert/strict";
import { test } from "node:test";

import { sessionIn } from "../../assets/session-link.js";

const ID = "0b9c8a1e-1f3d-4c5b-8a7e-2d4f6a8b0c1d";

test("a link to a session is told from other texts", () => {
  assert.equal(sessionIn(`http://127.0.0.1:7860/?session=${ID}`), ID);
  assert.equal(sessionIn(` https://recorte.example/?a=1&session=${ID}#top \r\n# a comment`), ID);
  for (const text of [
    "",
    "a word",
    ID,
    `javascript:alert(1)?session=${ID}`,
    `file:///tmp/?session=${ID}`,
    "http://127.0.0.1:7860/",
    "http://127.0.0.1:7860/?session=../../etc",
    `http://127.0.0.1:7860/?session=${ID}0`,
  ])
    assert.equal(sessionIn(text), "", text);
});
