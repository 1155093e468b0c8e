// The things that a click would take, on the frame that is shown: asked for where a mouse rests.

/** @import { Outline, Position } from "../types" */

import { contains } from "../pure/outlines.js";
import { render } from "../render.js";
import { isAnswered } from "../selectors.js";
import { state } from "../state.js";

const REST_MS = 400;

/** Time after which a search that was given up, because the model was wanted, is tried again. */
const RETRY_MS = 1000;

/** Distance, in pixels of the frame, from a place with no thing within which no other place is asked about. */
const NEAR = 12;

let frame = ""; // the frame that the answers are about
/** @type {Outline[][]} */
let things = [];
/** @type {Position[]} */
let misses = [];
/** @type {?Position} */
let pointer = null;
let timer = 0;
let controller = new AbortController();

/** Tell whether a click takes the whole of a thing, so that it can be shown before. */
function isOffered() {
  const { value, view, tool, active, prompts, objects, gesture, playing } = state;
  if (!value?.splits || !value.can_point || view === "result" || tool !== "keep" || gesture || playing)
    return false;
  const enabled = objects.some(({ number, on }) => number === active && on);
  return enabled && !prompts.some(({ object }) => object === active);
}

/** Forget the answers about another frame. */
function forgetOthers() {
  const { value, index } = state;
  const shown = value ? JSON.stringify([value.media, value.model, index]) : "";
  if (shown === frame) return;
  frame = shown;
  [things, misses] = [[], []];
}

/** Return the outlines of the known thing under the pointer that a click would take; empty for none. */
export function thingUnderPointer() {
  forgetOthers();
  const at = pointer;
  if (!at || !isOffered()) return [];
  return things.find((outlines) => contains(outlines, at)) ?? [];
}

async function ask() {
  const at = pointer;
  forgetOthers();
  if (!at || !isOffered() || !isAnswered() || state.loading || thingUnderPointer().length) return;
  if (misses.some(({ x, y }) => Math.hypot(x - at.x, y - at.y) < NEAR)) return;
  const about = frame;
  controller = new AbortController();
  try {
    const url = `${state.value?.media}/frames/${state.index}/thing?x=${at.x}&y=${at.y}`;
    const response = await fetch(url, { signal: controller.signal });
    if (!response.ok || about !== frame) return;
    /** @type {?Outline[]} */
    const outlines = await response.json();
    if (!outlines) {
      if (pointer === at) timer = setTimeout(ask, RETRY_MS);
      return;
    }
    if (outlines.length) things.push(outlines);
    else misses.push(at);
  } catch {
    return; // left, or the server is away: nothing is outlined
  }
  render();
}

/**
 * Follow the mouse over the picture.
 * @param {?Position} at in pixels of the frame; null once it has left
 */
export function followPointer(at) {
  pointer = at;
  controller.abort();
  clearTimeout(timer);
  if (at && isOffered()) timer = setTimeout(ask, REST_MS);
}
