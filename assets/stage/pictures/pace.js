// The time that a picture takes.

import { render } from "../render.js";
import { state } from "../state.js";

const SLOW_MS = 500;

let slowTimer = 0;

/** Note what takes long enough to be wondered about: only of that "Thinking" is said. */
export function watchPace() {
  if (!state.loading && !state.refining) {
    clearTimeout(slowTimer);
    slowTimer = 0;
    state.slow = false;
  } else if (!slowTimer) {
    slowTimer = setTimeout(() => {
      state.slow = true;
      render();
    }, SLOW_MS);
  }
}
