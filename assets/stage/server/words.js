// Searches by words: what is found becomes boxes of objects, by one edit.

/** @import { FoundWord } from "../types" */

import { edit } from "../actions/edits.js";
import { go } from "../actions/navigation.js";
import { t } from "../locale.js";
import { Refusal, refusalOf } from "../pure/refusal.js";
import { withFound } from "../pure/words.js";
import { render } from "../render.js";
import { indexOf } from "../selectors.js";
import { state } from "../state.js";

let controller = new AbortController();

/**
 * Search for what a text names; a search that is under way is given up.
 * @param {string} text
 * @param {string} model key of the network, or empty
 * @param {number[]} again seconds from which alone it is searched, for the objects that are there; empty: in every scene
 */
export async function findWords(text, model, again) {
  if (!state.value) return;
  const { media } = state.value;
  controller.abort();
  controller = new AbortController();
  const { signal } = controller;
  Object.assign(state, { finding: true, error: "", note: "" });
  render();
  let error = "";
  try {
    const query = new URLSearchParams({ q: text, ...(model && { model }) });
    for (const seconds of again) query.append("again", String(seconds));
    const response = await fetch(`${media}/words?${query}`, {
      cache: "no-store",
      signal,
    });
    if (!response.ok) throw await refusalOf(response);
    /** @type {?{ready: boolean, message?: string, found?: FoundWord[]}} */
    const answer = await response.json();
    if (state.value?.media !== media || signal.aborted) return;
    if (answer && !answer.ready) {
      error = answer.message ?? "";
      trigger("submit", {}); // offers the weights
    } else if (answer?.found) addFound(answer.found, again.length > 0);
  } catch (reason) {
    if (state.value?.media !== media || signal.aborted) return;
    error = reason instanceof Refusal ? reason.message : t("words_failed");
  }
  Object.assign(state, { finding: false, error });
  render();
}

/**
 * @param {FoundWord[]} found
 * @param {boolean} again
 */
function addFound(found, again) {
  const { objects, prompts, added, left } = withFound(state.objects, state.prompts, found, again);
  if (added.length) {
    edit({ objects, prompts, active: added[0] });
    const frames = prompts.filter((p) => added.includes(p.object)).map((p) => indexOf(p.time));
    if (!frames.includes(state.index)) go(frames[0]);
  }
  state.note = t(left ? "words_left" : "words_found", { count: added.length, left });
}
