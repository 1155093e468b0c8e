// Refuses unusable files when they are chosen or dropped, in the page's language; Gradio's own message would be in
// English. WORDS, by language, and MOST, the largest upload in bytes, are put before this by ui/page/blocks.py.

import { fits } from "./file-types.js";
import { fill } from "./words.js";

const FIELDS = ["#drop", "#dropped", "#pictures", "#footage", "#matte-in"]
  .map((id) => `${id} input[type=file]`)
  .join(", ");
const SHOWN_MS = 10000;

/**
 * @param {string} key
 * @param {Record<string, unknown>} fields
 */
function t(key, fields) {
  const words = WORDS[document.documentElement.lang] || WORDS.en;
  return fill(words[key], fields);
}

/**
 * Return why a file cannot be used, as a sentence; "" if it may be usable.
 * @param {File} file
 * @param {string} accept
 */
function faultOf(file, accept) {
  if (!fits(file, accept)) {
    const videos = accept.includes("video") && (accept.includes("image") ? "no_clip" : "no_video");
    return t(videos || "no_picture", { name: file.name });
  }
  if (!MOST || file.size <= MOST) return "";
  const most = (MOST / 1e6).toLocaleString(document.documentElement.lang, { maximumFractionDigits: 1 });
  return t("too_large", { name: file.name, most: `${most} MB` });
}

let timer = 0;
const box = document.createElement("p");
box.id = "refused";
box.setAttribute("role", "alert");
box.addEventListener("click", () => box.remove());

/** @param {string} sentence */
function showRefusal(sentence) {
  box.textContent = sentence;
  document.body.append(box);
  clearTimeout(timer);
  timer = setTimeout(() => box.remove(), SHOWN_MS);
}

/**
 * Stop an event that has an unusable file.
 * @param {Event} event
 * @param {FileList} files
 * @param {string} accept
 */
function check(event, files, accept) {
  const sentence = [...files].map((file) => faultOf(file, accept)).find(Boolean);
  if (!sentence) {
    box.remove();
    return;
  }
  event.preventDefault();
  event.stopImmediatePropagation();
  showRefusal(sentence);
}

window.addEventListener(
  "change",
  (event) => {
    const field = event.target;
    if (!(field instanceof HTMLInputElement) || !field.matches(FIELDS) || !field.files) return;
    check(event, field.files, field.accept);
    if (event.defaultPrevented || box.isConnected) field.value = "";
  },
  true,
);
window.addEventListener(
  "drop",
  (event) => {
    const drop = event.target instanceof Element && event.target.closest("#drop");
    /** @type {?HTMLInputElement} */
    const field = drop ? drop.querySelector("input[type=file]") : null;
    if (field && event.dataTransfer?.files.length) check(event, event.dataTransfer.files, field.accept);
  },
  true,
);
