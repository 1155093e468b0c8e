import assert from "node:assert/strict";
import test from "node:test";
import { MediaClock } from "../../assets/stage/pure/media-clock.js";
import {
  frameOf,
  frameShownAt,
  nextSpeed,
  nextStep,
  Pace,
  stepOf,
  wrapTime,
} from "../../assets/stage/pure/playback.js";

const VARIABLE = [0, 0.04, 0.08, 0.5, 0.52, 1];
const PART = { first: 10, last: 14 };

test("a clock runs at its rate, both ways", () => {
  const clock = new MediaClock(2, 2, 1000);
  assert.equal(clock.at(1000), 2);
  assert.equal(clock.at(1500), 3);
  assert.equal(new MediaClock(2, -1, 1000).at(1500), 1.5);
  clock.set(7, 1500);
  assert.equal(clock.at(2000), 8);
});

test("a clock follows small differences little by little and large ones at once", () => {
  const clock = new MediaClock(0, 1, 0);
  clock.follow(1.04, 1000);
  assert.ok(Math.abs(clock.at(1000) - 1.004) < 1e-9);
  clock.follow(0.5, 1000);
  assert.equal(clock.at(1000), 0.5, "a sound that stalls holds the pictures");
  clock.follow(0.5, 1200);
  assert.equal(clock.at(1200), 0.5);
  for (let now = 1220; now <= 4200; now += 20) clock.follow(0.5 + (now - 1200) / 1000 + 0.03, now);
  assert.ok(Math.abs(clock.at(4200) - 3.53) < 0.002, "the difference is made up");
});

test("the frame that is shown is the last that has begun", () => {
  for (const [time, index] of [
    [-1, 0],
    [0, 0],
    [0.039, 0],
    [0.04, 1],
    [0.4, 2],
    [0.5, 3],
    [9, 5],
  ]) {
    assert.equal(frameShownAt(time, VARIABLE), index);
  }
  assert.equal(frameShownAt(3, []), 0);
});

test("speeds rise with each press, and turn round at once", () => {
  assert.deepEqual([nextSpeed(0, 1), nextSpeed(1, 1), nextSpeed(2, 1)], [1, 2, 2]);
  assert.deepEqual([nextSpeed(0, -1), nextSpeed(-1, -1), nextSpeed(-2, -1)], [-1, -2, -2]);
  assert.deepEqual([nextSpeed(2, -1), nextSpeed(-2, 1)], [-1, 1]);
});

test("time goes round within the part, either way", () => {
  const part = { begin: 1, end: 3 };
  assert.deepEqual(wrapTime(1.5, part), { time: 1.5, turns: 0 });
  assert.deepEqual(wrapTime(3.25, part), { time: 1.25, turns: 1 });
  assert.deepEqual(wrapTime(7.5, part), { time: 1.5, turns: 3 });
  assert.deepEqual(wrapTime(0.5, part), { time: 2.5, turns: -1 });
  assert.deepEqual(wrapTime(5, { begin: 2, end: 2 }), { time: 2, turns: 0 });
});

test("steps count in the direction of playing", () => {
  assert.deepEqual(
    [10, 12, 14].map((index) => stepOf(index, PART, 1)),
    [0, 2, 4],
  );
  assert.deepEqual(
    [10, 12, 14].map((index) => stepOf(index, PART, -2)),
    [4, 2, 0],
  );
  assert.deepEqual(
    [0, 4, 5, 11].map((step) => frameOf(step, PART, 1)),
    [10, 14, 10, 11],
  );
  assert.deepEqual(
    [0, 4, 5, 11].map((step) => frameOf(step, PART, -1)),
    [14, 10, 14, 13],
  );
});

/** The steps that are asked for one after another while the shown one stays where it is. */
function asked(how, most = 99) {
  const steps = [];
  let last = how.asked ?? -1;
  for (let n = 0; n < most; n += 1) {
    const step = nextStep({ due: 0, lead: 1, stride: 1, loop: false, horizon: 8, ...how, asked: last });
    if (step === null) break;
    steps.push(step);
    last = step;
  }
  return steps;
}

test("every frame is asked for up to the horizon where there is time", () => {
  assert.deepEqual(asked({ count: 100, horizon: 4 }), [1, 2, 3, 4]);
  assert.deepEqual(asked({ count: 100, horizon: 4, due: 3, asked: 5 }), [6, 7]);
});

test("what cannot be here in time is passed over", () => {
  assert.deepEqual(asked({ count: 100, due: 10, asked: 11, lead: 5, horizon: 7 }), [15, 16, 17]);
});

test("by strides the same frames are asked for in each turn, and the last one always", () => {
  assert.deepEqual(asked({ count: 10, stride: 3, horizon: 20 }), [3, 6, 9]);
  assert.deepEqual(asked({ count: 9, stride: 3, horizon: 20 }), [3, 6, 8]);
  assert.deepEqual(asked({ count: 8, stride: 3, horizon: 20, loop: true }), [3, 6, 8, 11, 14, 16, 19]);
  assert.deepEqual(asked({ count: 1, horizon: 20 }), []);
});

test("a part without an end ahead asks for no more than the horizon", () => {
  assert.deepEqual(asked({ count: 3, loop: true, horizon: 5 }), [1, 2, 3, 4, 5]);
});

test("the pace says how many frames to pass over", () => {
  const pace = new Pace();
  assert.deepEqual([pace.lead(40), pace.stride(40)], [0, 1], "nothing is known yet");
  for (let n = 0; n < 40; n += 1) pace.note(240, 3);
  assert.deepEqual([pace.lead(40), pace.stride(40)], [6, 2], "80 ms each");
  assert.equal(pace.stride(20), 4);
  for (let n = 0; n < 40; n += 1) pace.note(30, 3);
  assert.deepEqual(
    [1, 2, 3, 4].map(() => pace.stride(40)),
    [3, 2, 1, 1],
  );
});

test("a stride that is just enough is kept", () => {
  const pace = new Pace();
  pace.note(41, 1);
  assert.equal(pace.stride(40), 2);
  for (let n = 0; n < 40; n += 1) pace.note(38, 1);
  assert.equal(pace.stride(40), 2);
});
