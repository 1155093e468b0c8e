// The dialog that lists the keyboard shortcuts. The browser keeps the focus in it, and closes it on Escape.

/** @import { Shortcut } from "../types" */

import { node } from "../dom.js";
import { t } from "../locale.js";
import { part } from "../parts.js";

/** How keys are written, where not by their name; others by the string `key_` and their name, if there is one. */
const SIGNS = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", "-": "−" };
const NAMED = ["Space", "Shift", "Alt", "Delete", "Backspace", "Escape", "Enter", "Home", "End"];

/** @param {string} name */
function keySign(name) {
  if (NAMED.includes(name)) return t(`key_${name.toLowerCase()}`);
  return /** @type {Record<string, string>} */ (SIGNS)[name] ?? name;
}

/**
 * Make the nodes of a key with those held with it, such as Shift and Z.
 * @param {string} key
 */
function keyNodes(key) {
  const names = key.length === 1 ? [key] : key.split("+");
  const together = node("span", "together");
  for (const name of names) {
    const sign = node("kbd", "");
    sign.textContent = keySign(name);
    together.append(sign);
  }
  return together;
}

/**
 * Make a group's list.
 * @param {string} group
 * @param {Shortcut[]} shortcuts
 */
function groupNodes(group, shortcuts) {
  const section = node("section", "");
  const heading = node("h3", "");
  heading.textContent = t(`keys_${group}`);
  const list = node("dl", "");
  const own = shortcuts.filter((shortcut) => shortcut.group === group);
  for (const text of new Set(own.map((shortcut) => shortcut.text))) {
    const term = node("dt", "");
    term.textContent = t(`does_${text}`);
    const keys = node("dd", "");
    keys.append(...own.filter((s) => s.text === text).flatMap((s) => s.keys.map(keyNodes)));
    list.append(term, keys);
  }
  section.append(heading, list);
  return section;
}

/**
 * Show the dialog.
 * @param {Shortcut[]} shortcuts
 */
export function openKeys(shortcuts) {
  if (part.keys.open) return;
  const groups = [...new Set(shortcuts.map(({ group }) => group))];
  part.shortcuts.replaceChildren(...groups.map((group) => groupNodes(group, shortcuts)));
  part.keys.showModal();
}
