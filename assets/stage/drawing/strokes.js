// Brush strokes on the picture, and the ring of the brush around the pointer.

/** @import { MarkRef, Stroke } from "../types" */

import { currentWidth, isBrush } from "../actions/brush.js";
import { percentOf } from "../actions/viewport.js";
import { part } from "../parts.js";
import { isSameMark } from "../pure/prompts.js";
import { acceptedMarks, marksHere, video } from "../selectors.js";
import { state } from "../state.js";
import { paint } from "./owner.js";
import { isPending, pulse } from "./pulse.js";

const SVG = "http://www.w3.org/2000/svg";

/**
 * Draw the stroke that is painted, those that the mask does not show yet, and the selected one. On the plain frame
 * all are shown.
 */
export function drawStrokes() {
  const live = state.value && state.view !== "result";
  const marks = live ? acceptedMarks(state.draft || state.prompts) : [];
  const own = live ? state.objects.map(({ number }) => marksHere(marks, number)) : [];
  const drawn = own.flatMap(({ object, strokes = [] }) =>
    strokes.map((stroke, i) => ({ stroke, object, pending: isPending({ kind: "stroke", object, i }), i })),
  );
  const shown = drawn.filter(({ object, i, pending }) => pending || isShown({ kind: "stroke", object, i }));
  if (live && state.stroke) {
    shown.push({ stroke: state.stroke, object: state.active, pending: false, i: -1 });
  }
  const { strokes } = part;
  while (strokes.children.length > shown.length) strokes.lastElementChild?.remove();
  while (strokes.children.length < shown.length) {
    strokes.append(document.createElementNS(SVG, "polyline"));
  }
  shown.forEach(({ stroke, object, pending }, n) => {
    drawStroke(/** @type {SVGPolylineElement} */ (strokes.children[n]), stroke, object, pending);
  });
  if (live) placeOverFrame();
  drawRing();
}

/** @param {MarkRef} mark */
const isShown = (mark) => state.view === "original" || isSameMark(state.selected, mark);

/** Lay the drawing over the frame as it is magnified. */
function placeOverFrame() {
  const { width, height } = video();
  part.strokes.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const a = percentOf(0, 0);
  const b = percentOf(width, height);
  Object.assign(part.strokes.style, {
    left: `${a.left}%`,
    top: `${a.top}%`,
    width: `${b.left - a.left}%`,
    height: `${b.top - a.top}%`,
  });
}

/**
 * @param {SVGPolylineElement} line
 * @param {Stroke} stroke
 * @param {number} object
 * @param {boolean} pending
 */
function drawStroke(line, { path, width, keep }, object, pending) {
  // A line to where it starts has no length, and is a dot.
  const places = path.length > 1 ? path : [path[0], path[0]];
  line.setAttribute("points", places.map(([x, y]) => `${x},${y}`).join(" "));
  line.setAttribute("stroke-width", String(width));
  line.setAttribute("class", keep ? "keep" : "remove");
  paint(line, object);
  pulse(line, pending);
}

/** Draw the ring, where a pointer is that may paint. */
export function drawRing() {
  const { ring } = part;
  const at = state.value && state.view !== "result" && isBrush() ? state.hover : null;
  ring.hidden = !at;
  if (!at) return;
  const width = state.stroke?.width ?? currentWidth();
  Object.assign(ring.style, {
    left: `${at.u * 100}%`,
    top: `${at.v * 100}%`,
    width: `${(100 * width * state.zoom) / video().width}%`,
  });
  ring.classList.toggle("erases", state.stroke ? !state.stroke.keep : state.tool === "erase");
}
