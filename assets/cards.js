// The cards of the sessions. Gradio runs this once for every mount, as the body of a function of
// (element, trigger, props, server, upload, watch). What users wrote is set as text, never as HTML.
//
// The value is {cards: [...], search: the search text, gone: null or {id, name, seconds}, the session deleted last,
// which can be restored}. An unchanged card keeps its nodes, and with them the focus.

import { namedParts } from "./named-parts.js";
import { fill, languageCode } from "./words.js";

/**
 * @typedef {object} Card a session
 * @property {string} id
 * @property {string} name
 * @property {string} when when it was last changed, as ISO 8601
 * @property {string} poster the address of a picture, empty where there is none
 * @property {string} model its name, empty where the session cannot be read
 * @property {string} background "#rrggbb", or the key of a word
 * @property {string} state
 * @property {?{done: number, total: number, left: ?string}} progress frames, and how long the rest takes
 * @property {?string} took how long the run took
 * @property {?string} error
 * @property {boolean} starred
 * @property {{url: string, format: string}[]} results
 */

const part = namedParts(element);

/**
 * @param {string} key
 * @param {Record<string, unknown>} [fields]
 */
function t(key, fields) {
  const words = props.words ?? {};
  return fill(words[languageCode(words, navigator.language)][key] || key, fields);
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} [className]
 * @param {string} [text]
 */
function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

/**
 * @param {string} text
 * @param {string} className
 * @param {() => void} act
 */
function button(text, className, act) {
  const node = make("button", className, text);
  node.type = "button";
  node.addEventListener("click", act);
  return node;
}

/** @param {Card} card */
function backgroundSign(card) {
  if (card.background.startsWith("#")) {
    const dot = make("span", "dot");
    dot.style.background = card.background;
    dot.title = card.background;
    return dot;
  }
  return make("span", "", t(card.background));
}

/**
 * Make the name with a pencil button that turns it into a field: Enter accepts the text, Escape discards it.
 * @param {string} id
 */
function nameField(id) {
  const box = make("div", "title");
  const name = make("h3");
  const input = make("input");
  input.type = "text";
  input.maxLength = 120;
  input.hidden = true;
  const pencil = button("✎", "pencil", () => {
    input.value = name.textContent;
    input.setAttribute("aria-label", t("name_of", { name: name.textContent }));
    input.hidden = false;
    name.hidden = pencil.hidden = true;
    input.focus();
    input.select();
  });
  pencil.title = t("rename");
  pencil.setAttribute("aria-label", t("rename"));
  /** @param {boolean} accept */
  const close = (accept) => {
    if (input.hidden) return;
    name.hidden = pencil.hidden = false;
    input.hidden = true;
    const written = input.value.replace(/\s+/g, " ").trim();
    if (!accept || !written || written === name.textContent) return;
    name.textContent = written;
    trigger("edit", { id, name: written });
  };
  input.addEventListener("keydown", (event) => {
    if (event.isComposing || !["Enter", "Escape"].includes(event.key)) return;
    close(event.key === "Enter");
    pencil.focus();
  });
  input.addEventListener("blur", () => close(true));
  box.append(name, input, pencil);
  return box;
}

/**
 * Make a card's nodes, without their variable content.
 * @param {Card} card
 */
function build({ id }) {
  const node = make("article", "card");
  node.dataset.id = id;
  const open = () => trigger("select", { id });
  const poster = make("img", "poster");
  poster.alt = "";
  poster.loading = "lazy";
  poster.addEventListener("click", open);
  const star = button("", "star", () =>
    trigger("like", { id, starred: star.getAttribute("aria-pressed") !== "true" }),
  );
  star.title = t("star");
  star.setAttribute("aria-label", t("star"));
  const tools = make("div", "tools");
  const links = make("span", "links");
  const remove = button(t("delete"), "", () => trigger("delete", { id }));
  tools.append(button(t("open"), "open", open), links, star, remove);
  const bar = make("progress");
  node.append(poster, nameField(id), make("p", "quiet facts"), make("p", "state"), bar);
  node.append(make("p", "failure"), tools);
  return node;
}

/** The results that a card links to, as JSON. @type {WeakMap<HTMLElement, string>} */
const linked = new WeakMap();

/**
 * Update a card's nodes.
 * @param {HTMLElement} node
 * @param {Card} card
 */
function update(node, card) {
  /** @param {string} selector */
  const at = (selector) => /** @type {HTMLElement} */ (node.querySelector(selector));
  const poster = /** @type {HTMLImageElement} */ (at("img"));
  if (card.poster && poster.getAttribute("src") !== card.poster) poster.src = card.poster;
  at("h3").textContent = card.name;
  at(".facts").replaceChildren(new Date(card.when).toLocaleString(navigator.language));
  if (card.model) at(".facts").append(" · ", card.model, " · ", backgroundSign(card)); // empty for an unreadable session
  const state = at(".state");
  state.className = `state ${card.state}`;
  state.textContent = t(card.state);
  const progress = card.state === "running" ? card.progress : null;
  if (progress) state.append(" · ", t("frames", progress));
  if (progress?.left) state.append(" · ", t("left", { time: progress.left }));
  if (card.state === "done" && card.took) state.append(" · ", t("took", { seconds: card.took }));
  at("progress").hidden = !progress;
  at("progress").setAttribute("aria-label", t("progress_of", { name: card.name }));
  if (progress) Object.assign(at("progress"), { max: Math.max(1, progress.total), value: progress.done });
  at(".failure").textContent = card.error || "";
  at(".failure").hidden = !card.error;
  at(".star").textContent = card.starred ? "★" : "☆";
  at(".star").setAttribute("aria-pressed", String(card.starred));
  const results = JSON.stringify(card.results);
  if (linked.get(node) === results) return;
  linked.set(node, results);
  at(".links").replaceChildren(
    ...card.results.map((result) => {
      const link = make("a", "", t("download", { format: result.format }));
      link.href = result.url;
      link.download = "";
      return link;
    }),
  );
}

let timer = 0;

/**
 * Show which session was deleted for a while, and offer to undo it.
 * @param {?{id: string, name: string, seconds: number}} gone
 */
function offerUndo(gone) {
  if (!gone) return;
  const [sentence, back] = /** @type {HTMLElement[]} */ ([...part.undo.children]);
  sentence.textContent = t("deleted", { name: gone.name });
  back.textContent = t("undo");
  back.onclick = () => {
    part.undo.hidden = true;
    trigger("undo", { id: gone.id });
  };
  part.undo.hidden = false;
  clearTimeout(timer);
  timer = setTimeout(
    () => {
      part.undo.hidden = true;
    },
    gone.seconds * 1000 - 1000,
  );
}

function render() {
  /** @type {{cards?: Card[], search?: string, gone?: ?{id: string, name: string, seconds: number}}} */
  const { cards = [], search = "", gone = null } = props.value || {};
  const old = /** @type {HTMLElement[]} */ ([...part.cards.children]);
  const known = new Map(old.map((node) => [node.dataset.id, node]));
  const nodes = cards.map((card) => known.get(card.id) || build(card));
  cards.forEach((card, n) => {
    update(nodes[n], card);
  });
  for (const node of old) if (!nodes.includes(node)) node.remove();
  // A node in its place is not moved, which would take the focus from it.
  nodes.forEach((node, n) => {
    if (part.cards.children[n] !== node) part.cards.insertBefore(node, part.cards.children[n] || null);
  });
  part.none.hidden = cards.length > 0;
  part.none.textContent = search.trim() ? t("none_found", { search: search.trim() }) : t("empty");
  offerUndo(gone);
}

part.heading.textContent = t("heading");
watch("value", render);
render();
