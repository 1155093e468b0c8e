// A mouse that moves over the picture without a button.

import { pixelOf } from "../actions/viewport.js";
import { drawThing } from "../drawing/things.js";
import { tenth } from "../pure/geometry.js";
import { followPointer } from "../server/things.js";
import { state } from "../state.js";

/** @param {PointerEvent} event */
export function onHover(event) {
  if (event.pointerType !== "mouse" || !state.value) return;
  const { x, y } = pixelOf(event);
  followPointer(event.buttons ? null : { x: tenth(x), y: tenth(y) });
  drawThing();
}

export function onHoverEnd() {
  followPointer(null);
  drawThing();
}
