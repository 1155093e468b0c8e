// Pointers on the picture: clicks, boxes, moved marks, panning, zooming and pinching.

/** @import { Box, Corner, Gesture, MarkRef } from "../types" */

import { BRUSH_STEP, beginStroke, endStroke, isBrush, lengthenStroke, setBrush } from "../actions/brush.js";
import { edit } from "../actions/edits.js";
import { undo } from "../actions/history.js";
import { addPoint, deleteMark, withBox, withMovedMark } from "../actions/marks.js";
import { activate } from "../actions/objects.js";
import { fit, partsOf, pinchTo, pixelOf, place, zoomAt } from "../actions/viewport.js";
import { closest, targetOf } from "../dom.js";
import { drawRing } from "../drawing/strokes.js";
import { part } from "../parts.js";
import { pause } from "../playback/player.js";
import { boxBetween, distance, isTiny, midpoint, resizeBox } from "../pure/geometry.js";
import { render } from "../render.js";
import { marksHere, video } from "../selectors.js";
import { state } from "../state.js";

/** @typedef {Exclude<Gesture, {kind: "pinch"}>} OnePointerGesture */

/** CSS pixels before a press becomes a drag. @type {Record<string, number>} */
const DRAG_PX = { mouse: 4, pen: 5, touch: 8 };
const DOUBLE_TAP = { ms: 300, px: 24 };
const OWN_CONTROLS = "[data-delete], .fit, .candidates, .divider";

/** The pointers that are down. @type {Map<number, PointerEvent>} */
const pointers = new Map();
let lastTap = { time: 0, clientX: 0, clientY: 0 };

/**
 * Return the mark under an element, and its corner if the element is one.
 * @param {HTMLElement} target
 * @returns {?{mark: MarkRef, corner: ?Corner}}
 */
function markUnder(target) {
  /** @type {?HTMLElement} */
  const node = target.closest("[data-mark]");
  if (!node) return null;
  const object = Number(node.dataset.object);
  const i = node.dataset.mark;
  /** @type {MarkRef} */
  const mark =
    i === "box" ? { kind: "box", object } : { kind: kindOf(i), object, i: Number(i?.split("-").pop()) };
  /** @type {?HTMLElement} */
  const corner = target.closest("[data-corner]");
  return { mark, corner: corner && /** @type {Corner} */ (corner.dataset.corner) };
}

/**
 * Return the kind of a mark that is not a box, by its `data-mark`.
 * @param {string} [name]
 */
const kindOf = (name) => (name?.startsWith("stroke") ? "stroke" : "point");

/** @param {PointerEvent} event */
export function onPointerDown(event) {
  part.picture.classList.remove("aim");
  if (!state.value || state.view === "result" || closest(event, OWN_CONTROLS)) return;
  if (pointers.size && event.pointerType === "mouse") return;
  if (state.playing) pause(); // at the frame that is seen: the click is about it
  pointers.set(event.pointerId, event);
  part.picture.setPointerCapture(event.pointerId);
  if (pointers.size === 2) startPinch();
  if (pointers.size > 1) return;
  state.gesture = gestureFrom(event);
  if (state.gesture.kind === "pan") event.preventDefault();
  moveRing(event);
  render();
}

/**
 * Return the gesture that a pointer starts.
 * @param {PointerEvent} event
 * @returns {Gesture}
 */
function gestureFrom(event) {
  const press = { id: event.pointerId, from: event, type: event.pointerType };
  state.spacePanned = state.spaceHeld;
  if (event.button === 1 || state.spaceHeld) return { ...press, kind: "pan", x: state.x, y: state.y };
  const second = event.button === 2 || event.shiftKey || event.ctrlKey;
  if (isBrush()) {
    const isEraser = second || (event.pointerType === "pen" && event.button === 5); // the pen's other end
    state.selected = null;
    beginStroke(event, state.tool === "brush" && !isEraser);
    return { ...press, kind: "paint", pressed: [event] };
  }
  const found = markUnder(targetOf(event));
  if (found) {
    const { mark, corner } = found;
    activate(mark.object);
    if (!corner) return { ...press, kind: "mark", mark };
    const box = /** @type {Box} */ (marksHere(state.prompts).box);
    return { ...press, kind: "corner", mark, corner, box };
  }
  return { ...press, kind: "press", second };
}

function startPinch() {
  const [a, b] = [...pointers.values()];
  Object.assign(state, { rubber: null, draft: null, stroke: null });
  const { zoom, x, y } = state;
  state.gesture = { kind: "pinch", gap: distance(a, b), zoom, x, y, ...partsOf(midpoint(a, b)) };
  render();
}

/**
 * Move the brush's ring to a pointer; a finger has one only while it paints.
 * @param {PointerEvent} event
 */
function moveRing(event) {
  const isOver = event.pointerType !== "touch" || state.gesture?.kind === "paint";
  state.hover = isOver && !closest(event, OWN_CONTROLS) ? partsOf(event) : null;
  drawRing();
}

export function onPointerLeave() {
  state.hover = null;
  drawRing();
}

/** @param {PointerEvent} event */
export function onPointerMove(event) {
  moveRing(event);
  if (!pointers.has(event.pointerId)) return;
  pointers.set(event.pointerId, event);
  const { gesture } = state;
  if (!gesture) return;
  if (gesture.kind === "pinch") {
    const [a, b] = [...pointers.values()];
    pinchTo(gesture, (gesture.zoom * distance(a, b)) / gesture.gap, gesture, partsOf(midpoint(a, b)));
    return;
  }
  if (gesture.id !== event.pointerId) return;
  if (gesture.kind === "paint") {
    lengthenStroke(event, gesture.pressed);
    render();
    return;
  }
  const needed = state.tool === "box" && gesture.kind === "press" ? 1 : DRAG_PX[gesture.type] || 4;
  if (!gesture.dragged && distance(gesture.from, event) < needed) return;
  gesture.dragged = true;
  drag(gesture.kind === "press" ? startDrag(gesture) : gesture, event);
}

/**
 * Turn a moved press into drawing a box, or into panning if the model does not support boxes.
 * @param {OnePointerGesture} press
 * @returns {OnePointerGesture}
 */
function startDrag({ id, from, type }) {
  const kind = video().can_box ? "box" : "pan";
  const gesture = { id, from, type, dragged: true, kind, x: state.x, y: state.y };
  state.gesture = /** @type {OnePointerGesture} */ (gesture);
  return state.gesture;
}

/**
 * @param {OnePointerGesture} gesture
 * @param {PointerEvent} event
 */
function drag(gesture, event) {
  const a = pixelOf(gesture.from);
  const b = pixelOf(event);
  if (gesture.kind === "box") {
    state.rubber = boxBetween(a, b);
  } else if (gesture.kind === "mark") {
    state.selected = gesture.mark;
    state.draft = withMovedMark(gesture.mark, b.x - a.x, b.y - a.y);
  } else if (gesture.kind === "corner") {
    state.draft = withBox(resizeBox(gesture.box, gesture.corner, b), gesture.mark.object);
  } else if (gesture.kind === "pan") {
    const rect = part.picture.getBoundingClientRect();
    const dx = (event.clientX - gesture.from.clientX) / rect.width;
    const dy = (event.clientY - gesture.from.clientY) / rect.height;
    place(state.zoom, gesture.x + dx, gesture.y + dy);
    return;
  }
  render();
}

/** @param {PointerEvent} event */
export function onPointerUp(event) {
  if (!pointers.delete(event.pointerId) || !state.gesture) return;
  const done = state.gesture;
  if (done.kind === "pinch") {
    if (!pointers.size) state.gesture = null; // the remaining finger draws nothing
    return;
  }
  if (done.id !== event.pointerId) return;
  state.gesture = null;
  if (done.kind === "paint") {
    if (event.pointerType === "touch") state.hover = null;
    endStroke();
    render();
    return;
  }
  const { rubber, draft } = state;
  Object.assign(state, { rubber: null, draft: null });
  if (done.kind === "box" && rubber) {
    if (!isTiny(rubber)) edit({ prompts: withBox(rubber) }, { kind: "box", object: state.active });
  } else if (draft) {
    edit({ prompts: draft }, "mark" in done ? done.mark : null);
  } else if (!done.dragged) {
    tap(done, event);
  }
  render();
}

/**
 * Handle a press that did not move as a click.
 * @param {OnePointerGesture} press
 * @param {PointerEvent} event
 */
function tap(press, event) {
  if (press.type !== "mouse" && isDoubleTap(event)) {
    if (state.newest) undo(); // of the first tap's point
    fit();
  } else if (press.kind === "mark") {
    state.selected = press.mark;
  } else if (press.kind === "press") {
    if (state.selected) state.selected = null;
    if (state.tool === "box" && !press.second) return;
    const { x, y } = pixelOf(press.from);
    addPoint(x, y, !press.second && state.tool !== "remove");
  }
}

/**
 * Return whether this is the second of two taps on a magnified picture.
 * @param {PointerEvent} event
 */
function isDoubleTap(event) {
  const now = performance.now();
  const isNear = distance(lastTap, event) < DOUBLE_TAP.px;
  const isSecond = state.zoom > 1 && now - lastTap.time < DOUBLE_TAP.ms && isNear;
  const { clientX, clientY } = event;
  lastTap = isSecond ? { time: 0, clientX: 0, clientY: 0 } : { time: now, clientX, clientY };
  return isSecond;
}

/** @param {PointerEvent} event */
export function onPointerCancel(event) {
  if (!pointers.delete(event.pointerId)) return;
  Object.assign(state, { gesture: null, rubber: null, draft: null, stroke: null, hover: null });
  render();
}

/** @param {WheelEvent} event */
export function onWheel(event) {
  if (!state.value || state.view === "result") return;
  if (event.altKey && isBrush()) {
    event.preventDefault();
    setBrush(state.brush - Math.sign(event.deltaY || event.deltaX) * BRUSH_STEP);
    return;
  }
  if (state.zoom === 1 && event.deltaY > 0) return; // already at full size: the page scrolls
  event.preventDefault();
  const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
  zoomAt(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.002)), partsOf(event));
}

/** @param {MouseEvent} event */
export function onPictureClick(event) {
  const button = closest(event, "[data-delete]");
  const found = button && markUnder(button);
  if (!found) return;
  deleteMark(found.mark);
  part.picture.focus({ preventScroll: true });
  part.picture.classList.remove("aim");
}

/**
 * Select the focused mark, for Delete, and Alt with the arrows.
 * @param {FocusEvent} event
 */
export function onPictureFocus(event) {
  const target = targetOf(event);
  const found = target.matches(".dot") && markUnder(target);
  if (found) {
    state.selected = found.mark;
    render();
  }
  const isAimed = target === part.picture && !pointers.size && target.matches(":focus-visible");
  part.picture.classList.toggle("aim", isAimed && Boolean(state.value?.can_point || isBrush()));
}
