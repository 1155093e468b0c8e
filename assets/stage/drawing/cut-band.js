// The band under the thumbnails: frames that are cut, stale or being computed, and the live cut's progress in words.

/** @import { CutReport, Span } from "../types" */

import { node, pool } from "../dom.js";
import { locale, t } from "../locale.js";
import { part } from "../parts.js";
import { mergeSpans, placeSpans } from "../pure/cut.js";
import { currentCut, frameCount } from "../selectors.js";
import { state } from "../state.js";

export function drawCutBand() {
  part.live.checked = state.live;
  const report = state.cut;
  /** @type {[string, Span[]][]} */
  const kinds = [
    ["stale", mergeSpans(state.stale)],
    ["growing", mergeSpans(state.growing)],
    ["ready", mergeSpans(report?.ready ?? [])],
  ];
  const bars = kinds.flatMap(([kind, spans]) =>
    placeSpans(spans, frameCount()).map((at) => ({ kind, ...at })),
  );
  pool(part.band, bars.length, () => node("i", "")).forEach((bar, n) => {
    const { kind, left, width } = bars[n];
    bar.className = kind;
    Object.assign(bar.style, { left: `${left}%`, width: `${width}%` });
  });
  part.band.dataset.rev = report?.rev ?? "";
  const words = report ? sentence(report) : "";
  if (part.cutting.textContent !== words) part.cutting.textContent = words;
  part.cutting.title = words;
  part.band.setAttribute("aria-valuemax", String(Math.max(1, report?.total ?? 1)));
  part.band.setAttribute("aria-valuenow", String(report?.done ?? 0));
  part.band.setAttribute("aria-valuetext", words || t("uncut"));
  part.band.setAttribute("aria-busy", String(state.live && currentCut()?.state === "cutting"));
}

/**
 * Return the progress as a sentence.
 * @param {CutReport} report
 */
function sentence({ state: stage, done, total, rate, left, message }) {
  if (stage === "failed") return message || t("cut_failed");
  if (stage === "done") return message || t("cut_done", { total });
  const words = [t("cut_count", { done, total })];
  if (!state.live) words.push(t("cut_off"));
  else if (stage === "idle") return message;
  else if (stage === "slow") return message || t("cut_slow");
  else if (stage === "cutting") words.push(...pace(rate, left));
  else if (state.queued) words.push(message || t("cut_waiting"));
  return words.join(" · ");
}

/**
 * Return the frames a second and the time left, if known.
 * @param {number} rate
 * @param {?number} left
 */
function pace(rate, left) {
  const words = [];
  if (rate > 0) {
    const digits = { maximumFractionDigits: rate < 10 ? 1 : 0 };
    words.push(t("cut_rate", { rate: rate.toLocaleString(locale(), digits) }));
  }
  if (left !== null && rate > 0) {
    const isLong = left > 90;
    words.push(t(isLong ? "cut_minutes" : "cut_seconds", { left: Math.ceil(isLong ? left / 60 : left) }));
  }
  return words;
}
