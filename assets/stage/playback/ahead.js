// Pictures fetched ahead of what is shown while something plays: several at once, and no more than can be here in time.

/** @import { FrameRange } from "../types" */

import { decodedImage } from "../pictures/images.js";
import { frameOf, nextStep, Pace } from "../pure/playback.js";
import { refusalOf } from "../pure/refusal.js";

const MOST_AT_ONCE = 4;
const AHEAD_MS = 1000;
const MOST_FAILURES = 3;

/** @typedef {{url: string, className: string}} Layer an image of a picture, the lowest first */
/** @typedef {{step: number, index: number, layers: HTMLImageElement[], cut: boolean}} Played
 * `cut`: false where the plain frame stands in for one that is not cut yet */

/** The pictures of a part that plays, by its steps; see `pure/playback.js`. */
export class Ahead {
  /** @type {Map<number, Played>} */
  #here = new Map();
  /** @type {Map<number, AbortController>} */
  #coming = new Map();
  #pace = new Pace();
  #asked;
  #due;
  #failures = 0;
  #key = "";
  #how;

  /**
   * @param {object} how
   * @param {FrameRange} how.frames
   * @param {number} how.speed
   * @param {number} how.frameMs how long a frame is shown, on average
   * @param {number} how.from the step that is shown already
   * @param {() => boolean} how.loops
   * @param {(index: number) => Layer[]} how.layersOf
   */
  constructor(how) {
    this.#how = how;
    this.#asked = how.from;
    this.#due = how.from;
  }

  /** True where no picture can be had. */
  get hasFailed() {
    return this.#failures >= MOST_FAILURES;
  }

  /**
   * Return the newest picture that is due and here, once; null where none is.
   * @param {number} due the step that is to be shown now
   * @returns {?Played}
   */
  take(due) {
    this.#due = due;
    this.#dropStale();
    this.#fetch();
    /** @type {?Played} */
    let newest = null;
    for (const [step, picture] of this.#here) {
      if (step > due) continue;
      this.#here.delete(step);
      if (!newest || step > newest.step) newest = picture;
    }
    return newest;
  }

  stop() {
    for (const controller of this.#coming.values()) controller.abort();
    this.#coming.clear();
    this.#here.clear();
  }

  /** Drop what was fetched for another view or revision: it is asked for again. */
  #dropStale() {
    const { frames, speed } = this.#how;
    const key = this.#keyOf(frameOf(0, frames, speed));
    if (this.#key && key !== this.#key) {
      this.stop();
      this.#asked = this.#due;
    }
    this.#key = key;
  }

  #fetch() {
    const { frames, speed, frameMs, loops } = this.#how;
    const each = frameMs / Math.abs(speed);
    const stride = this.#pace.stride(each);
    const lead = this.#pace.lead(each);
    const horizon = Math.max(lead + 2 * stride, Math.ceil(AHEAD_MS / each));
    const count = frames.last - frames.first + 1;
    while (this.#coming.size < MOST_AT_ONCE && !this.hasFailed) {
      const step = nextStep({
        asked: this.#asked,
        due: this.#due,
        lead,
        stride,
        count,
        loop: loops(),
        horizon,
      });
      if (step === null) return;
      this.#asked = step;
      this.#load(step);
    }
  }

  /** @param {number} step */
  async #load(step) {
    const { frames, speed, layersOf } = this.#how;
    const index = frameOf(step, frames, speed);
    const controller = new AbortController();
    this.#coming.set(step, controller);
    const since = performance.now();
    const parallel = this.#coming.size;
    try {
      const { signal } = controller;
      const loaded = await Promise.all(layersOf(index).map((layer) => loadImage(layer, signal)));
      if (signal.aborted) return;
      this.#pace.note(performance.now() - since, parallel);
      const cut = loaded.every((layer) => layer.cut);
      this.#here.set(step, { step, index, layers: loaded.map(({ image }) => image), cut });
      this.#failures = 0;
    } catch {
      if (controller.signal.aborted) return;
      this.#failures += 1;
    }
    this.#coming.delete(step);
    this.#fetch();
  }

  /** @param {number} index */
  #keyOf(index) {
    return this.#how
      .layersOf(index)
      .map(({ url }) => url)
      .join(" ");
  }
}

/**
 * Return a decoded image of an address.
 * @param {Layer} layer
 * @param {AbortSignal} signal
 */
async function loadImage({ url, className }, signal) {
  const response = await fetch(url, { signal });
  if (!response.ok) throw await refusalOf(response);
  const source = URL.createObjectURL(await response.blob());
  try {
    const cut = response.headers.get("Recorte-Cut") !== "0" || className !== "layer";
    return { image: await decodedImage(source, cut ? className : `${className} uncut`), cut };
  } finally {
    URL.revokeObjectURL(source);
  }
}
