// Polling of the live cut's state. Each request also has the server compute for some seconds more. None is sent once all
// frames are cut, while the page or the stage is out of sight, or, but for one about each revision, with the switch off.

/** @import { CutReport } from "../types" */

import { refresh } from "../actions/navigation.js";
import { part } from "../parts.js";
import { growingSpans, isSameReport, LATER_MS, mergeSpans, pollDelay, subtractSpans } from "../pure/cut.js";
import { render } from "../render.js";
import { currentCut, frameCount, isCut } from "../selectors.js";
import { state } from "../state.js";

const STORED = "recorte.live";
const NEAR = "100%"; // of the window's height: a stage this close to the visible part counts as in view
const REACH = 0.02; // of all frames: how many beside the newest ones are shown as being computed

let subject = ""; // video, revision, range and switch that the requests are about; "" for none
let isDue = false; // a request waits until the stage is in view
let timer = 0;
let unchanged = 0; // number of equal reports in a row
let inView = false;
/** @type {?AbortController} */
let request = null;

/** Start polling anew after what is on the stage has changed. */
export function followCut() {
  const { value, live } = state;
  const now = value?.rev ? JSON.stringify([value.media, value.rev, value.start, value.end, live]) : "";
  if (now === subject) return;
  subject = now;
  unchanged = 0;
  isDue = false;
  stop();
  if (now) poll();
}

function stop() {
  clearTimeout(timer);
  timer = 0;
  request?.abort();
  request = null;
}

async function poll() {
  stop();
  if (!element.isConnected || !state.value) return;
  isDue = document.hidden || !inView;
  if (isDue) return;
  const mine = new AbortController();
  request = mine;
  /** @type {?CutReport} */
  let report = null;
  let isRefused = false;
  try {
    const query = `at=${state.index}&on=${Number(state.live)}`;
    const response = await fetch(`${state.value.media}/cut?${query}`, {
      signal: mine.signal,
      cache: "no-store",
    });
    if (response.ok) report = await response.json();
    isRefused = response.status < 500 && !report; // deleted, for example
  } catch {
    // Requested again; a lost connection is reported by other requests.
  }
  if (request !== mine) return;
  request = null;
  // A report on another revision is ignored: the stage's value is about to change.
  if (report && report.rev === state.value?.rev) applyReport(report);
  else if (!isRefused) scheduleNext(LATER_MS);
}

/** @param {?number} delay in milliseconds; null: not again */
function scheduleNext(delay) {
  if (state.live && delay !== null) timer = setTimeout(poll, delay);
}

/** @param {CutReport} report */
function applyReport(report) {
  showEstimate(report.estimate);
  const before = state.cut;
  unchanged = isSameReport(before, report) ? unchanged + 1 : 0;
  scheduleNext(pollDelay(report, unchanged));
  const queued = report.state === "waiting" && before?.state === "waiting";
  if (unchanged && queued === state.queued) return;
  state.queued = queued;
  const last = currentCut();
  const older = before && !last ? before.ready : [];
  const reach = Math.ceil(frameCount() * REACH);
  state.cut = report;
  state.stale = report.state === "done" ? [] : subtractSpans([...state.stale, ...older], report.ready);
  state.growing =
    last && report.state === "cutting"
      ? growingSpans(mergeSpans(last.ready), report.ready, reach, frameCount())
      : [];
  if (isCut(state.index)) refresh();
  else render();
}

/**
 * Show how long a run would take now, where the page shows that at all.
 * @param {string} sentence
 */
function showEstimate(sentence) {
  const place = document.querySelector("#estimate p");
  if (place && place.textContent !== sentence) place.textContent = sentence;
}

/** Request the state at once after the page or the stage has come into view, unless all frames are cut. */
function resume() {
  if (!element.isConnected || !subject || document.hidden || !inView || request) return;
  if (isDue || (state.live && currentCut()?.state !== "done")) poll();
}

const visibility = new IntersectionObserver(
  (entries) => {
    inView = entries.at(-1)?.isIntersecting ?? false;
    resume();
  },
  { rootMargin: NEAR },
);

/** Turn the live cut on or off; stored for later pages. */
export function onLiveSwitch() {
  state.live = part.live.checked;
  try {
    localStorage.setItem(STORED, state.live ? "on" : "off");
  } catch {
    // Storage is blocked: it holds for this page.
  }
  render();
}

/**
 * Start polling; it ends with the signal.
 * @param {AbortSignal} signal
 */
export function startFollowingCut(signal) {
  try {
    state.live = localStorage.getItem(STORED) !== "off";
  } catch {
    // Storage is blocked: it is on.
  }
  visibility.observe(part.stage);
  document.addEventListener("visibilitychange", resume, { signal });
  signal.addEventListener("abort", () => {
    stop();
    visibility.disconnect();
  });
}
