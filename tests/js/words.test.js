// Strings, colours and file names.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fits } from "../../assets/file-types.js";
import { colourOf, inkOn } from "../../assets/stage/pure/colours.js";
import { fill, languageCode } from "../../assets/words.js";

test("a language is chosen by its code, else English", () => {
  const table = { en: {}, es: {} };
  assert.equal(languageCode(table, "es"), "es");
  assert.equal(languageCode(table, "ES-ar"), "es");
  assert.equal(languageCode(table, null, "es"), "es", "the first that is named");
  assert.equal(languageCode(table, "de", "es"), "en", "and no other");
  assert.equal(languageCode(table), "en");
});

test("given fields are filled in, others stay", () => {
  assert.equal(fill("{a} of {b}", { a: 1, b: 0 }), "1 of 0");
  assert.equal(fill("{a} of {b}", { a: "{b}" }), "{b} of {b}", "what was filled in is not filled again");
  assert.equal(fill("{a}"), "{a}");
});

test("objects take the palette's colours in turn", () => {
  const palette = ["#ff0000", "#00ff00"];
  assert.deepEqual(
    [1, 2, 3].map((number) => colourOf(palette, number)),
    ["#ff0000", "#00ff00", "#ff0000"],
  );
  assert.equal(colourOf([], 1), "");
});

test("text on a colour has enough contrast", () => {
  assert.equal(inkOn("#000000"), "#fff");
  assert.equal(inkOn("#ffffff"), "#111");
  assert.equal(inkOn("#949494"), "#fff", "3.03 to 1");
  assert.equal(inkOn("#959595"), "#111", "2.99 to 1");
  assert.equal(inkOn(""), "");
});

test("fields accept files by type and by suffix", () => {
  const accept = "video/*, .mkv";
  assert.equal(fits({ name: "a.mp4", type: "video/mp4" }, accept), true);
  assert.equal(fits({ name: "A.MKV", type: "" }, accept), true);
  assert.equal(fits({ name: "a.png", type: "image/png" }, accept), false);
  assert.equal(fits({ name: "mkv", type: "" }, accept), false);
  assert.equal(fits({ name: "a.png", type: "image/png" }, ""), true);
});
