// The stage's behaviour. Gradio runs this once for every mount, as the body of a function of
// (element, trigger, props, server, upload, watch); ui/stage.py puts WORDS, the strings by language, before it.
// ES2020, no build step, no other host.

/**
 * Coordinates are pixels of the displayed frame, origin top left; times are seconds from the first frame.
 * @typedef {{x: number, y: number, keep: boolean}} Point
 * @typedef {[number, number, number, number]} Box  x0, y0, x1, y1
 * @typedef {{time: number, points: Point[], box: ?Box}} Prompt  the marks of one frame
 * @typedef {{url: string, type: string, transparent: boolean}} Result
 * @typedef {{media: string, width: number, height: number, frames: number, prompts: Prompt[], rev: ?string,
 *            can_point: boolean, can_box: boolean, result: ?Result, message: ?string, seq: ?number}} Value
 * @typedef {{kind: "point", i: number} | {kind: "box"}} MarkRef  a mark of the frame that is shown
 */

const VIEWS = ["mask", "cutout", "original", "result"];
const MAX_ZOOM = 12;
const CACHED_PICTURES = 80;
const DRAG_PX = { mouse: 4, pen: 5, touch: 8 }; // CSS pixels before a press becomes a drag
const FALLBACK_MS = 180; // after this a new frame is shown plain while its mask is still being made
const SCRUB_MS = 150; // a frame younger than this is let through before the next one is asked for
const RESEND_MS = 3000;
const ANSWER_MS = 20000; // a mark stops pulsing after this, should the answer have been lost

const part = Object.fromEntries(
  [...element.querySelectorAll("[data-part]")].map((node) => [node.dataset.part, node]),
);
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
const coarse = window.matchMedia("(pointer: coarse)");

/** All there is to know; `render` draws it and nothing else does. */
const state = {
  /** @type {?Value} */ value: null,
  /** @type {Prompt[]} */ prompts: [],
  /** @type {?Prompt[]} */ draft: null, // what a drag under way would make of the prompts
  seq: 0, // of the newest edit made here
  answered: 0, // of the newest edit that the server has answered
  before: -1, // of the last edit made before this video came; answers up to it are late
  /** @type {number[]} */ times: [],
  index: 0,
  view: "mask",
  back: "mask", // the view to return to from the result
  tool: "keep",
  zoom: 1,
  x: 0, // where the picture's left edge lies, in widths of the frame: 0 to 1 - zoom
  y: 0,
  /** @type {{prompts: Prompt[], index: number}[]} */ undo: [],
  /** @type {{prompts: Prompt[], index: number}[]} */ redo: [],
  /** @type {?MarkRef} */ selected: null,
  /** @type {?{index: number, mark: MarkRef}} */ newest: null,
  loading: false,
  error: "",
  /** @type {?Box} */ rubber: null,
};

// ---------------------------------------------------------------- words

function table() {
  const language = props.language || navigator.language || "en";
  const code = language.toLowerCase().split("-")[0];
  return WORDS[code] || WORDS.en;
}

/** A string of the table with its {fields} filled in. */
function say(key, fields = {}) {
  return (table()[key] || key).replace(/\{(\w+)\}/g, (whole, name) => (name in fields ? fields[name] : whole));
}

function label() {
  for (const node of element.querySelectorAll("[data-text]")) {
    node.textContent = say(node.dataset.text);
  }
  for (const node of element.querySelectorAll("[data-label]")) {
    node.setAttribute("aria-label", say(node.dataset.label));
  }
  for (const node of element.querySelectorAll("[data-tip]")) node.title = say(node.dataset.tip);
  part.stage.setAttribute("aria-label", say("stage"));
}

/** 3.21 -> "00:03.21" */
function clock(seconds) {
  const hundredths = Math.round(seconds * 100);
  const pad = (n) => String(n).padStart(2, "0");
  return `${pad(Math.floor(hundredths / 6000))}:${pad(Math.floor(hundredths / 100) % 60)}.${pad(hundredths % 100)}`;
}

// ---------------------------------------------------------------- prompts

/** Same shape whoever wrote them: by time, no empty ones, no missing keys. */
function tidy(prompts) {
  return (prompts || [])
    .map((p) => ({
      time: p.time || 0,
      points: (p.points || []).map(({ x, y, keep }) => ({ x, y, keep: keep !== false })),
      box: p.box || null,
    }))
    .filter((p) => p.points.length || p.box)
    .sort((a, b) => a.time - b.time);
}

/** As the server reads and writes them: no box, no key. */
function plain(prompts) {
  return prompts.map(({ time, points, box }) => (box ? { time, points, box } : { time, points }));
}

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const frameCount = () => state.times.length || (state.value ? state.value.frames : 0);
const timeOf = (index) => state.times[index] || 0;

/** The frame nearest to a time in seconds. */
function indexOf(time) {
  const times = state.times;
  let low = 0;
  let high = times.length - 1;
  if (high < 1) return 0;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (times[middle] <= time) low = middle;
    else high = middle;
  }
  return time - times[low] <= times[high] - time ? low : high;
}

/** The marks of the frame at `index`, as one prompt, be it empty. */
function marksAt(prompts, index) {
  const here = prompts.filter((p) => indexOf(p.time) === index);
  if (here.length === 1) return here[0];
  const boxes = here.map((p) => p.box).filter(Boolean);
  return { time: timeOf(index), points: here.flatMap((p) => p.points), box: boxes.pop() || null };
}

/** The prompts with the shown frame's marks replaced by what `change` makes of them. */
function changed(change) {
  const before = marksAt(state.prompts, state.index);
  const others = state.prompts.filter((p) => indexOf(p.time) !== state.index);
  return tidy([...others, { ...before, ...change(before) }]);
}

// ---------------------------------------------------------------- edits, and the server's answers

/** Make an edit: remember the way back, show it, tell the server. */
function edit(prompts, newest = null) {
  if (same(prompts, state.prompts)) return;
  state.undo.push({ prompts: state.prompts, index: state.index });
  state.redo = [];
  apply(prompts, newest);
}

function apply(prompts, newest = null) {
  state.prompts = prompts;
  state.newest = newest && { index: state.index, mark: newest };
  state.seq += 1;
  send();
  expectAnswer(state.seq);
  render();
}

/** Put the marks where Gradio reads them for the next event, whichever control it comes from. */
function hand() {
  props.value = { ...state.value, prompts: plain(state.prompts), seq: state.seq, rev: null };
}

function send() {
  hand();
  trigger("input", { seq: state.seq });
}

/**
 * See that an edit is not lost. Gradio drops the call that waited if the one before it failed, so an edit made
 * while another was under way is sent once more; a lone one is not, as it was then refused in so many words.
 */
function expectAnswer(seq) {
  const open = () => element.isConnected && state.value && state.seq === seq && state.answered < seq;
  setTimeout(() => open() && seq - state.answered > 1 && send(), RESEND_MS);
  setTimeout(() => {
    if (!open()) return;
    state.newest = null;
    render();
  }, ANSWER_MS);
}

function travel(from, to) {
  const entry = from.pop();
  if (!entry) return;
  to.push({ prompts: state.prompts, index: entry.index });
  go(entry.index);
  state.selected = null;
  apply(entry.prompts);
}

const undo = () => travel(state.undo, state.redo);
const redo = () => travel(state.redo, state.undo);

function addPoint(x, y, keep) {
  if (!state.value.can_point) return;
  const { points } = marksAt(state.prompts, state.index);
  edit(
    changed(() => ({ points: [...points, { x, y, keep }] })),
    { kind: "point", i: points.length },
  );
}

function withBox(box) {
  return changed(() => ({ box }));
}

function moved(mark, dx, dy) {
  return changed(({ points, box }) => {
    if (mark.kind === "point") {
      return { points: points.map((p, i) => (i === mark.i ? { ...p, ...inside(p.x + dx, p.y + dy) } : p)) };
    }
    const { width, height } = state.value;
    const sx = Math.min(Math.max(dx, -box[0]), width - box[2]);
    const sy = Math.min(Math.max(dy, -box[1]), height - box[3]);
    return { box: [box[0] + sx, box[1] + sy, box[2] + sx, box[3] + sy].map(tenth) };
  });
}

function deleteMark(mark) {
  state.selected = null;
  edit(
    changed(({ points, box }) =>
      mark.kind === "point" ? { points: points.filter((_, i) => i !== mark.i), box } : { box: null },
    ),
  );
}

function clear() {
  state.selected = null;
  edit(changed(() => ({ points: [], box: null })));
}

/** Whether a value answers an edit made before this video came on the stage, of this or another one. */
function late(incoming) {
  if (!incoming || incoming.seq == null) return false;
  return !state.value || incoming.media !== state.value.media || incoming.seq <= state.before;
}

function onValue() {
  if (!late(props.value)) return adopt(props.value);
  if (state.value) hand();
  else props.value = null;
}

/** Take in a value that the server sent. */
function adopt(incoming) {
  if (!incoming || !incoming.media) return close();
  if (!state.value || incoming.media !== state.value.media) return open(incoming);
  const result = state.value.result;
  const stale = incoming.rev == null || (incoming.seq == null ? state.answered < state.seq : incoming.seq < state.seq);
  if (stale) {
    // Made before the newest edit here: its marks and pictures are older than what the hand has done since.
    state.value = { ...incoming, rev: state.value.rev };
    hand();
  } else {
    state.value = incoming;
    state.seq = Math.max(state.seq, incoming.seq || 0);
    state.answered = state.seq;
    const prompts = tidy(incoming.prompts);
    if (!same(prompts, state.prompts)) {
      // The server's own change, such as another subject: the way back led through other marks.
      Object.assign(state, { prompts, undo: [], redo: [], selected: null, newest: null, draft: null });
    }
  }
  state.error = "";
  followResult(result);
  refresh();
}

/** Show the result when a new one came, leave it when it went. */
function followResult(before) {
  const now = state.value.result;
  if (now && (!before || before.url !== now.url)) setView("result");
  if (!now && state.view === "result") setView(state.back);
}

function close() {
  pictures.forget();
  Object.assign(state, {
    value: null, prompts: [], draft: null, times: [], index: 0, undo: [], redo: [], selected: null, newest: null,
    zoom: 1, x: 0, y: 0, loading: false, error: "", rubber: null, view: "mask", back: "mask", tool: "keep",
  });
  gesture = null;
  render();
}

function open(value) {
  close();
  state.value = value;
  state.prompts = tidy(value.prompts);
  state.before = value.seq == null ? state.seq : -1;
  state.seq = Math.max(state.seq, value.seq || 0);
  state.answered = state.seq;
  state.tool = value.can_point || !value.can_box ? "keep" : "box";
  part.strip.src = `${value.media}/strip`;
  loadTimes(value.media);
  followResult(null);
  refresh();
}

async function loadTimes(media) {
  try {
    const response = await fetch(`${media}/times`);
    if (!response.ok) throw await refusal(response);
    const times = await response.json();
    if (!state.value || state.value.media !== media) return;
    state.times = times;
  } catch (error) {
    if (!state.value || state.value.media !== media) return;
    state.error = (error instanceof Refusal && error.message) || say("failed", { frame: 1 });
  }
  refresh();
}

// ---------------------------------------------------------------- pictures

/** The server said no, in a sentence for the person. */
class Refusal extends Error {}

async function refusal(response) {
  try {
    const { error } = await response.json();
    if (typeof error === "string" && error) return new Refusal(error);
  } catch (error) {
    // No JSON: there is no sentence to show.
  }
  return new Error(String(response.status));
}

function address(index, view) {
  const rev = view === "original" ? "0" : state.value.rev || ""; // the plain frame never changes
  return `${state.value.media}/frames/${index}?view=${view}&rev=${encodeURIComponent(rev)}`;
}

/** Fetches frames and shows them. One request is under way at a time; a newer wish takes its place. */
const pictures = (() => {
  /** @type {Map<string, string>} address -> object URL, the least recently shown first */
  const cache = new Map();
  /** @type {?{url: string, index: number, view: string, since: number, controller: AbortController}} */
  let running = null;
  /** @type {?{url: string, index: number, view: string}} */
  let wanted = null;
  /** @type {?{url: string, index: number}} */
  let shown = null;
  let turn = 0; // counts wishes and clearings, so that a late decode knows that it is late
  let fallback = 0;
  let patience = 0;

  async function get(url, signal) {
    if (!cache.has(url)) {
      const response = await fetch(url, { signal });
      if (!response.ok) throw await refusal(response);
      cache.set(url, URL.createObjectURL(await response.blob()));
    }
    const source = cache.get(url);
    cache.delete(url);
    cache.set(url, source);
    for (const [old, blob] of cache) {
      if (cache.size <= CACHED_PICTURES) break;
      cache.delete(old);
      URL.revokeObjectURL(blob);
    }
    return source;
  }

  /** Put a picture in the other's place once it is decoded, so that nothing blank is seen between them. */
  async function show(picture, source, stillWanted) {
    const fresh = node("img", "layer", { alt: "", draggable: "false" });
    fresh.src = source;
    await fresh.decode();
    if (!stillWanted()) return;
    part.pan.replaceChildren(fresh);
    shown = { url: picture.url, index: picture.index };
  }

  /** The frame without a mask, for as long as the one with it is not there. */
  async function showPlain() {
    if (!wanted || wanted.view === "original") return;
    const mine = turn;
    const picture = { ...wanted, view: "original", url: address(wanted.index, "original") };
    try {
      const source = await get(picture.url);
      const waiting = () => mine === turn && !(shown && shown.url === wanted.url);
      if (waiting()) await show(picture, source, waiting);
    } catch (error) {
      // The wish itself reports what is wrong.
    }
  }

  function stop() {
    clearTimeout(patience);
    if (running) running.controller.abort();
    running = null;
  }

  async function start() {
    clearTimeout(patience);
    const mine = { ...wanted, since: performance.now(), controller: new AbortController() };
    running = mine;
    try {
      const source = await get(mine.url, mine.controller.signal);
      // While scrubbing, a frame that is already here is shown on the way to the newest.
      await show(mine, source, () => running === mine);
      if (running !== mine) return;
    } catch (error) {
      if (running !== mine) return;
      running = null;
      if (wanted.url !== mine.url) return void start();
      state.error = error instanceof Refusal ? error.message : say("failed", { frame: mine.index + 1 });
      state.loading = false;
      clearTimeout(fallback);
      showPlain();
      return render();
    }
    running = null;
    if (wanted && wanted.url !== mine.url) return void start();
    clearTimeout(fallback);
    state.loading = false;
    render();
  }

  return {
    /** Show this frame in this view as soon as it can be had. */
    want(index, view) {
      const url = address(index, view);
      if (wanted && wanted.url === url && (running || (shown && shown.url === url))) return;
      turn += 1;
      wanted = { url, index, view };
      state.loading = true;
      clearTimeout(fallback);
      if (!shown || shown.index !== index) fallback = setTimeout(showPlain, FALLBACK_MS);
      if (!running) return void start();
      const left = SCRUB_MS - (performance.now() - running.since);
      if (running.index === index || left <= 0) {
        stop();
        start();
      } else {
        clearTimeout(patience);
        patience = setTimeout(() => {
          stop();
          start();
        }, left);
      }
    },
    /** Forget all pictures: another video, or the end. */
    forget() {
      turn += 1;
      stop();
      clearTimeout(fallback);
      wanted = null;
      shown = null;
      part.pan.replaceChildren();
      for (const blob of cache.values()) URL.revokeObjectURL(blob);
      cache.clear();
    },
  };
})();

/** Ask for the picture that the state calls for, then draw. */
function refresh() {
  if (state.value && state.view !== "result") pictures.want(state.index, state.view);
  render();
}

// ---------------------------------------------------------------- moving about

function go(index) {
  const last = Math.max(0, (state.times.length || 1) - 1);
  const target = Math.min(Math.max(0, index), last);
  if (state.view === "result") state.view = state.back;
  if (target !== state.index) Object.assign(state, { index: target, selected: null, draft: null, error: "" });
  refresh();
}

/** By `seconds`, to the nearest frame, at least one frame on. */
function leap(seconds) {
  const target = indexOf(timeOf(state.index) + seconds);
  go(target === state.index ? state.index + Math.sign(seconds) : target);
}

function setView(view) {
  if (view === "result" && !state.value.result) return;
  if (view !== state.view) state.error = "";
  if (view !== "result") state.back = view;
  state.view = view;
  refresh();
}

function setTool(tool) {
  if (tool === "box" ? !state.value.can_box : !state.value.can_point) return;
  state.tool = tool;
  render();
}

/** Zoom by `factor` about a place given in parts of the frame's box, 0 to 1. */
function zoomAt(factor, u, v) {
  const zoom = Math.min(Math.max(state.zoom * factor, 1), MAX_ZOOM);
  const ratio = zoom / state.zoom;
  place(zoom, u - (u - state.x) * ratio, v - (v - state.y) * ratio);
}

function place(zoom, x, y) {
  const held = (n) => Math.min(Math.max(n, 1 - zoom), 0);
  Object.assign(state, { zoom, x: held(x), y: held(y) });
  render();
}

const fit = () => place(1, 0, 0);

// ---------------------------------------------------------------- coordinates

const tenth = (n) => Math.round(n * 10) / 10;

function inside(x, y) {
  const { width, height } = state.value;
  return { x: tenth(Math.min(Math.max(x, 0), width)), y: tenth(Math.min(Math.max(y, 0), height)) };
}

/** Where a pointer is, in parts of the frame's box: 0 to 1 from the top left. */
function partsOf(at) {
  const rect = part.picture.getBoundingClientRect();
  return { u: (at.clientX - rect.left) / rect.width, v: (at.clientY - rect.top) / rect.height };
}

/** The same in the frame's own pixels, held inside it. */
function pixelOf(at) {
  const { u, v } = partsOf(at);
  return inside(((u - state.x) / state.zoom) * state.value.width, ((v - state.y) / state.zoom) * state.value.height);
}

/** From the frame's pixels to percent of the frame's box. */
function percentOf(x, y) {
  return {
    left: ((x / state.value.width) * state.zoom + state.x) * 100,
    top: ((y / state.value.height) * state.zoom + state.y) * 100,
  };
}

// ---------------------------------------------------------------- pointers

/** @type {Map<number, {clientX: number, clientY: number}>} */
const pointers = new Map();
/** What the hand is doing: {kind: "press"|"box"|"mark"|"corner"|"pan"|"pinch", ...} */
let gesture = null;
let spaceHeld = false;
let lastTap = { time: 0, clientX: 0, clientY: 0 };

/** The mark under an event's target, and its corner if it is one. */
function hit(target) {
  const node = target.closest("[data-mark]");
  if (!node) return null;
  const mark = node.dataset.mark === "box" ? { kind: "box" } : { kind: "point", i: Number(node.dataset.mark) };
  const corner = target.closest("[data-corner]");
  return { mark, corner: corner && corner.dataset.corner };
}

function onDown(event) {
  part.picture.classList.remove("aim");
  if (!state.value || state.view === "result" || event.target.closest("[data-delete], .fit")) return;
  if (pointers.size && event.pointerType === "mouse") return;
  pointers.set(event.pointerId, event);
  part.picture.setPointerCapture(event.pointerId);
  if (pointers.size === 2) return startPinch();
  if (pointers.size > 2) return;
  gesture = begin(event);
  if (gesture.kind === "pan") event.preventDefault();
  render();
}

function begin(event) {
  const common = { id: event.pointerId, from: event, type: event.pointerType };
  if (event.button === 1 || spaceHeld) return { ...common, kind: "pan", x: state.x, y: state.y };
  const found = hit(event.target);
  if (found) {
    if (!found.corner) return { ...common, kind: "mark", ...found };
    return { ...common, kind: "corner", box: marksAt(state.prompts, state.index).box, corner: found.corner };
  }
  const second = event.button === 2 || event.shiftKey || event.ctrlKey;
  return { ...common, kind: "press", second };
}

function startPinch() {
  const [a, b] = [...pointers.values()];
  Object.assign(state, { rubber: null, draft: null });
  gesture = { kind: "pinch", gap: gap(a, b), zoom: state.zoom, x: state.x, y: state.y, ...partsOf(between(a, b)) };
  render();
}

const gap = (a, b) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY) || 1;
const between = (a, b) => ({ clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 });

function onMove(event) {
  if (!pointers.has(event.pointerId)) return;
  pointers.set(event.pointerId, event);
  if (!gesture) return;
  if (gesture.kind === "pinch") return pinch();
  if (gesture.id !== event.pointerId) return;
  const needed = state.tool === "box" && gesture.kind === "press" ? 1 : DRAG_PX[gesture.type] || 4;
  if (!gesture.dragged && gap(gesture.from, event) < needed) return;
  gesture.dragged = true;
  if (gesture.kind === "press") {
    gesture.kind = state.value.can_box ? "box" : "pan";
    Object.assign(gesture, { x: state.x, y: state.y });
  }
  drag(event);
}

function drag(event) {
  const a = pixelOf(gesture.from);
  const b = pixelOf(event);
  if (gesture.kind === "box") {
    state.rubber = [Math.min(a.x, b.x), Math.min(a.y, b.y), Math.max(a.x, b.x), Math.max(a.y, b.y)];
  } else if (gesture.kind === "mark") {
    state.selected = gesture.mark;
    state.draft = moved(gesture.mark, b.x - a.x, b.y - a.y);
  } else if (gesture.kind === "corner") {
    state.draft = withBox(resized(gesture.box, gesture.corner, b));
  } else if (gesture.kind === "pan") {
    const rect = part.picture.getBoundingClientRect();
    const dx = (event.clientX - gesture.from.clientX) / rect.width;
    const dy = (event.clientY - gesture.from.clientY) / rect.height;
    return place(state.zoom, gesture.x + dx, gesture.y + dy);
  }
  render();
}

/** A box with one corner ("nw", "ne", "sw", "se") put elsewhere, never turned inside out. */
function resized([x0, y0, x1, y1], corner, { x, y }) {
  return [
    corner.includes("w") ? Math.min(x, x1 - 2) : x0,
    corner.includes("n") ? Math.min(y, y1 - 2) : y0,
    corner.includes("e") ? Math.max(x, x0 + 2) : x1,
    corner.includes("s") ? Math.max(y, y0 + 2) : y1,
  ];
}

function pinch() {
  const [a, b] = [...pointers.values()];
  const { u, v } = partsOf(between(a, b));
  const zoom = Math.min(Math.max((gesture.zoom * gap(a, b)) / gesture.gap, 1), MAX_ZOOM);
  const ratio = zoom / gesture.zoom;
  place(zoom, u - (gesture.u - gesture.x) * ratio, v - (gesture.v - gesture.y) * ratio);
}

function onUp(event) {
  if (!pointers.delete(event.pointerId) || !gesture) return;
  const done = gesture;
  if (done.kind === "pinch") {
    if (!pointers.size) gesture = null; // the finger that is left draws nothing
    return;
  }
  if (done.id !== event.pointerId) return;
  gesture = null;
  const { rubber, draft } = state;
  Object.assign(state, { rubber: null, draft: null });
  if (done.kind === "box" && rubber) {
    if (rubber[2] - rubber[0] >= 2 && rubber[3] - rubber[1] >= 2) edit(withBox(rubber), { kind: "box" });
  } else if (draft) {
    edit(draft, done.mark || { kind: "box" });
  } else if (!done.dragged) {
    tap(done, event);
  }
  render();
}

/** A press that went nowhere. */
function tap(press, event) {
  if (press.type !== "mouse" && doubled(event)) return;
  if (press.kind === "mark") {
    state.selected = press.mark;
  } else if (press.kind === "press") {
    if (state.selected) state.selected = null;
    if (state.tool === "box" && !press.second) return;
    const { x, y } = pixelOf(press.from);
    addPoint(x, y, !press.second && state.tool !== "remove");
  }
}

/** The second tap of two shows the whole picture again, and takes back the first one's point. */
function doubled(event) {
  const now = performance.now();
  const again = state.zoom > 1 && now - lastTap.time < 300 && gap(lastTap, event) < 24;
  lastTap = again ? { time: 0, clientX: 0, clientY: 0 } : { time: now, clientX: event.clientX, clientY: event.clientY };
  if (!again) return false;
  if (state.newest) undo();
  fit();
  return true;
}

function onCancel(event) {
  if (!pointers.delete(event.pointerId)) return;
  gesture = null;
  Object.assign(state, { rubber: null, draft: null });
  render();
}

function onWheel(event) {
  if (!state.value || state.view === "result") return;
  if (state.zoom === 1 && event.deltaY > 0) return; // nothing to zoom out of: the page scrolls
  event.preventDefault();
  const lines = event.deltaMode === 1 ? 16 : 1;
  const { u, v } = partsOf(event);
  zoomAt(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.002)), u, v);
}

// ---------------------------------------------------------------- keys

const TYPING = 'input:not([type="range"]), textarea, select, [contenteditable=""], [contenteditable="true"]';

/** Whether a key pressed there is meant for the stage. */
function ours(target) {
  if (!state.value || part.stage.offsetParent === null || target.closest(TYPING)) return false;
  return target === document.body || element.contains(target);
}

const KEYS = {
  arrowleft: (event) => (event.shiftKey ? leap(-1) : go(state.index - 1)),
  arrowright: (event) => (event.shiftKey ? leap(1) : go(state.index + 1)),
  z: (event) => (event.shiftKey ? redo() : undo()),
  m: () => setView("mask"),
  c: () => setView("cutout"),
  o: () => setView("original"),
  r: () => setView("result"),
  k: () => setTool("keep"),
  x: () => setTool("remove"),
  b: () => setTool("box"),
  delete: () => state.selected && deleteMark(state.selected),
  backspace: () => state.selected && deleteMark(state.selected),
  escape: () => {
    gesture = null;
    Object.assign(state, { selected: null, rubber: null, draft: null });
    render();
  },
};

const NUDGES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function onKey(event) {
  if (!element.isConnected) return detach();
  if (event.defaultPrevented || !ours(event.target)) return;
  if (event.key === " " && event.target === part.picture) {
    spaceHeld = true;
    event.preventDefault();
    return render();
  }
  if (event.altKey && NUDGES[event.key] && state.selected) {
    const step = event.shiftKey ? 10 : 1;
    const [dx, dy] = NUDGES[event.key];
    event.preventDefault();
    return edit(moved(state.selected, dx * step, dy * step), state.selected);
  }
  if (event.key === "Enter" && part.picture.classList.contains("aim") && event.target === part.picture) {
    event.preventDefault();
    return markMiddle();
  }
  const key = event.key.toLowerCase();
  const command = event.ctrlKey || event.metaKey;
  if (event.altKey || (command && key !== "z") || !KEYS[key]) return;
  if (event.target.closest("video") && key.startsWith("arrow")) return; // the player seeks with them
  event.preventDefault();
  KEYS[key](event);
}

function onKeyUp(event) {
  if (!element.isConnected) return detach();
  if (event.key === " " && spaceHeld) {
    spaceHeld = false;
    render();
  }
}

/** For who has no pointer: a point in the middle of what is seen, then moved with Alt and the arrows. */
function markMiddle() {
  const rect = part.picture.getBoundingClientRect();
  const { x, y } = pixelOf({ clientX: rect.left + rect.width / 2, clientY: rect.top + rect.height / 2 });
  addPoint(x, y, state.tool !== "remove");
  const dots = part.points.querySelectorAll("button.dot");
  if (dots.length) dots[dots.length - 1].focus();
}

// ---------------------------------------------------------------- drawing

/** Make `parent` hold `count` children: old ones stay, so focus and hover do. */
function pool(parent, count, make) {
  while (parent.children.length > count) parent.lastElementChild.remove();
  while (parent.children.length < count) parent.append(make());
  return [...parent.children];
}

function node(tag, className, attributes = {}) {
  const made = document.createElement(tag);
  made.className = className;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function deleteButton() {
  const button = node("button", "delete", { type: "button", "data-delete": "" });
  button.textContent = "×";
  return button;
}

function makePoint() {
  const mark = node("div", "mark");
  mark.append(node("button", "dot", { type: "button" }), deleteButton());
  return mark;
}

function makeBox() {
  const box = node("div", "box", { "data-mark": "box" });
  for (const side of ["n", "e", "s", "w"]) box.append(node("i", `edge ${side}`));
  for (const corner of ["nw", "ne", "sw", "se"]) box.append(node("i", `corner ${corner}`, { "data-corner": corner }));
  box.append(deleteButton());
  return box;
}

function setBox(target, [x0, y0, x1, y1]) {
  const a = percentOf(x0, y0);
  const b = percentOf(x1, y1);
  Object.assign(target.style, {
    left: `${a.left}%`,
    top: `${a.top}%`,
    width: `${b.left - a.left}%`,
    height: `${b.top - a.top}%`,
  });
}

const isMark = (a, b) => Boolean(a && b && a.kind === b.kind && a.i === b.i);

/** Whether the model still thinks about this mark. */
function pulses(mark) {
  const newest = state.newest;
  if (!newest || newest.index !== state.index || !isMark(newest.mark, mark)) return false;
  return state.answered < state.seq || state.loading;
}

/** Start or end a mark's pulse. By script, as Gradio nests our style sheet, where no @keyframes may stand. */
function pulse(target, on) {
  if (on === Boolean(target.pulsing)) return;
  if (!on) {
    target.pulsing.cancel();
    target.pulsing = null;
  } else if (calm.matches) {
    target.pulsing = target.animate([{ opacity: 0.6 }, { opacity: 0.6 }], { duration: 1000, iterations: Infinity });
  } else {
    target.pulsing = target.animate([{ opacity: 1 }, { opacity: 0.35 }, { opacity: 1 }], {
      duration: 900,
      iterations: Infinity,
    });
  }
}

function drawMarks() {
  const live = state.value && state.view !== "result";
  const marks = live ? marksAt(state.draft || state.prompts, state.index) : { points: [], box: null };
  pool(part.points, marks.points.length, makePoint).forEach((target, i) => drawPoint(target, marks.points[i], i));
  for (const target of pool(part.boxes, marks.box ? 1 : 0, makeBox)) {
    setBox(target, marks.box);
    target.classList.toggle("selected", isMark(state.selected, { kind: "box" }));
    target.querySelector(".delete").setAttribute("aria-label", say("delete_box"));
    pulse(target, pulses({ kind: "box" }));
  }
  part.rubber.hidden = !state.rubber;
  if (state.rubber) setBox(part.rubber, state.rubber);
}

function drawPoint(target, { x, y, keep }, i) {
  const { left, top } = percentOf(x, y);
  const [dot, remove] = target.children;
  const mark = { kind: "point", i };
  Object.assign(target.style, { left: `${left}%`, top: `${top}%` });
  target.dataset.mark = i;
  target.hidden = left < 0 || left > 100 || top < 0 || top > 100; // zoomed out of sight
  target.classList.toggle("low", top < 12);
  target.classList.toggle("left", left > 88);
  target.classList.toggle("selected", isMark(state.selected, mark));
  dot.className = `dot ${keep ? "keep" : "remove"}`;
  dot.setAttribute("aria-label", say(keep ? "keep_at" : "remove_at", { x: Math.round(x), y: Math.round(y) }));
  remove.setAttribute("aria-label", say("delete"));
  pulse(dot, pulses(mark));
}

function drawPicture() {
  const { value, zoom } = state;
  const style = part.picture.style;
  style.setProperty("--frame-width", value ? value.width : 16);
  style.setProperty("--frame-height", value ? value.height : 9);
  const width = part.picture.clientWidth || 1;
  part.pan.style.transform = zoom === 1 ? "none" : `translate(${state.x * 100}%, ${state.y * 100}%) scale(${zoom})`;
  const dense = value && (zoom * width) / value.width > 4;
  part.pan.style.imageRendering = dense ? "pixelated" : "auto"; // whoever looks this close looks for pixels
  const passive = !value || state.view === "result" || !(value.can_point || value.can_box);
  part.picture.classList.toggle("passive", passive);
  part.picture.classList.toggle("grab", spaceHeld || Boolean(gesture && gesture.kind === "pan"));
  part.picture.classList.toggle("hold", zoom > 1 || (state.tool === "box" && !passive));
  part.picture.setAttribute("aria-label", value ? say("picture", { time: clock(timeOf(state.index)) }) : say("empty"));
  part.picture.setAttribute("aria-busy", String(state.loading));
  part.fit.hidden = zoom === 1 || state.view === "result";
  part.thinking.hidden = !(state.loading && state.slow) || state.view === "result";
}

/** "Thinking" is said only of what takes long enough to be wondered about. */
let slowly = 0;
function watchPace() {
  if (!state.loading) {
    clearTimeout(slowly);
    slowly = 0;
    state.slow = false;
  } else if (!slowly) {
    slowly = setTimeout(() => {
      state.slow = true;
      render();
    }, 500);
  }
}

function drawResult() {
  const result = state.value && state.value.result;
  const shown = Boolean(result) && state.view === "result";
  const still = shown && result.type.startsWith("image/");
  const { video, still: image } = part;
  video.hidden = !shown || still;
  image.hidden = !still;
  part.points.hidden = shown;
  const url = result && !result.type.startsWith("image/") ? result.url : "";
  if ((video.getAttribute("src") || "") !== url) {
    if (url) video.src = url;
    else {
      video.removeAttribute("src");
      video.load();
    }
  }
  if (!shown && !video.paused) video.pause();
  if (still && image.getAttribute("src") !== result.url) image.src = result.url;
}

function drawToolbar() {
  const { value, view } = state;
  const busy = !value || view === "result";
  const here = value ? marksAt(state.prompts, state.index) : { points: [], box: null };
  for (const button of part.toolbar.querySelectorAll("[data-tool]")) {
    const able = value && (button.dataset.tool === "box" ? value.can_box : value.can_point);
    button.disabled = busy || !able;
    button.setAttribute("aria-pressed", String(Boolean(able) && state.tool === button.dataset.tool));
  }
  const able = { undo: state.undo.length, redo: state.redo.length, clear: here.points.length || here.box };
  for (const button of part.toolbar.querySelectorAll("[data-act]")) {
    button.disabled = busy || !able[button.dataset.act];
  }
  for (const button of part.toolbar.querySelectorAll("[data-view]")) {
    button.setAttribute("aria-pressed", String(view === button.dataset.view));
    button.disabled = !value || (button.dataset.view === "result" && !value.result);
  }
}

function drawTimeline() {
  const frames = frameCount();
  const slider = part.slider;
  const numbers = { frame: state.index + 1, frames };
  const time = clock(timeOf(state.index));
  slider.max = String(Math.max(0, (state.times.length || 1) - 1));
  slider.value = String(state.index);
  slider.setAttribute("aria-valuetext", `${time}, ${say("frame_of", numbers)}`);
  part.time.textContent = time;
  part.count.textContent = say("frame_of", numbers);
  const marked = state.times.length ? [...new Set(state.prompts.map((p) => indexOf(p.time)))] : [];
  pool(part.diamonds, marked.length, () => node("button", "diamond", { type: "button" })).forEach((target, i) => {
    target.dataset.index = marked[i];
    target.style.left = `${(marked[i] / Math.max(1, frames - 1)) * 100}%`;
    target.setAttribute("aria-current", String(marked[i] === state.index));
    target.setAttribute("aria-label", say("goto", { time: clock(timeOf(marked[i])) }));
    target.title = clock(timeOf(marked[i]));
  });
}

/** The line under the picture: what went wrong, else what the server says, else what to do first. */
function drawMessage() {
  const { value } = state;
  let text = "";
  if (value) {
    text = state.error || value.message || "";
    if (!text && state.view !== "result" && !state.prompts.length) text = say(hintKey(value));
  }
  part.message.classList.toggle("error", Boolean(state.error));
  if (part.message.textContent !== text) part.message.textContent = text;
}

function hintKey({ can_point, can_box }) {
  if (!can_point) return can_box ? "hint_box" : "hint_auto";
  if (!can_box) return "hint_point";
  return coarse.matches ? "hint_touch" : "hint";
}

function render() {
  watchPace();
  part.stage.classList.toggle("empty", !state.value);
  drawPicture();
  drawMarks();
  drawResult();
  drawToolbar();
  drawTimeline();
  drawMessage();
}

// ---------------------------------------------------------------- wiring

const ACTS = { undo, redo, clear };

function onToolbar(event) {
  const button = event.target.closest("button");
  if (!button) return;
  const { tool, act, view } = button.dataset;
  if (tool) setTool(tool);
  if (act) ACTS[act]();
  if (VIEWS.includes(view)) setView(view);
}

function onPictureClick(event) {
  const button = event.target.closest("[data-delete]");
  if (button) {
    deleteMark(hit(button).mark);
    part.picture.focus({ preventScroll: true });
    part.picture.classList.remove("aim");
  }
}

/** A mark that has the focus is the one that Delete and Alt with the arrows speak of. */
function onFocus(event) {
  const found = event.target.matches(".dot") && hit(event.target);
  if (found) {
    state.selected = found.mark;
    render();
  }
  const aimed = event.target === part.picture && !pointers.size && event.target.matches(":focus-visible");
  part.picture.classList.toggle("aim", Boolean(aimed) && Boolean(state.value) && state.value.can_point);
}

/** Gradio tells nobody of an unmount; the first key after it does. */
function detach() {
  document.removeEventListener("keydown", onKey);
  document.removeEventListener("keyup", onKeyUp);
  pictures.forget();
}

part.picture.addEventListener("pointerdown", onDown);
part.picture.addEventListener("pointermove", onMove);
part.picture.addEventListener("pointerup", onUp);
part.picture.addEventListener("pointercancel", onCancel);
part.picture.addEventListener("wheel", onWheel, { passive: false });
part.picture.addEventListener("contextmenu", (event) => state.view !== "result" && event.preventDefault());
part.picture.addEventListener("click", onPictureClick);
part.picture.addEventListener("focusin", onFocus);
part.picture.addEventListener("focusout", () => part.picture.classList.remove("aim"));
part.fit.addEventListener("click", fit);
part.toolbar.addEventListener("click", onToolbar);
part.slider.addEventListener("input", () => go(Number(part.slider.value)));
part.diamonds.addEventListener("click", (event) => {
  const diamond = event.target.closest(".diamond");
  if (diamond) go(Number(diamond.dataset.index));
});
part.video.addEventListener("error", () => {
  if (!part.video.getAttribute("src")) return;
  state.error = say("unplayable");
  render();
});
document.addEventListener("keydown", onKey);
document.addEventListener("keyup", onKeyUp);
watch("value", onValue);
watch("language", () => {
  label();
  render();
});

label();
adopt(props.value);
