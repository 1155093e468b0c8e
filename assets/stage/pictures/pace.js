// Detection of slow pictures.

import { render } from "../render.js";
import { state } from "../state.js";

const SLOW_MS = 500;

let slowTimer = 0;

/** Set `state.slow` while a picture takes long, which shows "Thinking". */
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
