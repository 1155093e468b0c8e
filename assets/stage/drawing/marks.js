// The marks on the picture: points, boxes, and the box that is being drawn.

/** @import { Box, MarkRef, Point } from "../types" */

import { percentOf } from "../actions/viewport.js";
import { node, pool } from "../dom.js";
import { t } from "../locale.js";
import { part, reducedMotion } from "../parts.js";
import { isSameMark } from "../pure/prompts.js";
import { acceptedMarks, isAnswered, marksHere } from "../selectors.js";
import { state } from "../state.js";
import { ownedName, paint, showOwner } from "./owner.js";

export function drawMarks() {
  const live = state.value && state.view !== "result";
  const marks = live ? acceptedMarks(state.draft || state.prompts) : [];
  const here = live ? state.objects.map((object) => marksHere(marks, object.number)) : [];
  const points = here.flatMap(({ object, points }) => points.map((point, i) => ({ ...point, object, i })));
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
 * @param {Point & {object: number, i: number}} point
 */
function drawPoint(target, { x, y, keep, object, i }) {
  const { left, top } = percentOf(x, y);
  const [dot, remove] = /** @type {HTMLElement[]} */ ([...target.children]);
  /** @type {MarkRef} */
  const mark = { kind: "point", object, i };
  showOwner(target, object);
  Object.assign(target.style, { left: `${left}%`, top: `${top}%` });
  target.dataset.mark = String(i);
  target.hidden = left < 0 || left > 100 || top < 0 || top > 100; // zoomed out of sight
  target.classList.toggle("low", top < 12);
  target.classList.toggle("left", left > 88);
  target.classList.toggle("selected", isSameMark(state.selected, mark));
  dot.className = `dot ${keep ? "keep" : "remove"}`;
  const at = { x: Math.round(x), y: Math.round(y) };
  dot.setAttribute("aria-label", ownedName(object, t(keep ? "keep_at" : "remove_at", at)));
  remove.setAttribute("aria-label", t("delete"));
  pulse(dot, isPending(mark));
}

/**
 * Return whether a mark's answer is pending.
 * @param {MarkRef} mark
 */
function isPending(mark) {
  const newest = state.newest;
  if (!newest || newest.index !== state.index || !isSameMark(newest.mark, mark)) return false;
  return !isAnswered() || state.loading || state.refining;
}

/** @type {WeakMap<HTMLElement, Animation>} */
const pulses = new WeakMap();

/**
 * Start or end a mark's pulse. By script, as Gradio nests our style sheet, where no @keyframes may stand.
 * @param {HTMLElement} target
 * @param {boolean} on
 */
function pulse(target, on) {
  const running = pulses.get(target);
  if (on === Boolean(running)) return;
  if (running) {
    running.cancel();
    pulses.delete(target);
  } else if (reducedMotion.matches) {
    const still = [{ opacity: 0.6 }, { opacity: 0.6 }];
    pulses.set(target, target.animate(still, { duration: 1000, iterations: Infinity }));
  } else {
    const beat = [{ opacity: 1 }, { opacity: 0.35 }, { opacity: 1 }];
    pulses.set(target, target.animate(beat, { duration: 900, iterations: Infinity }));
  }
}
