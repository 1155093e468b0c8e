// A colour, "#rrggbb": the browser's own picker, and its name or number to be typed. Gradio runs this once for every
// mount, as the body of a function of (element, trigger, props, server, upload, watch);
// ui/page/sections/background.py puts WORDS, the strings by language, before it.

import { languageCode } from "./words.js";

const [well, typed] = element.querySelectorAll("input");
const pen = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));

/** @param {string} key */
const t = (key) => WORDS[languageCode(WORDS, navigator.language)][key];

/**
 * Read "#0B4", "0b4" or "teal" as "#rrggbb"; null for what is no colour, or one that is not opaque.
 * @param {string} text
 */
function parse(text) {
  const bare = text.trim().toLowerCase();
  const colour = /^([0-9a-f]{3}|[0-9a-f]{6})$/.test(bare) ? `#${bare}` : bare;
  if (!CSS.supports("color", colour) || colour === "currentcolor") return null;
  pen.fillStyle = colour;
  const read = String(pen.fillStyle);
  return /^#[0-9a-f]{6}$/.test(read) ? read : null;
}

function show() {
  if (well.value !== props.value) well.value = props.value;
  if (document.activeElement !== typed) typed.value = props.value;
}

/** @param {string} colour */
function choose(colour) {
  well.value = typed.value = colour;
  typed.setCustomValidity("");
  /** @type {HTMLElement} */ (element.closest("#colour")).dataset.chosen = colour;
  props.value = colour;
  trigger("input");
}

well.setAttribute("aria-label", t("colour"));
typed.setAttribute("aria-label", t("hex"));
typed.title = t("hex");
well.addEventListener("input", () => choose(well.value));
typed.addEventListener("input", () => typed.setCustomValidity(""));
typed.addEventListener("change", () => {
  const colour = parse(typed.value);
  if (colour === null) {
    typed.setCustomValidity(t("no_colour"));
    typed.reportValidity();
    return;
  }
  choose(colour);
});
watch("value", show);
show();
