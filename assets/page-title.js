// The tab's title: how far the run on the page is, as "43 % · name – Recorte".

import { titleOf } from "./titles.js";

const LOOK_MS = 250; // not with the frames of an animation, of which a hidden tab has none

let waiting = false;

function update() {
  waiting = false;
  /** @type {?HTMLProgressElement} */
  const bar = document.querySelector("#progress progress");
  /** @type {?HTMLInputElement} */
  const name = document.querySelector("#name input, #name textarea");
  const title = titleOf(bar && bar.value / bar.max, name?.value ?? "");
  if (document.title !== title) document.title = title;
}

new MutationObserver(() => {
  if (!waiting) setTimeout(update, LOOK_MS);
  waiting = true;
}).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["value"] });
