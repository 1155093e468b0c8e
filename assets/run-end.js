// The end of a run, as the page sees it.

/** @typedef {{session: string, name: string, state: string}} Status */

/** @param {?Status} status */
export const isUnderWay = (status) => status?.state === "queued" || status?.state === "running";

/**
 * Return how a session's run has ended between two looks at the page: "done" or "failed"; "" if none has. One that
 * somebody cancelled is no news.
 * @param {?Status} before
 * @param {?Status} now
 */
export function endedRun(before, now) {
  if (!before || !now || before.session !== now.session || !isUnderWay(before)) return "";
  if (now.state === "done") return "done";
  return now.state === "failed" || now.state === "interrupted" ? "failed" : "";
}
