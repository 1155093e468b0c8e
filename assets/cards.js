// The cards of the sessions. Gradio runs this once for every mount, as the body of a function of
// (element, trigger, props, server, upload, watch). What users wrote is set as text, never as HTML.

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

/** Delete asks once more, in place, and gives the focus to the harmless answer. */
function deleter(card) {
  const box = make("span", "deleter");
  const ask = () => {
    const keep = button(say("no"), "", rest);
    box.replaceChildren(
      make("span", "sure", say("sure")),
      button(say("yes"), "stop", () => trigger("delete", { id: card.id })),
      keep,
    );
    keep.focus();
  };
  const rest = () => box.replaceChildren(button(say("delete"), "", ask));
  rest();
  return box;
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

function draw(card) {
  const node = make("article", "card");
  node.dataset.id = card.id;
  const open = () => trigger("select", { id: card.id });
  const poster = make("img", "poster");
  if (card.poster) poster.src = card.poster;
  poster.alt = "";
  poster.loading = "lazy";
  poster.addEventListener("click", open);
  const facts = make("p", "quiet");
  facts.append(new Date(card.when).toLocaleString());
  if (card.model) facts.append(" · ", card.model, " · ", background(card));
  const state = make("p", `state ${card.state}`, say(card.state));
  if (card.state === "running" && card.progress) state.append(" · ", say("frames", card.progress));
  if (card.state === "done" && card.took) state.append(" · ", say("took", { seconds: card.took }));
  const tools = make("div", "tools");
  tools.append(button(say("open"), "open", open));
  for (const result of card.results) {
    const link = make("a", "", say("download", { format: result.format }));
    link.href = result.url;
    link.download = "";
    tools.append(link);
  }
  const star = button(card.starred ? "★" : "☆", "star", () =>
    trigger("like", { id: card.id, starred: !card.starred }),
  );
  star.title = say("star");
  star.setAttribute("aria-label", say("star"));
  star.setAttribute("aria-pressed", String(card.starred));
  tools.append(star, deleter(card));
  node.append(poster, make("h3", "", card.name), facts, state);
  if (card.error) node.append(make("p", "failure", card.error));
  node.append(tools);
  return node;
}

function render() {
  const list = element.querySelector("[data-part=cards]");
  const cards = Array.isArray(props.value) ? props.value : [];
  list.replaceChildren(...(cards.length ? cards.map(draw) : [make("p", "quiet", say("empty"))]));
}

watch("value", render);
render();
