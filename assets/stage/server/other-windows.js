// Changes of the same session from another window: asked for every few seconds, unless something is edited here.

import { part } from "../parts.js";
import { isAnswered } from "../selectors.js";
import { state } from "../state.js";

const FOLLOW_MS = 3000;
const WRITING_MS = 60000; // a field that has the focus is not written over for so long after the last letter

/** Fields in which words or numbers are written. */
const WRITTEN = 'input:not([type="range"], [type="radio"], [type="checkbox"]), textarea';

let lastWritten = -Infinity; // when something was last written on the page
let timer = 0;

/** Note that something was written on the page. */
export function noteWriting() {
  lastWritten = performance.now();
}

/** Tell whether something is edited here: what others have changed waits. */
function isEditing() {
  const isWriting = document.activeElement?.matches(WRITTEN) && performance.now() - lastWritten < WRITING_MS;
  return !isAnswered() || Boolean(state.gesture) || Boolean(isWriting);
}

/** See whether the session was changed from another window, and have the page brought up to date. */
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
    // Whoever has no connection is told so by what they do.
  }
  const isSame = state.value && state.value.media === media && state.value.version === version;
  if (isSame && now !== version && !isEditing()) trigger("tick", {});
}

/** Ask from now on, until the stage is unmounted. */
export function startFollowing() {
  timer = setInterval(followOthers, FOLLOW_MS);
}
