// The cards of the sessions. Gradio runs this once for every mount, as the body of a function of
// (element, trigger, props, server, upload, watch). What users wrote is set as text, never as HTML.
//
// The value is {cards: [...], search: what was searched for, gone: null or {id, name, seconds}, what was deleted
// last and can be brought back}. A card that is still there keeps its nodes, and with them the focus.

const part = Object.fromEntries([...element.querySelectorAll("[data-part]")].map((n) => [n.dataset.part, n]));

function say(key, fields = {}) {
  const code = (navigator.language || "en").toLowerCase().split("-")[0];
  const table = props.words[code] || props.words.en;
  return (table[key] || key).replace(/\{(\w+)\}/g, (whole, name) => (name in fields ? fields[name] : whole));
}

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function button(text, className, act) {
  const node = make("button", className, text);
  node.type = "button";
  node.addEventListener("click", act);
  return node;
}

function background(card) {
  if (card.background.startsWith("#")) {
    const dot = make("span", "dot");
    dot.style.background = card.background;
    dot.title = card.background;
    return dot;
  }
  return make("span", "", say(card.background));
}

/** The name with a pencil beside it, which makes it a field: Enter takes what is written, Escape does not. */
function titled(id) {
  const box = make("div", "title");
  const name = make("h3");
  const input = make("input");
  input.type = "text";
  input.maxLength = 120;
  input.hidden = true;
  const pencil = button("✎", "pencil", () => {
    input.value = name.textContent;
    input.setAttribute("aria-label", say("name_of", { name: name.textContent }));
    input.hidden = false;
    name.hidden = pencil.hidden = true;
    input.focus();
    input.select();
  });
  pencil.title = say("rename");
  pencil.setAttribute("aria-label", say("rename"));
  const close = (taken) => {
    if (input.hidden) return;
    name.hidden = pencil.hidden = false;
    input.hidden = true;
    const written = input.value.replace(/\s+/g, " ").trim();
    if (!taken || !written || written === name.textContent) return;
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

/** A card's nodes, without what may change. */
function build({ id }) {
  const node = make("article", "card");
  node.dataset.id = id;
  const open = () => trigger("select", { id });
  const poster = make("img", "poster");
  poster.alt = "";
  poster.loading = "lazy";
  poster.addEventListener("click", open);
  const star = button("", "star", () => trigger("like", { id, starred: star.getAttribute("aria-pressed") !== "true" }));
  star.title = say("star");
  star.setAttribute("aria-label", say("star"));
  const tools = make("div", "tools");
  const links = make("span", "links");
  tools.append(button(say("open"), "open", open), links, star, button(say("delete"), "", () => trigger("delete", { id })));
  const bar = make("progress");
  node.append(poster, titled(id), make("p", "quiet facts"), make("p", "state"), bar, make("p", "failure"), tools);
  return node;
}

/** Put into a card's nodes what is so now. */
function fill(node, card) {
  const at = (selector) => node.querySelector(selector);
  if (card.poster && at("img").getAttribute("src") !== card.poster) at("img").src = card.poster;
  at("h3").textContent = card.name;
  at(".facts").replaceChildren(new Date(card.when).toLocaleString());
  if (card.model) at(".facts").append(" · ", card.model, " · ", background(card)); // one that can be read
  const state = at(".state");
  state.className = `state ${card.state}`;
  state.textContent = say(card.state);
  const going = card.state === "running" && card.progress;
  if (going) state.append(" · ", say("frames", card.progress));
  if (card.state === "done" && card.took) state.append(" · ", say("took", { seconds: card.took }));
  at("progress").hidden = !going;
  if (going) Object.assign(at("progress"), { max: Math.max(1, card.progress.total), value: card.progress.done });
  at(".failure").textContent = card.error || "";
  at(".failure").hidden = !card.error;
  at(".star").textContent = card.starred ? "★" : "☆";
  at(".star").setAttribute("aria-pressed", String(card.starred));
  const results = JSON.stringify(card.results);
  if (node.results === results) return;
  node.results = results;
  at(".links").replaceChildren(
    ...card.results.map((result) => {
      const link = make("a", "", say("download", { format: result.format }));
      link.href = result.url;
      link.download = "";
      return link;
    }),
  );
}

let timer = 0;

/** For a while it is said what was deleted, and can be undone. */
function offer(gone) {
  if (!gone) return;
  const [said, back] = part.undo.children;
  said.textContent = say("deleted", { name: gone.name });
  back.textContent = say("undo");
  back.onclick = () => {
    part.undo.hidden = true;
    trigger("undo", { id: gone.id });
  };
  part.undo.hidden = false;
  clearTimeout(timer);
  timer = setTimeout(() => (part.undo.hidden = true), gone.seconds * 1000 - 1000);
}

function render() {
  const { cards = [], search = "", gone = null } = props.value || {};
  const known = new Map([...part.cards.children].map((node) => [node.dataset.id, node]));
  const nodes = cards.map((card) => known.get(card.id) || build(card));
  cards.forEach((card, n) => fill(nodes[n], card));
  for (const node of [...part.cards.children]) if (!nodes.includes(node)) node.remove();
  // A node that is where it should be is not touched: it would lose the focus.
  nodes.forEach((node, n) => {
    if (part.cards.children[n] !== node) part.cards.insertBefore(node, part.cards.children[n] || null);
  });
  part.none.hidden = cards.length > 0;
  part.none.textContent = search.trim() ? say("none_found", { search: search.trim() }) : say("empty");
  offer(gone);
}

watch("value", render);
render();
