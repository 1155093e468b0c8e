// The result: its player, or a download link for formats that browsers do not play.

import { canCompare } from "../actions/result-player.js";
import { part } from "../parts.js";
import { state } from "../state.js";

export function drawResult() {
  const result = state.value?.result;
  const shown = Boolean(result) && state.view === "result";
  const plays = result && result.plays !== false && result.url !== state.broken;
  const moving = plays && !result.type.startsWith("image/");
  const still = shown && plays && !moving;
  const { video, still: image } = part;
  const comparing = shown && Boolean(moving) && state.comparing && canCompare();
  video.hidden = !shown || !moving;
  image.hidden = !still;
  part.unplayable.hidden = !shown || Boolean(plays);
  if (result) part.fetch.href = `${result.url}?download`;
  part.points.hidden = shown;
  const url = moving ? result.url : "";
  if ((video.getAttribute("src") || "") !== url) {
    if (url) video.src = url;
    else {
      video.removeAttribute("src");
      video.load();
    }
  }
  if (!shown && !video.paused) video.pause();
  video.controls = !comparing; // the line would lie over them, and the timeline's do the same
  part.before.hidden = !comparing;
  part.compare.hidden = !shown || !moving || !canCompare();
  part.compare.setAttribute("aria-pressed", String(state.comparing));
  if (still && image.getAttribute("src") !== result.url) image.src = result.url;
}
