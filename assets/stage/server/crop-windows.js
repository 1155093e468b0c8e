// The windows of the crop, requested once all frames are cut: the server finds them from all mattes.

/** @import { CropWindows } from "../types" */

import { render } from "../render.js";
import { currentCut, isAnswered } from "../selectors.js";
import { state } from "../state.js";

const RETRY_MS = 3000;
const MOST_TRIES = 5;

let about = ""; // what the newest request is about
/** @type {?CropWindows} */
let windows = null;
let timer = 0;

/** Return what the windows depend on, as a string; "" while there are none to be had. */
function wanted() {
  const { value, range } = state;
  if (!value?.crop || !value.rev || currentCut()?.state !== "done") return "";
  return JSON.stringify([value.media, value.rev, range, value.crop]);
}

/** Request the windows if they can be had and are not known. */
export function askCropWindows() {
  const now = isAnswered() ? wanted() : "";
  if (now === about) return;
  about = now;
  windows = null;
  clearTimeout(timer);
  if (now) ask(now, 1);
}

/**
 * @param {string} mine
 * @param {number} tries
 */
async function ask(mine, tries) {
  if (mine !== about || !state.value || !element.isConnected) return;
  try {
    const response = await fetch(`${state.value.media}/crop`, { cache: "no-store" });
    /** @type {?CropWindows & {rev: string}} */
    const answer = response.ok ? await response.json() : null;
    if (mine !== about) return;
    if (answer?.corners.length && answer.rev === state.value?.rev) {
      windows = answer;
      render();
      return;
    }
  } catch {
    // Asked again below; the frame in the middle stays.
  }
  if (tries < MOST_TRIES) timer = setTimeout(ask, RETRY_MS, mine, tries + 1);
}

/** Return the windows; null while they are not known. */
export const cropWindows = () => (about && wanted() === about ? windows : null);
