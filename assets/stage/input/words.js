// The field for words, and its buttons.

import { part } from "../parts.js";
import { checkedTimes } from "../selectors.js";
import { findWords } from "../server/words.js";

/** @param {SubmitEvent} event */
export function onWords(event) {
  event.preventDefault();
  find([]);
}

/** Search again where the cut may have slipped. */
export function onAgain() {
  find(checkedTimes());
}

/** @param {number[]} again */
function find(again) {
  const text = part.said.value.trim();
  if (text) findWords(text, part.network.value, again);
  else part.said.focus();
}
