// How masks are drawn, remembered from one visit to the next.

/** @import { Tint } from "../types" */

import { state } from "../state.js";
import { refresh } from "./navigation.js";

const KEY = "recorte.tint";
/** @type {Tint[]} */
const TINTS = ["", "strong", "solid", "outline"];

/** @param {?string} name */
const tintOf = (name) => TINTS.find((tint) => tint === name) ?? "";

/** Take over what was remembered. */
export function loadTint() {
  try {
    state.tint = tintOf(localStorage.getItem(KEY));
  } catch {
    // The browser keeps nothing.
  }
}

/** @param {string} name */
export function chooseTint(name) {
  state.tint = tintOf(name);
  try {
    localStorage.setItem(KEY, state.tint);
  } catch {
    // The browser keeps nothing.
  }
  refresh();
}
