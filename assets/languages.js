// The choice of the page's language, in its header. Gradio runs this once for every mount, as the body of a function of
// (element, trigger, props, server, upload, watch).
//
// COOKIE, the name of the cookie with the choice, and WORDS are put before this by ui/page/blocks.py.

import { fill, languageCode } from "./words.js";

const YEAR_S = 365 * 24 * 3600;

const menu = /** @type {HTMLDetailsElement} */ (element.querySelector("details"));
const opener = /** @type {HTMLElement} */ (menu.querySelector("summary"));
const list = /** @type {HTMLElement} */ (menu.querySelector("ul"));

/** @param {string} code */
function choose(code) {
  const secure = window.location.protocol === "https:" ? "; secure" : "";
  // biome-ignore lint/suspicious/noDocumentCookie: the server reads it, and plain http has no Cookie Store API
  document.cookie = `${COOKIE}=${code}; path=/; max-age=${YEAR_S}; samesite=lax${secure}`;
  window.location.reload(); // the session and the tab stay
}

const current = languageCode(WORDS, navigator.language);
opener.textContent = WORDS[current].name;
opener.setAttribute("aria-label", fill(WORDS[current].language, { name: WORDS[current].name }));
for (const [code, { name }] of Object.entries(WORDS)) {
  const button = document.createElement("button");
  button.type = "button";
  button.lang = code;
  button.textContent = name;
  if (code === current) button.setAttribute("aria-current", "true");
  button.addEventListener("click", () => choose(code));
  const item = document.createElement("li");
  item.append(button);
  list.append(item);
}

menu.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !menu.open) return;
  menu.open = false;
  opener.focus();
});
document.addEventListener("click", (event) => {
  if (event.target instanceof Node && !menu.contains(event.target)) menu.open = false;
});
menu.addEventListener("focusout", ({ relatedTarget }) => {
  if (relatedTarget instanceof Node && !menu.contains(relatedTarget)) menu.open = false;
});
