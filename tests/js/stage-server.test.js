// The server's answers to the stage: stale values, the cache of pictures, refusals.

import assert from "node:assert/strict";
import { test } from "node:test";
import { isStale, precedesNewestEdit } from "../../assets/stage/pure/answers.js";
import { PictureCache } from "../../assets/stage/pure/picture-cache.js";
import { Refusal, refusalOf } from "../../assets/stage/pure/refusal.js";

test("an answer to an edit of an earlier video is stale", () => {
  const value = { media: "/media/two" };
  assert.equal(isStale({ media: "/media/one", seq: 3 }, { value, before: 4 }), true, "of another video");
  assert.equal(
    isStale({ media: "/media/two", seq: 4 }, { value, before: 4 }),
    true,
    "of this one, before it came",
  );
  assert.equal(isStale({ media: "/media/two", seq: 5 }, { value, before: 4 }), false);
  assert.equal(
    isStale({ media: "/media/one", seq: 3 }, { value: null, before: -1 }),
    true,
    "the video has gone",
  );
});

test("a value that answers no edit is never stale", () => {
  const value = { media: "/media/two" };
  assert.equal(isStale({ media: "/media/one", seq: null }, { value, before: 4 }), false);
  assert.equal(isStale({ media: "/media/one" }, { value, before: 4 }), false);
  assert.equal(isStale(null, { value, before: 4 }), false);
});

test("an answer to an older edit does not undo a newer one", () => {
  assert.equal(precedesNewestEdit({ rev: "r", seq: 1 }, { seq: 2, answered: 0 }), true);
  assert.equal(precedesNewestEdit({ rev: "r", seq: 2 }, { seq: 2, answered: 0 }), false);
  assert.equal(precedesNewestEdit({ rev: "r" }, { seq: 2, answered: 1 }), true, "an edit is under way");
  assert.equal(precedesNewestEdit({ rev: "r" }, { seq: 2, answered: 2 }), false);
  assert.equal(
    precedesNewestEdit({ rev: null, seq: 2 }, { seq: 2, answered: 2 }),
    true,
    "the page's own value",
  );
});

test("the least recently shown picture is evicted first", () => {
  const released = [];
  const cache = new PictureCache(2, (picture) => released.push(picture));
  for (const url of ["a", "b"]) {
    cache.put(url, `blob:${url}`, false);
    cache.take(url);
  }
  assert.equal(cache.take("a"), "blob:a");
  cache.put("c", "blob:c", false);
  assert.deepEqual(released, [], "what has not been shown is in nobody's place");
  assert.equal(cache.take("c"), "blob:c");
  assert.deepEqual(released, ["blob:b"]);
  assert.equal(cache.has("a"), true);
  assert.equal(cache.has("b"), false);
  assert.throws(() => cache.take("b"), /b/);
});

test("a final picture replaces a preliminary one", () => {
  const released = [];
  const cache = new PictureCache(2, (picture) => released.push(picture));
  cache.put("a", "blob:hasty", true);
  assert.equal(cache.isHasty("a"), true);
  cache.put("a", "blob:final", false);
  assert.equal(cache.isHasty("a"), false);
  assert.deepEqual(released, ["blob:hasty"]);
  assert.equal(cache.take("a"), "blob:final");
});

test("a picture that stays preliminary is requested once", () => {
  const cache = new PictureCache(2, () => {});
  cache.put("a", "blob:a", true);
  cache.settle("a");
  assert.equal(cache.isHasty("a"), false);
  assert.equal(cache.has("a"), true);
});

test("all pictures are released at the end", () => {
  const released = [];
  const cache = new PictureCache(9, (picture) => released.push(picture));
  cache.put("a", "blob:a", true);
  cache.put("b", "blob:b", false);
  cache.clear();
  assert.deepEqual(released, ["blob:a", "blob:b"]);
  assert.equal(cache.has("a"), false);
  assert.equal(cache.isHasty("a"), false);
});

test("a refusal is the server's sentence, anything else its status", async () => {
  const refusal = await refusalOf(Response.json({ error: "Too many." }, { status: 429 }));
  assert.ok(refusal instanceof Refusal);
  assert.equal(refusal.message, "Too many.");
  for (const body of ['{"error": ""}', '{"error": 7}', "{}", "<html>", ""]) {
    const failure = await refusalOf(new Response(body, { status: 502 }));
    assert.equal(failure instanceof Refusal, false, body);
    assert.equal(failure.message, "502", body);
  }
});
