import assert from "node:assert/strict";
import { test } from "node:test";

import { addressOf, isSamePlace, placeOfEntry } from "../../assets/place.js";

const PAGE = "http://127.0.0.1:7860/";

test("an entry's address has the session, its state the tab", () => {
  assert.deepEqual(placeOfEntry(PAGE, null), { session: "", tab: "cut" });
  assert.deepEqual(placeOfEntry(`${PAGE}?session=a`, {}), { session: "a", tab: "cut" });
  assert.deepEqual(placeOfEntry(`${PAGE}?session=a`, { tab: "sessions" }), { session: "a", tab: "sessions" });
});

test("an address changes in nothing but the session", () => {
  assert.equal(addressOf(`${PAGE}?a=b#c`, { session: "x", tab: "cut" }), `${PAGE}?a=b&session=x#c`);
  assert.equal(addressOf(`${PAGE}?session=x`, { session: "y", tab: "cut" }), `${PAGE}?session=y`);
  assert.equal(addressOf(`${PAGE}?session=x`, { session: "", tab: "sessions" }), PAGE);
});

test("the list of sessions is one place, whichever session is on the other tab", () => {
  const [a, b] = ["a", "b"].map((session) => ({ session, tab: "cut" }));
  const [listA, listB] = ["a", "b"].map((session) => ({ session, tab: "sessions" }));
  assert.ok(isSamePlace(a, { ...a }) && isSamePlace(listA, listB));
  assert.ok(!isSamePlace(a, b) && !isSamePlace(a, listA));
});
