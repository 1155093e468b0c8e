// The controls of playing: play or pause, again from the start, the sound, and the speed.

import { locale, t } from "../locale.js";
import { part } from "../parts.js";
import { state } from "../state.js";

export function drawPlayback() {
  const { playing, loop, muted, volume, value } = state;
  const isSilent = muted || volume === 0;
  const hasSound = state.view === "result" ? !part.video.hidden : Boolean(value?.sound);
  part.play.disabled = !value || state.times.length < 2;
  part.play.classList.toggle("playing", Boolean(playing));
  part.play.setAttribute("aria-label", t(playing ? "pause" : "play"));
  part.loop.setAttribute("aria-pressed", String(loop));
  part.mute.hidden = !hasSound;
  part.mute.classList.toggle("muted", isSilent);
  part.mute.setAttribute("aria-pressed", String(isSilent));
  part.volume.hidden = !hasSound;
  part.volume.value = String(isSilent ? 0 : Math.round(volume * 100));
  const speed = playing ? playing.speed.toLocaleString(locale()).replace("-", "−") : "";
  part.speed.textContent = speed && t("speed", { speed });
  const { video } = part;
  video.loop = loop;
  if (video.muted !== muted) video.muted = muted;
  if (video.volume !== volume) video.volume = volume;
}
