// The nodes of `stage.html`, and the browser's settings that matter here.

/** @import { Parts } from "./types" */

/** The nodes by their `data-part`. */
export const part = /** @type {Parts} */ (
  /** @type {unknown} */ (
    Object.fromEntries(
      /** @type {HTMLElement[]} */ ([...element.querySelectorAll("[data-part]")]).map((node) => [
        node.dataset.part,
        node,
      ]),
    )
  )
);

/** Matches where the person wants less movement. */
export const reducedMotion = window.matchMedia("(prefers-reduced-motion: reduce)");

/** Matches where they point with a finger. */
export const coarsePointer = window.matchMedia("(pointer: coarse)");
