// The sound of the video. While it is heard the clock of the pictures follows it; until it is, it follows the clock.

/** @import { MediaClock } from "../pure/media-clock" */

import { refusalOf } from "../pure/refusal.js";
import { render } from "../render.js";
import { video } from "../selectors.js";
import { state } from "../state.js";

const JOIN_S = 0.12; // where the sound comes in farther from the clock than this, it is moved there first
const MOST_JOINS = 3;

export const sound = (() => {
  const audio = new Audio();
  audio.preload = "auto";
  let on = false;
  let heard = false;
  let joins = 0;
  let failed = ""; // the address of a sound that could not be loaded
  let onTime = () => {};

  audio.addEventListener("timeupdate", () => onTime());
  audio.addEventListener("error", async () => {
    const address = audio.getAttribute("src");
    if (!address) return;
    on = false;
    failed = address;
    const response = await fetch(address, { headers: { Range: "bytes=0-0" } }).catch(() => null);
    if (!response || response.ok || address !== addressOf()) return;
    const refusal = await refusalOf(response);
    state.error = refusal.message;
    render();
  });

  const addressOf = () => (state.value ? `${video().media}/sound` : "");

  return {
    /**
     * Play from `time` on, in seconds; nothing is heard backwards, or where there is no sound.
     * @param {number} time
     * @param {number} speed
     * @param {() => void} listener called a few times a second while it plays, on hidden pages too
     */
    start(time, speed, listener) {
      const address = addressOf();
      on = Boolean(video().sound) && speed > 0 && address !== failed;
      if (!on) {
        audio.pause();
        return;
      }
      onTime = listener;
      if (audio.getAttribute("src") !== address) audio.src = address;
      heard = false;
      joins = 0;
      audio.playbackRate = speed;
      audio.currentTime = time;
      this.adjust();
      audio.play().catch(() => {
        on = false; // refused by the browser, or stopped at once: the pictures go on by their own clock
      });
    },
    /**
     * Bring clock and sound together.
     * @param {MediaClock} clock
     * @param {number} now milliseconds
     */
    follow(clock, now) {
      if (!on || audio.paused || audio.seeking || audio.readyState < HTMLMediaElement.HAVE_FUTURE_DATA)
        return;
      const time = clock.at(now);
      if (!heard && joins < MOST_JOINS && Math.abs(audio.currentTime - time) > JOIN_S) {
        joins += 1;
        audio.currentTime = time;
        return;
      }
      heard = true;
      clock.follow(audio.currentTime, now);
    },
    /**
     * Go on from another second.
     * @param {number} time
     */
    seek(time) {
      if (!on) return;
      audio.currentTime = time;
      if (audio.paused) audio.play().catch(() => {});
    },
    stop() {
      on = false;
      onTime = () => {};
      audio.pause();
    },
    /** Forget the video's sound: another video, or the end. */
    forget() {
      this.stop();
      failed = "";
      audio.removeAttribute("src");
      audio.load();
    },
    /** Take over the volume. */
    adjust() {
      audio.muted = state.muted;
      audio.volume = state.volume;
    },
  };
})();
