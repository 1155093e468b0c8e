// The empty page: what the application does, shown, and clips to try. Gradio runs this once for every mount, as the
// body of a function of (element, trigger, props, server, upload, watch). WORDS are put before this by
// ui/page/sections/upload.py.
//
// The value is {files: the address of the pictures, names: of the examples, limits: {bytes, seconds, pixels}, of an
// upload; 0 for no limit}. A click on an example triggers `select` with its {name}.

import { namedParts } from "./named-parts.js";
import { fill, languageCode } from "./words.js";

const part = namedParts(element);
const code = languageCode(WORDS, navigator.language);
/** @type {{files: string, names: string[], limits: {bytes: number, seconds: number, pixels: number}}} */
const { files, names, limits } = props.value;

/**
 * @param {string} key
 * @param {Record<string, unknown>} [fields]
 */
const t = (key, fields) => fill(WORDS[code][key] || key, fields);

// ---------------------------------------------------------------- before and after

function showBeforeAndAfter() {
  const video = /** @type {HTMLVideoElement} */ (part.video);
  const button = /** @type {HTMLButtonElement} */ (part.pause);
  video.poster = `${files}/welcome.jpg`;
  video.src = `${files}/welcome.mp4`;
  video.muted = true;
  video.setAttribute("aria-label", t("show"));
  part.before.textContent = t("before");
  part.after.textContent = t("after");
  // It plays where it is seen, unless the system asks for no motion or somebody has stopped it.
  let wanted = !window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  let seen = false;
  function follow() {
    if (wanted && seen) video.play().catch(() => {});
    else video.pause();
    button.textContent = wanted ? "❚❚" : "▶";
    button.setAttribute("aria-label", t(wanted ? "pause" : "play"));
    button.title = t(wanted ? "pause" : "play");
  }
  button.addEventListener("click", () => {
    wanted = !wanted;
    follow();
  });
  new IntersectionObserver(([entry]) => {
    seen = entry.isIntersecting;
    follow();
  }).observe(video);
  video.addEventListener("canplay", follow); // what was asked for while it was loading
  follow();
}

// ---------------------------------------------------------------- examples and facts

/** @param {string} name */
function exampleButton(name) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "example";
  button.dataset.name = name;
  const picture = document.createElement("img");
  picture.src = `${files}/${name}.jpg`;
  picture.alt = "";
  picture.width = 320;
  picture.height = 180;
  const label = document.createElement("span");
  label.textContent = t(name);
  const about = document.createElement("span");
  about.className = "quiet";
  about.textContent = t(`${name}_about`);
  button.append(picture, label, about);
  button.addEventListener("click", () => {
    window.recorte.reading(t(name));
    trigger("select", { name });
  });
  return button;
}

/** Return the limits of an upload as a sentence; empty if there are none. */
function describeLimits() {
  /** @param {number} value */
  const number = (value) => value.toLocaleString(code, { maximumFractionDigits: 1 });
  const parts = [];
  if (limits.bytes) {
    const giga = limits.bytes >= 1e9;
    parts.push(`${number(limits.bytes / (giga ? 1e9 : 1e6))} ${giga ? "GB" : "MB"}`);
  }
  if (limits.seconds)
    parts.push(limits.seconds < 120 ? `${number(limits.seconds)} s` : `${number(limits.seconds / 60)} min`);
  if (limits.pixels) parts.push(t("pixels", { count: number(limits.pixels / 1e6) }));
  return parts.length ? t("limits", { most: parts.join(" · ") }) : t("unlimited");
}

function showExamples() {
  part.heading.textContent = t("try");
  part.examples.append(...names.map(exampleButton));
  const isLocal = ["localhost", "127.0.0.1", "[::1]"].includes(window.location.hostname);
  const facts = [
    ["in", `${t("in_what")} ${describeLimits()}`],
    ["out", t("out_what")],
    ["stays", t(isLocal ? "stays_here" : "stays_server")],
  ];
  part.facts.append(
    ...facts.flatMap(([key, sentence]) => {
      const term = document.createElement("dt");
      const detail = document.createElement("dd");
      term.textContent = t(key);
      detail.textContent = sentence;
      const pair = document.createElement("div");
      pair.append(term, detail);
      return pair;
    }),
  );
}

if (part.video) showBeforeAndAfter();
if (part.examples) showExamples();
