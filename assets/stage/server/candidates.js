// The candidates of the active object's single click on the current frame, requested once its mask is shown.

/** @import { Candidate } from "../types" */

import { edit } from "../actions/edits.js";
import { withMarks } from "../actions/marks.js";
import { isSingleClick } from "../pure/prompts.js";
import { render } from "../render.js";
import { isAnswered, marksHere } from "../selectors.js";
import { state } from "../state.js";

let requested = ""; // the address of the newest request
let click = ""; // the click that `list` belongs to
/** @type {Candidate[]} */
let list = [];
let controller = new AbortController();

/** Return the single click that may have candidates, as a string that changes with it; "" for none. */
function currentClick() {
  const { value, view, index, active } = state;
  if (!value?.candidates || (view !== "mask" && view !== "cutout")) return "";
  const marks = marksHere(state.draft || state.prompts);
  return isSingleClick(marks)
    ? JSON.stringify([value.media, value.model, index, active, marks.points[0]])
    : "";
}

/**
 * @param {string} url
 * @param {string} about
 */
async function ask(url, about) {
  controller.abort();
  controller = new AbortController();
  requested = url;
  /** @type {Candidate[]} */
  let answer = [];
  try {
    const response = await fetch(url, { signal: controller.signal });
    if (response.ok) answer = await response.json();
  } catch {
    // Without candidates there is no choice: the picture shows the best one anyway.
  }
  if (requested !== url) return;
  [click, list] = [about, answer];
  render();
}

/** Request candidates that are not loaded. While a choice is applied, the old pictures stay visible. */
export function askCandidates() {
  const about = currentClick();
  const { value, loading, error } = state;
  if (!about || loading || error || state.playing || !value?.rev || !isAnswered()) return;
  const query = `object=${state.active}&rev=${encodeURIComponent(value.rev)}`;
  const url = `${value.media}/frames/${state.index}/candidates?${query}`;
  if (url !== requested) ask(url, about);
}

/** Return the candidates in order; empty if there is only one. */
export function candidates() {
  const about = currentClick();
  return about && about === click && list.length > 1 ? list : [];
}

/** Return the number of the chosen candidate, from 0. */
export function chosenCandidate() {
  const { candidate, points } = marksHere(state.prompts);
  if (candidate !== null) return Math.min(candidate, list.length - 1);
  const scores = list.map(({ score }) => score);
  return points[0]?.whole && list[0].name ? 0 : scores.indexOf(Math.max(...scores));
}

/** @param {number} number from 0 */
export function chooseCandidate(number) {
  if (number >= candidates().length) return;
  edit({ prompts: withMarks(() => ({ candidate: number })) }, { kind: "point", object: state.active, i: 0 });
}
