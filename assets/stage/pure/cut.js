// The live cut: ranges of frames, their places on the timeline, and the interval of polling.
// None of these functions changes what it is given.

/** @import { CutReport, Span } from "../types" */

export const SOON_MS = 500;
export const LATER_MS = 3000;

/**
 * Bring spans into one shape: ascending, none empty, and none that touches another.
 * @param {Span[]} spans
 * @returns {Span[]}
 */
export function mergeSpans(spans) {
  /** @type {Span[]} */
  const merged = [];
  for (const [first, past] of spans.filter(([first, past]) => first < past).sort((a, b) => a[0] - b[0])) {
    const last = merged.at(-1);
    if (last && first <= last[1]) last[1] = Math.max(last[1], past);
    else merged.push([first, past]);
  }
  return merged;
}

/**
 * Return the spans of the frames in `spans` that are not in `gone`.
 * @param {Span[]} spans
 * @param {Span[]} gone
 * @returns {Span[]}
 */
export function subtractSpans(spans, gone) {
  return mergeSpans(gone).reduce(
    (left, [first, past]) =>
      left.flatMap((span) => {
        /** @type {Span[]} */
        const parts = [
          [span[0], Math.min(span[1], first)],
          [Math.max(span[0], past), span[1]],
        ];
        return parts.filter((part) => part[0] < part[1]);
      }),
    mergeSpans(spans),
  );
}

/**
 * Tell whether a frame is in one of the spans.
 * @param {Span[]} spans
 * @param {number} index
 */
export const spansHold = (spans, index) => spans.some(([first, past]) => first <= index && index < past);

/**
 * Return the frames that are being computed: those beside the ones that came between two reports.
 * @param {Span[]} before
 * @param {Span[]} after
 * @param {number} reach the most frames of each span
 * @param {number} frames the number of all frames
 * @returns {Span[]}
 */
export function growingSpans(before, after, reach, frames) {
  const came = subtractSpans(after, before);
  /** @type {Span[]} */
  const edges = came.flatMap(([first, past]) => {
    const backward = !spansHold(before, first - 1);
    const forward = !spansHold(before, past);
    /** @type {Span[]} */
    const beside = [];
    if (backward && spansHold(before, past)) beside.push([Math.max(0, first - reach), first]);
    else if (forward) beside.push([past, Math.min(frames, past + reach)]);
    return beside;
  });
  return subtractSpans(edges, after);
}

/**
 * Return the left edge and width of spans on the timeline, in percent. A frame's middle is where the slider's thumb
 * stands for it.
 * @param {Span[]} spans
 * @param {number} frames the number of all frames
 */
export function placeSpans(spans, frames) {
  const last = Math.max(1, frames - 1);
  /** @param {number} edge */
  const percent = (edge) => Math.min(Math.max((edge - 0.5) / last, 0), 1) * 100;
  return spans.map(([first, past]) => {
    const left = percent(first);
    return { left, width: (frames > 1 ? percent(past) : 100) - left };
  });
}

/**
 * Return the milliseconds until the next request; null where the state does not change by itself any more.
 * @param {CutReport} report
 * @param {number} unchanged the number of equal reports before
 * @returns {?number}
 */
export function pollDelay({ state, left, again }, unchanged) {
  if (state === "cutting") return SOON_MS;
  if (state === "waiting") return unchanged ? LATER_MS : SOON_MS;
  if (state === "slow" && left !== 0) return unchanged ? LATER_MS : SOON_MS;
  // Measured again by then: nothing changes before.
  if (state === "slow" && typeof again === "number") return Math.max(LATER_MS, Math.ceil(again * 1000));
  return null;
}

/**
 * Tell whether two reports are equal, but for the pace.
 * @param {?CutReport} a
 * @param {CutReport} b
 */
export function isSameReport(a, b) {
  return (
    a !== null &&
    a.rev === b.rev &&
    a.state === b.state &&
    a.done === b.done &&
    (a.left === 0) === (b.left === 0) &&
    a.total === b.total &&
    a.message === b.message &&
    JSON.stringify(a.ready) === JSON.stringify(b.ready) &&
    JSON.stringify(a.checks) === JSON.stringify(b.checks)
  );
}
