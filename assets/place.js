// Places of the page: the session that is on it, and the tab that is open.

/** @typedef {{session: string, tab: string}} Place `session` is an id, or empty */

const LIST = "sessions";

/**
 * Return the place that an entry of the browser's history stands for.
 * @param {string} address
 * @param {?{tab?: string}} state the entry's
 * @returns {Place}
 */
export function placeOfEntry(address, state) {
  return { session: new URL(address).searchParams.get("session") ?? "", tab: state?.tab ?? "cut" };
}

/**
 * Return the address of a place: the present one, with its session.
 * @param {string} address
 * @param {Place} place
 */
export function addressOf(address, { session }) {
  const url = new URL(address);
  if (session) url.searchParams.set("session", session);
  else url.searchParams.delete("session");
  return url.href;
}

/**
 * Return true if two places look alike: the list of sessions does, whichever session is on the other tab.
 * @param {Place} one
 * @param {Place} other
 */
export function isSamePlace(one, other) {
  return one.tab === other.tab && (one.tab === LIST || one.session === other.session);
}
