// The row of preview frames under the stage. The server renders a placeholder for each frame that it has no preview of;
// it is replaced once the frame is cut. With a crop, each picture shows the part that the result will, once the place of
// the window is known.

import { node } from "../dom.js";
import { placeInWindow, windowAt } from "../pure/crop.js";
import { isCut, video } from "../selectors.js";
import { cropWindows } from "../server/crop-windows.js";
import { state } from "../state.js";

const WORKING = ["cutting", "waiting", "slow", "done"];

/** @type {?HTMLElement} */
let row = null;
// Gradio renders the row again after an edit, before or after the stage's value.
const rewritten = new MutationObserver(() => drawPreviewRow());

/** Replace the placeholders whose frames are cut; they are shown while the live cut works. */
export function drawPreviewRow() {
  const found = document.getElementById("gallery");
  if (found !== row) {
    row = found;
    rewritten.disconnect();
    if (row) rewritten.observe(row, { childList: true, subtree: true });
  }
  if (!row) return;
  const { cut, live, value } = state;
  row.classList.toggle("live", live && cut !== null && WORKING.includes(cut.state));
  /** @type {NodeListOf<HTMLElement>} */
  const places = row.querySelectorAll(".awaited:not([aria-busy])");
  for (const place of places) {
    if (place.dataset.rev === value?.rev && isCut(Number(place.dataset.frame))) fill(place);
  }
  /** @type {NodeListOf<HTMLElement>} */
  const figures = row.querySelectorAll("figure[data-frame]");
  for (const figure of figures) cropFigure(figure);
}

/**
 * Show what lies in the window of the crop of a frame and its original; all of them while its place is not known.
 * @param {HTMLElement} figure
 */
function cropFigure(figure) {
  const { value } = state;
  const at = value?.crop && windowAt(value.crop, cropWindows(), Number(figure.dataset.frame), value);
  const box = value && at?.known ? placeInWindow(at.box, value) : null;
  for (const frame of /** @type {NodeListOf<HTMLElement>} */ (figure.querySelectorAll(".framed"))) {
    const picture = /** @type {HTMLImageElement} */ (frame.firstElementChild);
    frame.classList.toggle("cropped", box !== null);
    frame.style.aspectRatio = box && value?.crop ? `${value.crop.width} / ${value.crop.height}` : "";
    picture.style.width = box ? `${box.width}%` : "";
    picture.style.left = box ? `${box.left}%` : "";
    picture.style.top = box ? `${box.top}%` : "";
  }
}

/**
 * Replace a placeholder by the frame and its original, once both are decoded.
 * @param {HTMLElement} place
 */
async function fill(place) {
  const { over = "", original = "", time = "", name = "" } = place.dataset;
  place.setAttribute("aria-busy", "true");
  const pictures = [node("img", "", { src: over, alt: time }), node("img", "", { src: original, alt: name })];
  const { width, height } = video();
  for (const picture of pictures) Object.assign(picture, { width, height });
  const caption = node("figcaption", "");
  caption.textContent = time;
  try {
    await Promise.all(pictures.map((picture) => picture.decode()));
  } catch {
    place.removeAttribute("aria-busy"); // retried with the next report
    return;
  }
  const figure = node("figure", "");
  figure.dataset.frame = place.dataset.frame ?? "";
  const framed = pictures.map((picture) => {
    const frame = node("span", "framed");
    frame.append(picture);
    return frame;
  });
  figure.append(...framed, caption);
  place.replaceWith(figure);
}

/** Stop observing the row. */
export function forgetPreviewRow() {
  rewritten.disconnect();
}
