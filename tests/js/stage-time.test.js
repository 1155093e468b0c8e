// Written times, and frames and their times.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  frameEnd,
  framesAt,
  framesOfRange,
  moveRangeEnd,
  nearestFrame,
  parseRange,
  rangeOfFrames,
} from "../../assets/stage/pure/frames.js";
import { formatTime, parseTime } from "../../assets/stage/pure/timecode.js";

const TIMES = [0, 0.1, 0.2, 0.5, 0.6]; // of a variable rate

test("times are written with minutes and hundredths", () => {
  assert.equal(formatTime(3.21, "."), "00:03.21");
  assert.equal(formatTime(0, ","), "00:00,00");
  assert.equal(formatTime(59.999, "."), "01:00.00");
  assert.equal(formatTime(6000.5, "."), "100:00.50");
});

test("times are parsed in all their forms", () => {
  assert.equal(parseTime("00:03.21"), 3.21);
  assert.equal(parseTime(" 3,5 "), 3.5);
  assert.equal(parseTime("1:02:03"), 3723);
  assert.equal(parseTime("7."), 7);
});

test("invalid times are not parsed", () => {
  for (const text of ["", "abc", "-1", "1:2:3:4", ".5", "1.2.3", "1,000,000", "1e3", ":5"]) {
    assert.equal(parseTime(text), null, text);
  }
});

test("formatted times are parsed back", () => {
  for (const time of [0, 0.04, 9.99, 61.5, 3599.99]) {
    assert.equal(parseTime(formatTime(time, ",")), time);
  }
});

test("the nearest frame is found for every time", () => {
  for (const time of [-1, 0, 0.04, 0.05, 0.06, 0.15, 0.34, 0.36, 0.55, 0.6, 9]) {
    const distances = TIMES.map((at) => Math.abs(at - time));
    assert.equal(nearestFrame(time, TIMES), distances.indexOf(Math.min(...distances)), String(time));
  }
});

test("the nearest of none or one frame is the first", () => {
  assert.equal(nearestFrame(5, []), 0);
  assert.equal(nearestFrame(5, [0]), 0);
});

test("a frame ends where the next begins, the last with the video", () => {
  assert.equal(frameEnd(2, TIMES, 0.7), 0.5);
  assert.equal(frameEnd(4, TIMES, 0.7), 0.7);
  assert.equal(frameEnd(4, TIMES, 0.3), 0.6, "a duration that is too short does not end it before it begins");
  assert.equal(frameEnd(0, [], 2), 2);
});

test("a range without an end lasts to the end of the video", () => {
  assert.deepEqual(parseRange({}), { start: 0, end: null });
  assert.deepEqual(parseRange({ start: 0.1, end: 0 }), { start: 0.1, end: 0 });
  assert.deepEqual(framesOfRange({ start: 0.1, end: null }, TIMES, 5), { first: 1, last: 4 });
});

test("a range excludes the frame at its end and has at least one frame", () => {
  assert.deepEqual(framesOfRange({ start: 0.1, end: 0.5 }, TIMES, 5), { first: 1, last: 2 });
  assert.deepEqual(framesOfRange({ start: 0.1, end: 0.1 }, TIMES, 5), { first: 1, last: 1 });
});

test("frames and ranges round trip", () => {
  for (let first = 0; first < TIMES.length; first += 1) {
    for (let last = first; last < TIMES.length; last += 1) {
      const range = rangeOfFrames({ first, last }, TIMES);
      assert.deepEqual(framesOfRange(range, TIMES, TIMES.length), { first, last });
    }
  }
  assert.deepEqual(rangeOfFrames({ first: 0, last: 4 }, TIMES), { start: 0, end: null });
});

test("one end of a range does not pass the other", () => {
  const range = { first: 1, last: 3 };
  assert.deepEqual(moveRangeEnd(range, "start", 2), { first: 2, last: 3 });
  assert.deepEqual(moveRangeEnd(range, "start", 4), { first: 3, last: 3 });
  assert.deepEqual(moveRangeEnd(range, "end", 0), { first: 1, last: 1 });
});

test("times are converted to unique frames in order", () => {
  assert.deepEqual(framesAt([0.61, 0.1, 0.12], TIMES), [1, 4]);
});
