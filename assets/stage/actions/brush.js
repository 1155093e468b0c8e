// The brush: its size, and the stroke that is painted.

/** @import { ClientPosition, Stroke } from "../types" */

import { toFrame } from "../pure/geometry.js";
import { brushWidth, MOST_STROKES, middleOf, nearFrame, pressureFactor, simplify } from "../pure/strokes.js";
import { render } from "../render.js";
import { marksHere, video } from "../selectors.js";
import { state } from "../state.js";
import { edit } from "./edits.js";
import { withMarks } from "./marks.js";
import { partsOf } from "./viewport.js";

const KEY = "recorte.brush";
/** Of the size, from 0 to 100, by key or wheel. */
export const BRUSH_STEP = 4;

/** Return whether a pointer on the picture paints. */
export const isBrush = () => state.tool === "brush" || state.tool === "erase";

/** Return the brush's diameter in pixels of the frame. */
export const currentWidth = () => brushWidth(state.brush, video());

/** Take over the size that was remembered. */
export function loadBrush() {
  try {
    const size = Number(localStorage.getItem(KEY) ?? state.brush);
    if (size >= 0 && size <= 100) state.brush = size;
  } catch {
    // The browser keeps nothing.
  }
}

/** @param {number} size 0 to 100 */
export function setBrush(size) {
  state.brush = Math.min(100, Math.max(0, size));
  try {
    localStorage.setItem(KEY, String(state.brush));
  } catch {
    // The browser keeps nothing.
  }
  render();
}

/**
 * Return the place of a pointer in pixels of the frame; it may lie beside the frame.
 * @param {ClientPosition} at
 * @returns {[number, number]}
 */
function placeOf(at) {
  const { x, y } = nearFrame(toFrame(partsOf(at), state, video()), video());
  return [x, y];
}

/**
 * Begin a stroke.
 * @param {PointerEvent} event
 * @param {boolean} keep
 */
export function beginStroke(event, keep) {
  state.stroke = { path: [placeOf(event)], width: widthOf([event]), keep };
}

/**
 * Lengthen the stroke, with all that a pointer has passed since the last event.
 * @param {PointerEvent} event
 * @param {PointerEvent[]} pressed the stroke's events so far, whose pressure counts
 */
export function lengthenStroke(event, pressed) {
  const { stroke } = state;
  if (!stroke) return;
  const passed = event.getCoalescedEvents?.() ?? [];
  const events = passed.length ? passed : [event];
  pressed.push(...events);
  const path = [...stroke.path];
  for (const place of events.map(placeOf)) {
    const [x, y] = path[path.length - 1];
    if (place[0] !== x || place[1] !== y) path.push(place);
  }
  state.stroke = { ...stroke, path, width: widthOf(pressed) };
}

/**
 * Return the width of a stroke: that of the brush, times a pen's mean pressure.
 * @param {PointerEvent[]} events
 */
function widthOf(events) {
  const width = currentWidth();
  if (events[0].pointerType !== "pen") return width;
  const mean = events.reduce((sum, event) => sum + event.pressure, 0) / events.length;
  return Math.max(1, Math.round(10 * width * pressureFactor(mean)) / 10);
}

/** Make the stroke that was painted a mark. */
export function endStroke() {
  const { stroke } = state;
  state.stroke = null;
  if (stroke) addStroke(stroke);
}

/**
 * Add a stroke of the active object on this frame.
 * @param {Stroke} stroke
 */
export function addStroke(stroke) {
  const { strokes = [] } = marksHere(state.prompts);
  if (strokes.length >= MOST_STROKES) return;
  const added = { ...stroke, path: simplify(stroke.path, Math.max(0.5, stroke.width / 60)) };
  edit(
    { prompts: withMarks(() => ({ strokes: [...strokes, added] })) },
    { kind: "stroke", object: state.active, i: strokes.length },
  );
}

/**
 * Return where the handle of a stroke is.
 * @param {Stroke} stroke
 */
export const handleOf = (stroke) => middleOf(stroke.path);
