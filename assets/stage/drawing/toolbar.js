// The buttons for tools, undo and views.

/** @import { Prompt, Tool } from "../types" */

import { currentWidth, isBrush } from "../actions/brush.js";
import { canUse } from "../actions/navigation.js";
import { all } from "../dom.js";
import { t } from "../locale.js";
import { part } from "../parts.js";
import { MAX_ZOOM, sliderOfZoom } from "../pure/geometry.js";
import { acceptedMarks, marksHere } from "../selectors.js";
import { state } from "../state.js";
import { paint } from "./owner.js";

/** @param {string} attribute */
const buttons = (attribute) => /** @type {HTMLButtonElement[]} */ (all(part.toolbar, `[${attribute}]`));

export function drawToolbar() {
  const { value, view } = state;
  const busy = !value || view === "result";
  /** @type {Pick<Prompt, "points" | "box" | "strokes" | "mask">} */
  const here = value ? marksHere(acceptedMarks(state.prompts)) : { points: [], box: null };
  paint(part.toolbar, state.active);
  for (const button of buttons("data-tool")) {
    const able = value && canUse(/** @type {Tool} */ (button.dataset.tool));
    button.disabled = busy || !able;
    button.setAttribute("aria-pressed", String(Boolean(able) && state.tool === button.dataset.tool));
  }
  /** @type {Record<string, boolean>} */
  const able = {
    undo: state.undo.length > 0,
    redo: state.redo.length > 0,
    clear: here.points.length > 0 || Boolean(here.box || here.strokes || here.mask),
  };
  for (const button of buttons("data-act")) {
    button.disabled = busy || !able[button.dataset.act ?? ""];
  }
  for (const button of buttons("data-zoom")) {
    button.disabled = busy || state.zoom === (button.dataset.zoom === "in" ? MAX_ZOOM : 1);
  }
  part.zoom.disabled = busy;
  part.zoom.value = String(sliderOfZoom(state.zoom));
  part.zoom.setAttribute("aria-valuetext", `${Math.round(100 * state.zoom)} %`);
  part.brushing.hidden = busy || !isBrush();
  part.brush.value = String(state.brush);
  if (value) part.brush.setAttribute("aria-valuetext", t("brush_pixels", { count: currentWidth() }));
  part.tint.value = state.tint;
  part.tint.disabled = busy;
  for (const button of buttons("data-view")) {
    button.setAttribute("aria-pressed", String(view === button.dataset.view));
    button.disabled = !value || (button.dataset.view === "result" && !value.result);
    if (button.dataset.view === "classes") button.hidden = !value?.maps;
  }
}
