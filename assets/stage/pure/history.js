// The stored history of a video: what it leads to, and the moments that undo and redo lead back to.

/** @import { Moment, StoredHistory } from "../types" */

const MOST_STEPS = 50;

/**
 * Keep the newest steps only.
 * @param {StoredHistory} history
 * @returns {StoredHistory}
 */
export function capped(history) {
  return { ...history, undo: history.undo.slice(-MOST_STEPS), redo: history.redo.slice(-MOST_STEPS) };
}

/**
 * Return the steps of a stored history; null if there is none, or if it does not lead to what is present.
 * @param {?string} stored JSON
 * @param {Pick<Moment, "prompts" | "objects" | "range">} present
 * @returns {?{undo: Moment[], redo: Moment[]}}
 */
export function matching(stored, present) {
  if (!stored) return null;
  /** @type {StoredHistory} */
  let history;
  try {
    history = JSON.parse(stored);
  } catch {
    return null;
  }
  const { undo, redo, ...then } = history;
  return JSON.stringify(then) === JSON.stringify(present) ? { undo, redo } : null;
}
