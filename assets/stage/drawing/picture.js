// The picture's magnification, cursor and labels, and the loading indicator.

import { isBrush } from "../actions/brush.js";
import { clock, t } from "../locale.js";
import { part } from "../parts.js";
import { isFirstReading } from "../pictures/read-frames.js";
import { isComparing } from "../playback/result.js";
import { clamp } from "../pure/geometry.js";
import { isCut, isKept, isUnmarked, timeOf } from "../selectors.js";
import { state } from "../state.js";

const PIXELS_SEEN = 4; // CSS pixels per frame pixel from which pixels are shown unsmoothed

export function drawPicture() {
  const { value, zoom } = state;
  const style = part.picture.style;
  style.setProperty("--frame-width", String(value ? value.width : 16));
  style.setProperty("--frame-height", String(value ? value.height : 9));
  const width = part.picture.clientWidth || 1;
  const transform = `translate(${state.x * 100}%, ${state.y * 100}%) scale(${zoom})`;
  part.pan.style.transform = zoom === 1 ? "none" : transform;
  part.pan.style.setProperty("--split", String(clamp((state.split - state.x) / zoom, 0, 1)));
  part.before.style.setProperty("--split", String(state.split));
  part.divider.hidden = !value || (state.view !== "split" && !isComparing());
  part.divider.style.setProperty("--at", String(state.split));
  const dense = value && (zoom * width) / value.width > PIXELS_SEEN;
  part.pan.style.imageRendering = dense ? "pixelated" : "auto";
  const painting = Boolean(value) && state.view !== "result" && isBrush();
  const passive = !value || state.view === "result" || !(value.can_point || value.can_box || painting);
  part.picture.classList.toggle("painting", painting);
  part.picture.classList.toggle("passive", passive);
  part.picture.classList.toggle("grab", state.spaceHeld || state.gesture?.kind === "pan");
  part.picture.classList.toggle("hold", zoom > 1 || ((state.tool === "box" || painting) && !passive));
  const uncut = drawUncut();
  const name = value ? t("picture", { time: clock(timeOf(state.index)) }) : t("empty");
  part.picture.setAttribute("aria-label", uncut ? `${uncut}. ${name}` : name);
  const waiting = state.loading || state.refining;
  part.picture.setAttribute("aria-busy", String(waiting));
  part.fit.hidden = zoom === 1 || state.view === "result";
  part.thinking.hidden = !(waiting && state.slow) || state.view === "result";
  part.thinking.textContent = value ? t(isFirstReading() ? "reading" : "thinking") : "";
}

/** Label a frame that is not cut yet; returns the label, "" for none. */
function drawUncut() {
  const { shown, view } = state;
  // The first mark is set on the frame as it is.
  const isPlain = view === "mask" && isUnmarked();
  const isUncut = shown && !shown.cut && !isPlain && view !== "original" && view !== "result";
  const key = isCut(state.index) ? "cut_coming" : isKept(state.index) ? "uncut" : "uncut_outside";
  const text = isUncut ? t(key) : "";
  part.picture.classList.toggle("plain", isPlain);
  part.uncut.hidden = !text;
  part.uncut.textContent = text;
  return text;
}
