// The language of the stage, and its strings.

import { fill, languageCode } from "../words.js";
import { part } from "./parts.js";
import { formatTime } from "./pure/timecode.js";

/** Return the code of the language in use: the component's, else the browser's. */
export const locale = () => languageCode(WORDS, props.language, navigator.language);

/**
 * Return a string of the language in use with its {fields} filled in.
 * @param {string} key
 * @param {Record<string, unknown>} [fields]
 */
export const t = (key, fields = {}) => fill(WORDS[locale()][key] || key, fields);

/** Return the decimal separator: a point or a comma. */
export const decimalSign = () => (0.5).toLocaleString(locale()).charAt(1);

/**
 * Write a time as the language does: 3.21 is "00:03.21" or "00:03,21".
 * @param {number} seconds
 */
export const clock = (seconds) => formatTime(seconds, decimalSign());

/** Set the text of the nodes that have a string's key. */
export function translate() {
  /** @param {string} attribute */
  const having = (attribute) =>
    /** @type {HTMLElement[]} */ ([...element.querySelectorAll(`[${attribute}]`)]);
  for (const node of having("data-text")) node.textContent = t(node.dataset.text ?? "");
  for (const node of having("data-label")) node.setAttribute("aria-label", t(node.dataset.label ?? ""));
  for (const node of having("data-tip")) node.title = t(node.dataset.tip ?? "");
  part.stage.setAttribute("aria-label", t("stage"));
}
