// The window that the result is cropped to: what lies outside is dimmed; dashed while its place is not known.

import { percentOf } from "../actions/viewport.js";
import { part } from "../parts.js";
import { windowAt } from "../pure/crop.js";
import { cropWindows } from "../server/crop-windows.js";
import { state } from "../state.js";

export function drawCrop() {
  const { value, view, index } = state;
  const { crop } = part;
  const shown = value?.crop && (view === "after" || view === "cutout" || view === "split");
  crop.hidden = !shown;
  if (!value?.crop || !shown) return;
  const { box, known } = windowAt(value.crop, cropWindows(), index, value);
  const a = percentOf(box[0], box[1]);
  const b = percentOf(box[2], box[3]);
  Object.assign(crop.style, {
    left: `${a.left}%`,
    top: `${a.top}%`,
    width: `${b.left - a.left}%`,
    height: `${b.top - a.top}%`,
  });
  crop.classList.toggle("guess", !known);
}
