// The meanings that the active object's single click on the shown frame may have: asked for once its mask is there.

/** @import { Candidate } from "../types" */

import { edit } from "../actions/edits.js";
import { withMarks } from "../actions/marks.js";
import { isSingleClick } from "../pure/prompts.js";
import { render } from "../render.js";
import { isAnswered, marksHere } from "../selectors.js";
import { state } from "../state.js";

let asked = ""; // the address of the newest question
let click = ""; // the click that `list` is about
/** @type {Candidate[]} */
let list = [];
let controller = new AbortController();

/** Return the single click that can be asked about, as a string that changes with it; "" for none. */
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
  asked = url;
  /** @type {Candidate[]} */
  let answer = [];
  try {
    const response = await fetch(url, { signal: controller.signal });
    if (response.ok) answer = await response.json();
  } catch {
    // No answer, no choice: the best candidate is what the picture shows anyway.
  }
  if (asked !== url) return;
  [click, list] = [about, answer];
  render();
}

/** Ask what is not known yet. While one choice is answered by new pictures, the old ones stay to be seen. */
export function askCandidates() {
  const about = currentClick();
  const { value, loading, error } = state;
  if (!about || loading || error || !value?.rev || !isAnswered()) return;
  const query = `object=${state.active}&rev=${encodeURIComponent(value.rev)}`;
  const url = `${value.media}/frames/${state.index}/candidates?${query}`;
  if (url !== asked) ask(url, about);
}

/** Return those to choose from, in the order of their numbers; one alone is no choice. */
export function candidates() {
  const about = currentClick();
  return about && about === click && list.length > 1 ? list : [];
}

/** Return the number of the one that holds, from 0. */
export function chosenCandidate() {
  const { candidate } = marksHere(state.prompts);
  const scores = list.map(({ score }) => score);
  return candidate === null ? scores.indexOf(Math.max(...scores)) : candidate;
}

/** @param {number} number from 0 */
export function chooseCandidate(number) {
  if (number >= candidates().length) return;
  edit({ prompts: withMarks(() => ({ candidate: number })) }, { kind: "point", object: state.active, i: 0 });
}
