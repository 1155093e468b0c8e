// Polling for changes of the session by other windows, every few seconds, except during an edit here.

import { part } from "../parts.js";
import { isAnswered } from "../selectors.js";
import { state } from "../state.js";

const FOLLOW_MS = 3000;
const WRITING_MS = 60000; // a focused field is not overwritten for this long after the last input

/** Selector of text and number fields. */
const WRITTEN = 'input:not([type="range"], [type="radio"], [type="checkbox"]), textarea';

let lastWritten = -Infinity; // time of the last input on the page
let timer = 0;

/** Record an input on the page. */
export function noteWriting() {
  lastWritten = performance.now();
}

/** Return whether something is edited here, which postpones changes of others. */
function isEditing() {
  const isWriting = document.activeElement?.matches(WRITTEN) && performance.now() - lastWritten < WRITING_MS;
  return !isAnswered() || Boolean(state.gesture) || Boolean(isWriting);
}

/** Check whether another window changed the session, and update the page. */
export async function followOthers() {
  if (!element.isConnected) {
    clearInterval(timer);
    return;
  }
  if (!state.value || document.hidden || part.stage.offsetParent === null || isEditing()) return;
  const { media, version } = state.value;
  if (!version) return;
  let now = version;
  try {
    const response = await fetch(`${media}/version`);
    if (response.ok) now = await response.json();
  } catch {
    // A lost connection is reported by the visitor's own actions.
  }
  const isSame = state.value && state.value.media === media && state.value.version === version;
  if (isSame && now !== version && !isEditing()) trigger("tick", {});
}

/** Start polling, until the stage is unmounted. */
export function startFollowing() {
  timer = setInterval(followOthers, FOLLOW_MS);
}
