// The marks on the picture: points, the handles of strokes, boxes, and the box that is being drawn.

/** @import { Box, MarkRef, Point, Prompt } from "../types" */

/** @typedef {Point & {object: number, i: number, kind: "point" | "stroke"}} Handle */

import { handleOf } from "../actions/brush.js";
import { percentOf } from "../actions/viewport.js";
import { node, pool } from "../dom.js";
import { t } from "../locale.js";
import { part } from "../parts.js";
import { isSameMark } from "../pure/prompts.js";
import { acceptedMarks, marksHere } from "../selectors.js";
import { state } from "../state.js";
import { ownedName, paint, showOwner } from "./owner.js";
import { isPending, pulse } from "./pulse.js";

export function drawMarks() {
  const live = state.value && state.view !== "result";
  const marks = live ? acceptedMarks(state.draft || state.prompts) : [];
  const here = live ? state.objects.map((object) => marksHere(marks, object.number)) : [];
  const points = here.flatMap(handles);
  const boxes = here.flatMap(({ object, box }) => (box ? [{ object, box }] : []));
  pool(part.points, points.length, makePoint).forEach((target, n) => {
    drawPoint(target, points[n]);
  });
  pool(part.boxes, boxes.length, makeBox).forEach((target, n) => {
    drawBox(target, boxes[n]);
  });
  part.rubber.hidden = !state.rubber;
  if (state.rubber) placeBox(part.rubber, state.rubber);
  paint(part.rubber, state.active);
}

/**
 * Return where an object's points are, and the handles of its strokes.
 * @param {Prompt} marks
 * @returns {Handle[]}
 */
const handles = ({ object, points, strokes = [] }) => [
  ...points.map((point, i) => ({ ...point, object, i, kind: /** @type {const} */ ("point") })),
  ...strokes.map((stroke, i) => ({
    ...handleOf(stroke),
    keep: stroke.keep,
    object,
    i,
    kind: /** @type {const} */ ("stroke"),
  })),
];

function deleteButton() {
  const button = node("button", "delete", { type: "button", "data-delete": "" });
  button.textContent = "×";
  return button;
}

function makePoint() {
  const mark = node("div", "mark");
  mark.append(node("button", "dot", { type: "button" }), deleteButton());
  return mark;
}

function makeBox() {
  const box = node("div", "box", { "data-mark": "box" });
  for (const side of ["n", "e", "s", "w"]) box.append(node("i", `edge ${side}`));
  for (const corner of ["nw", "ne", "sw", "se"]) {
    box.append(node("i", `corner ${corner}`, { "data-corner": corner }));
  }
  box.append(deleteButton());
  return box;
}

/**
 * @param {HTMLElement} target
 * @param {Box} box
 */
function placeBox(target, [x0, y0, x1, y1]) {
  const a = percentOf(x0, y0);
  const b = percentOf(x1, y1);
  Object.assign(target.style, {
    left: `${a.left}%`,
    top: `${a.top}%`,
    width: `${b.left - a.left}%`,
    height: `${b.top - a.top}%`,
  });
}

/**
 * @param {HTMLElement} target
 * @param {{object: number, box: Box}} marks
 */
function drawBox(target, { object, box }) {
  /** @type {MarkRef} */
  const mark = { kind: "box", object };
  showOwner(target, object);
  placeBox(target, box);
  target.classList.toggle("selected", isSameMark(state.selected, mark));
  target.querySelector(".delete")?.setAttribute("aria-label", ownedName(object, t("delete_box")));
  pulse(target, isPending(mark));
}

/**
 * @param {HTMLElement} target
 * @param {Handle} handle
 */
function drawPoint(target, { x, y, keep, object, i, kind }) {
  const { left, top } = percentOf(x, y);
  const [dot, remove] = /** @type {HTMLElement[]} */ ([...target.children]);
  /** @type {MarkRef} */
  const mark = { kind, object, i };
  const isStroke = kind === "stroke";
  showOwner(target, object);
  Object.assign(target.style, { left: `${left}%`, top: `${top}%` });
  target.dataset.mark = isStroke ? `stroke-${i}` : String(i);
  target.hidden = left < 0 || left > 100 || top < 0 || top > 100; // zoomed out of sight
  target.classList.toggle("low", top < 12);
  target.classList.toggle("left", left > 88);
  target.classList.toggle("selected", isSameMark(state.selected, mark));
  dot.className = `dot ${keep ? "keep" : "remove"}${isStroke ? " stroke" : ""}`;
  const at = { x: Math.round(x), y: Math.round(y) };
  const name = isStroke ? (keep ? "painted_at" : "erased_at") : keep ? "keep_at" : "remove_at";
  dot.setAttribute("aria-label", ownedName(object, t(name, at)));
  remove.setAttribute("aria-label", t("delete"));
  pulse(dot, isPending(mark));
}
