// Strings, colours and file names.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fits } from "../../assets/file-types.js";
import { colourOf, inkOn } from "../../assets/stage/pure/colours.js";
import { fill, languageCode } from "../../assets/words.js";

test("a language is chosen by its code, English where there is no other", () => {
  const table = { en: {}, es: {} };
  assert.equal(languageCode(table, "es"), "es");
  assert.equal(languageCode(table, "ES-ar"), "es");
  assert.equal(languageCode(table, null, "es"), "es", "the first that is named");
  assert.equal(languageCode(table, "de", "es"), "en", "and no other");
  assert.equal(languageCode(table), "en");
});

test("fields are filled in, and those that are not given stay", () => {
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

test("what is written in a colour can be told from it", () => {
  assert.equal(inkOn("#000000"), "#fff");
  assert.equal(inkOn("#ffffff"), "#111");
  assert.equal(inkOn("#949494"), "#fff", "3.03 to 1");
  assert.equal(inkOn("#959595"), "#111", "2.99 to 1");
  assert.equal(inkOn(""), "");
});

test("a field takes files by type and by ending", () => {
  const accept = "video/*, .mkv";
  assert.equal(fits({ name: "a.mp4", type: "video/mp4" }, accept), true);
  assert.equal(fits({ name: "A.MKV", type: "" }, accept), true);
  assert.equal(fits({ name: "a.png", type: "image/png" }, accept), false);
  assert.equal(fits({ name: "mkv", type: "" }, accept), false);
  assert.equal(fits({ name: "a.png", type: "image/png" }, ""), true);
});
