// The field for words, and its button.

import { part } from "../parts.js";
import { findWords } from "../server/words.js";

/** @param {SubmitEvent} event */
export function onWords(event) {
  event.preventDefault();
  const text = part.said.value.trim();
  if (text) findWords(text, part.network.value);
  else part.said.focus();
}
