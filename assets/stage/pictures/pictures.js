// The pictures of frames: fetched, cached, and shown once they are decoded. There is one request at a time; a newer
// one replaces it.

/** @import { View } from "../types" */

/** @typedef {{url: string, index: number, view: View, rev: string}} Picture */
/** @typedef {Picture & {since: number, controller: AbortController}} PictureRequest */

import { t } from "../locale.js";
import { part } from "../parts.js";
import { PictureCache } from "../pure/picture-cache.js";
import { Refusal, refusalOf } from "../pure/refusal.js";
import { render } from "../render.js";
import { isAllCut, isCut, isMarked } from "../selectors.js";
import { state } from "../state.js";
import { address, decodedImage, revision } from "./images.js";
import { noteReadFrame } from "./read-frames.js";

const CACHED_PICTURES = 80;
const FALLBACK_MS = 180; // after this a new frame is shown without its mask until that is computed
const SCRUB_MS = 150; // a request younger than this is completed before the next one is sent

export const pictures = (() => {
  const cache = new PictureCache(CACHED_PICTURES, (source) => URL.revokeObjectURL(source));
  let refinement = new AbortController(); // of the request for a better picture
  /** @type {?PictureRequest} */
  let running = null;
  /** @type {?Picture} */
  let wanted = null;
  /** @type {?Picture} */
  let shown = null;
  /** @type {Set<string>} addresses whose pictures were made for another revision than the requested one */
  const passing = new Set();
  /** @type {Set<string>} addresses whose hasty pictures were requested again once the frame was cut */
  const renewed = new Set();
  /** @type {Set<string>} addresses of pictures whose light is that of the frame alone, until all is cut */
  const unsurveyed = new Set();
  let turn = 0; // counts requests and resets: pictures decoded for an older one are not shown
  let fallbackTimer = 0;
  let scrubTimer = 0;

  /**
   * Fetch a picture into the cache; `query` is added to its address, and asks for a better one.
   * @param {string} url
   * @param {AbortSignal} [signal]
   */
  async function load(url, signal, query = "") {
    const response = await fetch(url + query, { signal });
    if (!response.ok) throw await refusalOf(response);
    const source = URL.createObjectURL(await response.blob());
    const says = (/** @type {string} */ name) => response.headers.get(name);
    cache.put(url, source, says("Recorte-Final") === "0", says("Recorte-Cut") === "0");
    // Once, when all is cut: a frame that cannot be decoded would keep it so.
    if (says("Recorte-Surveyed") === "0" && !isAllCut()) unsurveyed.add(url);
    else unsurveyed.delete(url);
    const made = says("Recorte-Revision");
    const asked = new URL(url, location.href).searchParams;
    // The marks have changed meanwhile: it is shown once, but not reused as a picture of the older marks.
    if (made !== null && asked.get("view") !== "original" && decodeURIComponent(made) !== asked.get("rev")) {
      passing.add(url);
    } else {
      passing.delete(url);
    }
  }

  /**
   * Tell whether a better picture than the one that is here can be had, as its frame has been cut since.
   * @param {Picture} picture
   */
  function isRenewable({ url, index, view }) {
    if (view === "original" || !cache.has(url) || !isCut(index)) return false;
    if (unsurveyed.has(url) && isAllCut()) return true;
    return cache.isUncut(url) || (cache.isHasty(url) && !renewed.has(url));
  }

  /**
   * Return the object URL of a picture, fetched unless it is in the cache.
   * @param {string} url
   * @param {AbortSignal} [signal]
   */
  async function get(url, signal) {
    if (!cache.has(url) || passing.has(url)) await load(url, signal);
    return cache.take(url);
  }

  /**
   * Put a picture in the other's place once it is decoded, so that nothing blank is seen between them.
   * @param {Picture} picture
   * @param {string} source
   * @param {() => boolean} isWanted
   * @param {boolean} cut false for the plain frame in the place of one that is not cut yet
   */
  async function show({ url, index, view, rev }, source, isWanted, cut) {
    const layers = [await decodedImage(source, cut ? "layer" : "layer uncut")];
    layers[0].dataset.rev = rev;
    if (view === "split") {
      const before = await get(address(index, "original"));
      layers.push(await decodedImage(before, "layer before"));
    }
    if (!isWanted()) return;
    part.pan.replaceChildren(...layers);
    shown = { url, index, view, rev };
    state.shown = { index, view, rev, cut };
  }

  /** Show the frame without a mask, dimmed, until the one with it is loaded. */
  async function showPlain() {
    const wish = wanted;
    if (!wish || wish.view === "original") return;
    const mine = turn;
    const url = address(wish.index, "original");
    try {
      const source = await get(url);
      const isWanted = () => mine === turn && shown?.url !== wish.url;
      if (!isWanted()) return;
      await show({ ...wish, url }, source, isWanted, false);
      render();
    } catch {
      // The main request reports errors.
    }
  }

  function stop() {
    clearTimeout(scrubTimer);
    running?.controller.abort();
    running = null;
  }

  /**
   * @param {Picture} wish
   * @param {boolean} [again] whether it is fetched though a picture of it is here
   */
  async function start(wish, again = isRenewable(wish)) {
    clearTimeout(scrubTimer);
    const mine = { ...wish, since: performance.now(), controller: new AbortController() };
    running = mine;
    try {
      if (again) {
        renewed.add(mine.url);
        await load(mine.url, mine.controller.signal);
      }
      const source = await get(mine.url, mine.controller.signal);
      // While scrubbing, cached frames are shown on the way to the newest.
      await show(mine, source, () => running === mine, !cache.isUncut(mine.url));
      if (running !== mine) return;
    } catch (error) {
      if (running !== mine) return;
      running = null;
      if (wanted && wanted.url !== mine.url) {
        start(wanted);
        return;
      }
      state.error = error instanceof Refusal ? error.message : t("failed", { frame: mine.index + 1 });
      state.loading = false;
      clearTimeout(fallbackTimer);
      showPlain();
      render();
      return;
    }
    running = null;
    if (wanted && wanted.url !== mine.url) {
      start(wanted);
      return;
    }
    if (!again && isRenewable(mine)) {
      start(wish, true);
      return;
    }
    clearTimeout(fallbackTimer);
    state.loading = false;
    noteReadFrame(mine);
    refine(mine);
    render();
  }

  /**
   * Have a marked frame that was shown in haste shown as a run will make it.
   * @param {Picture} picture
   */
  async function refine(picture) {
    if (!cache.isHasty(picture.url) || !isMarked(picture.index)) return;
    refinement = new AbortController();
    const mine = refinement;
    state.refining = true;
    try {
      await load(picture.url, mine.signal, "&patient=1");
      cache.settle(picture.url); // requested once
      const isWanted = () => mine === refinement && !mine.signal.aborted;
      if (isWanted()) await show(picture, await get(picture.url), isWanted, !cache.isUncut(picture.url));
    } catch {
      // The shown picture stays until the frame is shown again.
    }
    if (mine !== refinement) return;
    state.refining = false;
    render();
  }

  function stopRefining() {
    refinement.abort();
    refinement = new AbortController();
    state.refining = false;
  }

  return {
    /**
     * Show this frame in this view as soon as it can be had.
     * @param {number} index
     * @param {View} view
     */
    want(index, view) {
      const url = address(index, view);
      const isSame = wanted && wanted.url === url && wanted.view === view;
      const wish = { url, index, view, rev: revision() };
      const isShown = shown && shown.url === url && shown.view === view;
      if (isSame && (running || (isShown && !isRenewable(wish)))) return;
      stopRefining();
      turn += 1;
      wanted = wish;
      state.loading = true;
      clearTimeout(fallbackTimer);
      if (!shown || shown.index !== index) fallbackTimer = setTimeout(showPlain, FALLBACK_MS);
      if (!running) {
        start(wish);
        return;
      }
      const left = SCRUB_MS - (performance.now() - running.since);
      const restart = () => {
        stop();
        start(wish);
      };
      if (running.index === index || left <= 0) {
        restart();
      } else {
        clearTimeout(scrubTimer);
        scrubTimer = setTimeout(restart, left);
      }
    },
    /**
     * Show images of a frame that were fetched elsewhere, such as while it plays, in the place of whatever is wanted.
     * @param {number} index
     * @param {View} view
     * @param {HTMLImageElement[]} layers
     * @param {boolean} cut false for the plain frame in the place of one that is not cut yet
     */
    present(index, view, layers, cut) {
      turn += 1;
      stop();
      stopRefining();
      clearTimeout(fallbackTimer);
      wanted = null;
      const rev = revision();
      shown = { url: "", index, view, rev };
      state.shown = { index, view, rev, cut };
      state.loading = false;
      part.pan.replaceChildren(...layers);
    },
    /** Drop all pictures, for another video or at unmount. */
    forget() {
      turn += 1;
      stop();
      stopRefining();
      clearTimeout(fallbackTimer);
      wanted = null;
      shown = null;
      state.shown = null;
      passing.clear();
      renewed.clear();
      unsurveyed.clear();
      part.pan.replaceChildren();
      cache.clear();
    },
  };
})();
