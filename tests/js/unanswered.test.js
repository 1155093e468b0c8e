// Waiting for the answers to the page's events.

import assert from "node:assert/strict";
import { test } from "node:test";
import { answersOnce, createUnanswered } from "../../assets/unanswered.js";

const REQUEST = /** @type {const} */ (["/queue/join", { body: '{"fn_index": 3}' }]);

/** An event, and a function that answers it. */
function event() {
  let answer = () => {};
  const answered = new Promise((resolve) => {
    answer = resolve;
  });
  return { answered, answer };
}

/** Let everything happen that waits for nothing but promises. */
async function pass() {
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
}

test("nothing is waited for where nothing was sent", async () => {
  await createUnanswered(() => true).settled();
});

test("every event that was sent is waited for", async () => {
  const unanswered = createUnanswered(
    () => true,
    async () => {},
  );
  const events = [event(), event()];
  for (const { answered } of events) unanswered.add(REQUEST, answered);
  let settled = false;
  unanswered.settled().then(() => {
    settled = true;
  });
  events[1].answer();
  await pass();
  assert.equal(settled, false);
  events[0].answer();
  await pass();
  assert.equal(settled, true);
});

test("an edit that waited for the answer to another is waited for, too", async () => {
  const next = event();
  const unanswered = createUnanswered(
    () => true,
    async () => sent.shift()?.(),
  );
  const sent = [() => unanswered.add(REQUEST, next.answered)];
  unanswered.add(REQUEST, Promise.resolve());
  let settled = false;
  unanswered.settled().then(() => {
    settled = true;
  });
  await pass();
  assert.equal(settled, false);
  next.answer();
  await pass();
  assert.equal(settled, true);
});

test("an event that may take long is not waited for", async () => {
  const unanswered = createUnanswered(() => false);
  unanswered.add(REQUEST, event().answered);
  await unanswered.settled();
});

test("the event of a generator answers more than once", () => {
  const config = (generator) => ({ dependencies: [{ id: 3, types: { generator } }] });
  assert.equal(answersOnce(REQUEST, config(true)), false);
  assert.equal(answersOnce(REQUEST, config(false)), true);
});
