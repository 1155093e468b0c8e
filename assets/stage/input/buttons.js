// The buttons of the toolbar and of the list of objects, and links from the page to a frame.

/** @import { Tool, View } from "../types" */

import { redo, undo } from "../actions/history.js";
import { clearMarks } from "../actions/marks.js";
import { go, setTool, setView } from "../actions/navigation.js";
import { activate, addObject, changeObject, deleteObject } from "../actions/objects.js";
import { zoomBy } from "../actions/viewport.js";
import { closest } from "../dom.js";
import { focusChip, numberAt } from "../drawing/objects.js";
import { part } from "../parts.js";
import { ZOOM_STEP, zoomOfSlider } from "../pure/geometry.js";
import { render } from "../render.js";
import { objectOf } from "../selectors.js";
import { state } from "../state.js";
import { startRenaming } from "./object-names.js";

/** @type {Record<string, () => void>} */
const ACTS = { undo, redo, clear: clearMarks };

/** @param {MouseEvent} event */
export function onToolbar(event) {
  const { tool, act, view, zoom } = closest(event, "button")?.dataset ?? {};
  if (tool) setTool(/** @type {Tool} */ (tool));
  if (act) ACTS[act]();
  if (view) setView(/** @type {View} */ (view));
  if (zoom) zoomBy(zoom === "in" ? ZOOM_STEP : 1 / ZOOM_STEP);
}

export function onZoomSlider() {
  zoomBy(zoomOfSlider(Number(part.zoom.value)) / state.zoom);
}

/** @param {MouseEvent} event */
export function onObjects(event) {
  const button = closest(event, "[data-do]");
  if (!button) return;
  const number = numberAt(button);
  const action = button.dataset.do ?? "";
  /** @type {Record<string, () => void>} */
  const actions = {
    pick: () => activate(number),
    add: addObject,
    rename: () => startRenaming(number),
    toggle: () => changeObject(number, { on: !objectOf(number).on }),
    drop: () => deleteObject(number),
  };
  actions[action]();
  render();
  if (action === "drop") focusChip(state.active);
}

/**
 * Go to the frame of a link on the page.
 * @param {MouseEvent} event
 */
export function onFrameLink(event) {
  const link = closest(event, "[data-goto]");
  if (!link || !state.value) return;
  go(Number(link.dataset.goto));
  part.stage.scrollIntoView({ block: "nearest" });
}
