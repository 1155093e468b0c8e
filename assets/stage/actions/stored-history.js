// Undo and redo kept in the tab's storage, so that they survive a reload.

import { capped, matching } from "../pure/history.js";
import { state } from "../state.js";

const PREFIX = "recorte-history:";
const SESSIONS = 10;

const present = () => ({ prompts: state.prompts, objects: state.objects, range: state.range });

/** Keep the history of the video; without room, or where storage is refused, it lasts until the page is left. */
export function saveHistory() {
  if (!state.value) return;
  const key = PREFIX + state.value.media;
  try {
    const others = Object.keys(sessionStorage).filter((other) => other.startsWith(PREFIX) && other !== key);
    for (const old of others.slice(0, Math.max(0, others.length - SESSIONS + 1)))
      sessionStorage.removeItem(old);
    sessionStorage.setItem(key, JSON.stringify(capped({ ...present(), undo: state.undo, redo: state.redo })));
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
  }
}

/** Take up the history of the video again, if it was kept for what the video's marks, objects and range are now. */
export function restoreHistory() {
  if (!state.value) return;
  try {
    const kept = matching(sessionStorage.getItem(PREFIX + state.value.media), present());
    if (kept) Object.assign(state, kept);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
  }
}
