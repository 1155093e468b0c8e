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

/** Media query for reduced motion. */
export const reducedMotion = window.matchMedia("(prefers-reduced-motion: reduce)");

/** Media query for touch screens. */
export const coarsePointer = window.matchMedia("(pointer: coarse)");
