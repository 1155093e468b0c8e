// The outline of the thing under the pointer that a click would take.

import { percentOf } from "../actions/viewport.js";
import { part } from "../parts.js";
import { pathOf } from "../pure/outlines.js";
import { thingUnderPointer } from "../server/things.js";

export function drawThing() {
  const outlines = thingUnderPointer();
  part.thing.toggleAttribute("hidden", !outlines.length);
  const path = pathOf(outlines, percentOf);
  for (const line of part.thing.children) line.setAttribute("d", path);
}
