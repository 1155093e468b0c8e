// What is remembered of playing from one visit to the next.

import { clamp } from "../pure/geometry.js";
import { state } from "../state.js";

const KEY = "recorte.playing";

/** Take over what was remembered. */
export function loadSettings() {
  try {
    const { loop, muted, volume } = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    Object.assign(state, { loop: loop === true, muted: muted === true });
    if (typeof volume === "number") state.volume = clamp(volume, 0, 1);
  } catch {
    // Nothing is remembered, or the browser keeps nothing.
  }
}

export function saveSettings() {
  const { loop, muted, volume } = state;
  try {
    localStorage.setItem(KEY, JSON.stringify({ loop, muted, volume }));
  } catch {
    // The browser keeps nothing.
  }
}
