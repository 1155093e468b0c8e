// The timeline: its slider, the frames with marks, the frames to review, and the ends of the kept range.

import { endOfInput, endText } from "../actions/trimming.js";
import { all, node, pool } from "../dom.js";
import { clock, decimalSign, t } from "../locale.js";
import { part } from "../parts.js";
import { acceptedMarks, checkedFrames, frameCount, indexOf, keptFrames, timeOf } from "../selectors.js";
import { state } from "../state.js";

export function drawTimeline() {
  const frames = frameCount();
  const { slider } = part;
  const numbers = { frame: state.index + 1, frames };
  const time = clock(timeOf(state.index));
  slider.max = String(Math.max(0, (state.times.length || 1) - 1));
  slider.value = String(state.index);
  slider.setAttribute("aria-valuetext", `${time}, ${t("frame_of", numbers)}`);
  part.time.textContent = time;
  part.count.textContent = t("frame_of", numbers);
  drawMarkedFrames();
  drawEnds();
  drawCheckedFrames();
}

/**
 * Return a frame's position on the timeline, 0 to 1.
 * @param {number} index
 */
const placeOf = (index) => index / Math.max(1, frameCount() - 1);

/**
 * Draw the buttons that lead to some frames.
 * @param {HTMLElement} lane
 * @param {string} className
 * @param {number[]} frames
 * @param {(index: number) => {label: string, tip: string}} describe
 */
function drawFrames(lane, className, frames, describe) {
  const make = () => node("button", className, { type: "button" });
  pool(lane, frames.length, make).forEach((target, i) => {
    const index = frames[i];
    const { label, tip } = describe(index);
    target.dataset.index = String(index);
    target.style.left = `${placeOf(index) * 100}%`;
    target.setAttribute("aria-current", String(index === state.index));
    target.setAttribute("aria-label", label);
    target.title = tip;
  });
}

function drawMarkedFrames() {
  const prompts = state.times.length ? acceptedMarks(state.prompts) : [];
  const frames = [...new Set(prompts.map((p) => indexOf(p.time)))];
  drawFrames(part.diamonds, "diamond", frames, (index) => {
    const time = clock(timeOf(index));
    return { label: t("goto", { time }), tip: time };
  });
}

function drawCheckedFrames() {
  drawFrames(part.checks, "triangle", checkedFrames(), (index) => {
    const time = timeOf(index).toFixed(1).replace(".", decimalSign());
    return { label: t("check", { time }), tip: t("check_tip", { time }) };
  });
}

/** Draw the handles at both ends, the parts outside of them, and their times. */
function drawEnds() {
  const frames = frameCount();
  const { first, last } = keptFrames();
  const trimmed = first > 0 || last < frames - 1;
  const able = Boolean(state.value) && state.times.length > 1;
  part.timeline.classList.toggle("trimmed", trimmed);
  part.timeline.style.setProperty("--from", String(placeOf(first)));
  part.timeline.style.setProperty("--to", String(placeOf(last)));
  /** @type {HTMLInputElement[]} */
  const handles = all(part.timeline, ".handle");
  for (const handle of handles) {
    const end = endOfInput(handle);
    const index = end === "start" ? first : last;
    handle.max = part.slider.max;
    handle.value = String(index);
    handle.disabled = !able;
    const place = t("frame_of", { frame: index + 1, frames });
    handle.setAttribute("aria-valuetext", `${able ? endText(end) : clock(0)}, ${place}`);
  }
  /** @type {HTMLInputElement[]} */
  const inputs = all(part.timeline, "[data-typed]");
  for (const input of inputs) {
    input.disabled = !able;
    if (document.activeElement !== input) input.value = able ? endText(endOfInput(input)) : "";
  }
  part.whole.hidden = !trimmed;
}
