// The stage's behaviour. Gradio runs this once for every mount, as the body of a function of
// (element, trigger, props, server, upload, watch); ui/page/stage.py puts WORDS, the strings by language, before it.
// ES2020, no build step, no other host.

/**
 * Coordinates are pixels of the displayed frame, origin top left; times are seconds from the first frame.
 * @typedef {{x: number, y: number, keep: boolean}} Point
 * @typedef {[number, number, number, number]} Box  x0, y0, x1, y1
 * @typedef {{time: number, object: number, points: Point[], box: ?Box, candidate: ?number}} Prompt  the marks of
 *   one object on one frame
 * @typedef {{number: number, name: string, on: boolean}} Thing  an object to keep
 * @typedef {{score: number, picture: string}} Reading  what a lone click may mean
 * @typedef {{start: number, end: ?number}} Range  what of the video is kept; the frame at `end` no longer is, null
 *   is the whole rest
 * @typedef {{url: string, type: string, plays: boolean, transparent: boolean, outdated: boolean}} Result
 * @typedef {{media: string, width: number, height: number, frames: number, duration: number, prompts: Prompt[],
 *            objects: Thing[], start: number, end: ?number, palette: string[], checks: number[], rev: ?string,
 *            model: ?string, can_point: boolean, can_box: boolean, candidates: boolean, reads: boolean,
 *            result: ?Result, message: ?string, seq: ?number}} Value
 * @typedef {{kind: "point", object: number, i: number} | {kind: "box", object: number}} MarkRef  a mark of the
 *   frame that is shown
 * @typedef {{prompts: Prompt[], objects: Thing[], range: Range, active: number, index: number}} Moment  where undo
 *   leads
 */

const VIEWS = ["mask", "cutout", "split", "original", "result"]; // and "after": the frame as the next run makes it
const MAX_ZOOM = 12;
const CACHED_PICTURES = 80;
const MOST_OBJECTS = 9;
const DRAG_PX = { mouse: 4, pen: 5, touch: 8 }; // CSS pixels before a press becomes a drag
const FALLBACK_MS = 180; // after this a new frame is shown plain while its mask is still being made
const SCRUB_MS = 150; // a frame younger than this is let through before the next one is asked for
const RESEND_MS = 3000;
const FOLLOW_MS = 3000; // how often it is asked whether another window has changed the session
const WRITING_MS = 60000; // a field that has the focus is not written over for so long after the last letter
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
  /** @type {Range} */ range: { start: 0, end: null },
  /** @type {?object} */ base: null, // marks, objects and range as the server had them when the newest edit was made
  /** @type {Map<number, object>} */ sent: new Map(), // by seq the same as they were sent, until that is answered
  /** @type {?{first: number, last: number}} */ trimming: null, // the frames kept if a handle is let go now
  /** @type {Thing[]} */ objects: [], // by number, never empty while there is a video
  active: 1, // the number of the object that new marks belong to
  /** @type {?number} */ renaming: null, // the number of the object whose name is being written
  seq: 0, // of the newest edit made here
  answered: 0, // of the newest edit that the server has answered
  before: -1, // of the last edit made before this video came; answers up to it are late
  /** @type {?object} */ base: null, // what the server last told of what can be edited: the next edit is made on it
  sent: new Map(), // what was sent to it since then, by `seq`
  /** @type {number[]} */ times: [],
  index: 0,
  view: "mask",
  back: "mask", // the view to return to from the result
  tool: "keep",
  zoom: 1,
  x: 0, // where the picture's left edge lies, in widths of the frame: 0 to 1 - zoom
  y: 0,
  split: 0.5, // where the line between before and after stands, in parts of the frame's box
  /** @type {?{time: number, since: number}} */ playing: null, // from which time on, and since when
  /** @type {Moment[]} */ undo: [],
  /** @type {Moment[]} */ redo: [],
  /** @type {?MarkRef} */ selected: null,
  /** @type {?{index: number, mark: MarkRef}} */ newest: null,
  loading: false,
  refining: false, // what is shown was made in haste, and a picture by a full run's mask is on its way
  error: "",
  broken: "", // the address of a result that the player could not play after all
  /** @type {?Box} */ rubber: null,
};

// ---------------------------------------------------------------- words

/** The language of the table that is spoken. */
function tongue() {
  const language = props.language || navigator.language || "en";
  const code = language.toLowerCase().split("-")[0];
  return code in WORDS ? code : "en";
}

/** A string of the table with its {fields} filled in. */
function say(key, fields = {}) {
  return (WORDS[tongue()][key] || key).replace(/\{(\w+)\}/g, (whole, name) => (name in fields ? fields[name] : whole));
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

/** What stands before the decimals: a point or a comma. */
const decimalSign = () => (0.5).toLocaleString(tongue()).charAt(1);

/** 3.21 -> "00:03.21" */
function clock(seconds) {
  const hundredths = Math.round(seconds * 100);
  const pad = (n) => String(n).padStart(2, "0");
  return `${pad(Math.floor(hundredths / 6000))}:${pad(Math.floor(hundredths / 100) % 60)}${decimalSign()}${pad(hundredths % 100)}`;
}

/** "00:03.21", "1:02:03" or "3.21" -> seconds; null for what is no time. */
function seconds(text) {
  const written = text.trim().replace(",", ".");
  if (!/^(\d+:){0,2}\d+(\.\d*)?$/.test(written)) return null;
  return written.split(":").reduce((sum, unit) => sum * 60 + Number(unit), 0);
}

// ---------------------------------------------------------------- prompts and objects

/** Those of the marks that the chosen model takes: the others wait for one that does. */
function taken(prompts) {
  const { can_point, can_box } = state.value;
  if (can_point && can_box) return prompts;
  return tidy(prompts.map((p) => ({ ...p, points: can_point ? p.points : [], box: can_box ? p.box : null })));
}

/** A single click, which may mean a part or the whole of what it lies on. */
const isLone = ({ points, box }) => !box && points.length === 1 && points[0].keep;

/** Same shape whoever wrote them: by time and object, no empty ones, no missing keys; a lone click's choice only. */
function tidy(prompts) {
  return (prompts || [])
    .map((p) => ({
      time: p.time || 0,
      object: p.object || 1,
      points: (p.points || []).map(({ x, y, keep }) => ({ x, y, keep: keep !== false })),
      box: p.box || null,
      candidate: p.candidate == null ? null : p.candidate,
    }))
    .filter((p) => p.points.length || p.box)
    .map((p) => (isLone(p) ? p : { ...p, candidate: null }))
    .sort((a, b) => a.time - b.time || a.object - b.object);
}

/** As the server reads and writes them: what goes without saying has no key. */
function plain(prompts) {
  return prompts.map(({ time, object, points, box, candidate }) => ({
    time,
    points,
    ...(box && { box }),
    ...(object !== 1 && { object }),
    ...(candidate !== null && { candidate }),
  }));
}

/** The objects listed, those that the prompts name besides, and the first where there is none. */
function tidyObjects(listed, prompts) {
  const known = new Map();
  for (const { number, name, on } of listed || []) known.set(number, { number, name: name || "", on: on !== false });
  const named = prompts.map((p) => p.object);
  for (const number of known.size || named.length ? named : [1]) {
    if (!known.has(number)) known.set(number, { number, name: "", on: true });
  }
  return [...known.values()].sort((a, b) => a.number - b.number);
}

const objectOf = (number) => state.objects.find((thing) => thing.number === number);
/** The object to go on with when `number` was the active one. */
const activeAmong = (objects, number) => (objects.some((o) => o.number === number) ? number : objects[0].number);
const nameOf = ({ number, name }) => name || say("object", { number });

function colourOf(number) {
  const palette = (state.value && state.value.palette) || [];
  return palette.length ? palette[(number - 1) % palette.length] : "";
}

/** White where it can be told from the colour (3 to 1, as for any sign), else near black. */
function inkOn(colour) {
  if (!colour) return "";
  const [r, g, b] = [1, 3, 5]
    .map((at) => parseInt(colour.slice(at, at + 2), 16) / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 1.05 / (0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05) >= 3 ? "#fff" : "#111";
}

/** Have what is drawn in `target` wear an object's colour. */
function paint(target, number) {
  const colour = colourOf(number);
  target.style.setProperty("--own", colour);
  target.style.setProperty("--ink", inkOn(colour));
}

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const frameCount = () => state.times.length || (state.value ? state.value.frames : 0);
const timeOf = (index) => state.times[index] || 0;

/** The frame nearest to a time in seconds. */
function indexOf(time, times = state.times) {
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

/** The marks of an object on the frame at `index`, as one prompt, be it empty. */
function marksAt(prompts, index, object = state.active) {
  const here = prompts.filter((p) => p.object === object && indexOf(p.time) === index);
  if (here.length === 1) return here[0];
  const boxes = here.map((p) => p.box).filter(Boolean);
  const points = here.flatMap((p) => p.points);
  return { time: timeOf(index), object, points, box: boxes.pop() || null, candidate: null };
}

/** The prompts with an object's marks on the shown frame replaced by what `change` makes of them. */
function changed(change, object = state.active) {
  const before = marksAt(state.prompts, state.index, object);
  const others = state.prompts.filter((p) => p.object !== object || indexOf(p.time) !== state.index);
  return tidy([...others, { ...before, ...change(before) }]);
}

// ---------------------------------------------------------------- edits, and the server's answers

/** Make an edit of prompts, objects or range: remember the way back, show it, tell the server. */
function edit(change, newest = null) {
  const now = momentAt(state.index);
  const next = { ...now, ...change };
  if (["prompts", "objects", "range"].every((what) => same(next[what], now[what]))) return;
  state.undo.push(now);
  state.redo = [];
  apply(next, newest);
}

function momentAt(index) {
  const { prompts, objects, range, active } = state;
  return { prompts, objects, range, active, index };
}

function apply({ prompts, objects, range, active }, newest = null) {
  Object.assign(state, { prompts, objects, range, active, playing: null });
  state.newest = newest && { index: state.index, mark: newest };
  state.seq += 1;
  send();
  expectAnswer(state.seq);
  render();
}

const edited = () => ({ prompts: plain(state.prompts), objects: state.objects, ...state.range });
const editedOf = ({ prompts, objects, start, end }) => ({ prompts, objects, start, end });

/** Put the marks where Gradio reads them for the next event, whichever control it comes from. */
function hand() {
  props.value = { ...state.value, ...edited(), base: state.base, seq: state.seq, rev: null };
}

function send() {
  hand();
  state.sent.set(state.seq, edited());
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
  to.push(momentAt(entry.index));
  go(entry.index);
  state.selected = null;
  apply(entry);
}

const undo = () => travel(state.undo, state.redo);
const redo = () => travel(state.redo, state.undo);

function addPoint(x, y, keep) {
  if (!state.value.can_point) return;
  const { points } = marksAt(state.prompts, state.index);
  edit(
    { prompts: changed(() => ({ points: [...points, { x, y, keep }] })) },
    { kind: "point", object: state.active, i: points.length },
  );
}

function withBox(box, object) {
  return changed(() => ({ box }), object);
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
  }, mark.object);
}

function deleteMark(mark) {
  state.selected = null;
  const without = ({ points }) =>
    mark.kind === "point" ? { points: points.filter((_, i) => i !== mark.i) } : { box: null };
  edit({ prompts: changed(without, mark.object) });
}

function clear() {
  state.selected = null;
  edit({ prompts: changed(() => ({ points: [], box: null })) });
}

/** New marks belong to this object from now on. */
function activate(number) {
  state.active = number;
  if (state.selected && state.selected.object !== number) state.selected = null;
}

function addObject() {
  const taken = state.objects.map((thing) => thing.number);
  const number = Array.from({ length: MOST_OBJECTS }, (_, i) => i + 1).find((n) => !taken.includes(n));
  if (!number) return;
  state.selected = null;
  edit({ objects: tidyObjects([...state.objects, { number }], []), active: number });
}

/** With its marks; the one after it, else the one before it, goes on as the active one. */
function deleteObject(number) {
  const at = state.objects.findIndex((thing) => thing.number === number);
  const objects = state.objects.filter((thing) => thing.number !== number);
  if (!objects.length) return;
  const next = objects[Math.min(at, objects.length - 1)].number;
  state.selected = null;
  edit({
    prompts: state.prompts.filter((p) => p.object !== number),
    objects,
    active: state.active === number ? next : state.active,
  });
}

function changeObject(number, change) {
  edit({ objects: state.objects.map((thing) => (thing.number === number ? { ...thing, ...change } : thing)) });
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
  const before = state.value;
  const stale = incoming.rev == null || (incoming.seq == null ? state.answered < state.seq : incoming.seq < state.seq);
  if (stale) {
    // Made before the newest edit here: its marks and pictures are older than what the hand has done since.
    state.base = state.sent.get(incoming.seq) || state.base;
    state.value = { ...incoming, rev: state.value.rev };
    hand();
  } else {
    state.value = incoming;
    state.seq = Math.max(state.seq, incoming.seq || 0);
    state.answered = state.seq;
    state.base = editedOf(incoming);
    state.sent.clear();
    const prompts = tidy(incoming.prompts);
    const objects = tidyObjects(incoming.objects, prompts);
    const range = rangeOf(incoming);
    if (!same(prompts, state.prompts) || !same(objects, state.objects) || !same(range, state.range)) {
      // The server's own change, such as another subject: the way back led through other marks.
      const active = activeAmong(objects, state.active);
      Object.assign(state, { prompts, objects, range, active, renaming: null, undo: [], redo: [] });
      Object.assign(state, { selected: null, newest: null, draft: null });
    }
  }
  state.error = "";
  followResult(before);
  refresh();
}

let lastWritten = -Infinity; // when something was last written on the page
const noteWriting = () => (lastWritten = performance.now());

/** Whether the hand is at work here: what others have changed is told afterwards. */
function occupied() {
  const writing = document.activeElement?.matches(WRITTEN) && performance.now() - lastWritten < WRITING_MS;
  return state.answered < state.seq || Boolean(gesture) || Boolean(writing);
}

/** See whether the session was changed from another window, and have the page brought up to date. */
async function follow() {
  if (!element.isConnected) return clearInterval(following);
  if (!state.value || document.hidden || part.stage.offsetParent === null || occupied()) return;
  const { media, version } = state.value;
  if (!version) return;
  let now = version;
  try {
    const response = await fetch(`${media}/version`);
    if (response.ok) now = await response.json();
  } catch (error) {
    // Whoever has no connection is told so by what they do.
  }
  const same = state.value && state.value.media === media && state.value.version === version;
  if (same && now !== version && !occupied()) trigger("tick", {});
}

/**
 * Show the result when a new one came, and leave it when it went. What no longer looks like that result, such as
 * one with another background, is shown in its place as it will look.
 */
function followResult(before) {
  const now = state.value.result;
  const old = before && before.result;
  if (!now) {
    if (state.view === "result") setView(state.back);
  } else if (!old || old.url !== now.url) {
    if (!now.outdated) setView("result");
    else if (!before) setView("after");
  } else if (state.view === "result" && now.outdated && before.rev !== state.value.rev) {
    showAfter();
  } else if (state.view === "after" && !now.outdated) {
    setView("result");
  }
}

/** The frame at which the result's player stands, as the next run makes it. */
function showAfter() {
  const { first, last } = kept();
  const playing = !part.video.hidden && state.times.length;
  if (playing) state.index = Math.min(indexOf(timeOf(first) + part.video.currentTime), last);
  setView("after");
}

function close() {
  pictures.forget();
  Object.assign(state, {
    value: null, prompts: [], objects: [], range: { start: 0, end: null }, trimming: null, active: 1, renaming: null,
    playing: null, draft: null, times: [], index: 0, undo: [], redo: [], selected: null, newest: null, broken: "",
    zoom: 1, x: 0, y: 0, loading: false, error: "", rubber: null, view: "mask", back: "mask", tool: "keep",
  });
  gesture = null;
  render();
}

function open(value) {
  close();
  state.value = value;
  state.prompts = tidy(value.prompts);
  state.objects = tidyObjects(value.objects, state.prompts);
  state.range = rangeOf(value);
  state.base = editedOf(value);
  state.sent.clear();
  state.active = state.objects[0].number;
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

// ---------------------------------------------------------------- trimming

const rangeOf = ({ start, end }) => ({ start: start || 0, end: end == null ? null : end });

/** The numbers of the first and the last frame that are kept. */
function kept() {
  if (state.trimming) return state.trimming;
  const { start, end } = state.range;
  const first = indexOf(start);
  return { first, last: end === null ? frameCount() - 1 : Math.max(first, indexOf(end) - 1) };
}

/** When the frame after this one begins; after the last one, when the video ends. */
function endOf(index) {
  if (index + 1 < state.times.length) return timeOf(index + 1);
  return Math.max(state.value.duration || 0, timeOf(index));
}

/** The same frames with one end moved to frame `index`, but not past the other. */
function withEnd(end, index) {
  const { first, last } = kept();
  return end === "start" ? { first: Math.min(index, last), last } : { first, last: Math.max(index, first) };
}

function trim({ first, last }) {
  if (!state.times.length) return;
  const end = last + 1 < state.times.length ? timeOf(last + 1) : null;
  edit({ range: { start: first ? timeOf(first) : 0, end } });
}

/** Have the result begin or end with the frame at `index`, and show that frame. */
function moveEnd(end, index) {
  const range = withEnd(end, Math.min(Math.max(index, 0), frameCount() - 1));
  trim(range);
  go(end === "start" ? range.first : range.last);
}

const trimWhole = () => trim({ first: 0, last: state.times.length - 1 });

/** While a handle is dragged the stage shows the frame that would be the first or the last. */
function onHandle({ target }) {
  const { end } = target.dataset;
  state.trimming = withEnd(end, Number(target.value));
  go(end === "start" ? state.trimming.first : state.trimming.last);
}

function onHandled() {
  const { trimming } = state;
  state.trimming = null;
  if (trimming) trim(trimming);
  render();
}

/** By a second; by a frame the browser moves a handle itself. */
function leapHandle({ dataset: { end } }, seconds) {
  const { first, last } = kept();
  moveEnd(end, indexOf(timeOf(end === "start" ? first : last) + seconds));
}

/** When the result begins or ends, as it is written in the field for that. */
const written = (end) => clock(end === "start" ? timeOf(kept().first) : endOf(kept().last));

function onTyped({ target }) {
  const end = target.dataset.typed;
  const time = seconds(target.value);
  if (time !== null && state.times.length) {
    const ends = [...state.times, endOf(frameCount() - 1)];
    moveEnd(end, end === "start" ? indexOf(time) : indexOf(time, ends) - 1);
  }
  target.value = written(end);
  state.error = time === null ? say("no_time") : "";
  render();
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
  const asked = view === "split" || view === "after" ? "over" : view;
  return `${state.value.media}/frames/${index}?view=${asked}&rev=${encodeURIComponent(rev)}`;
}

/** Fetches frames and shows them. One request is under way at a time; a newer wish takes its place. */
const pictures = (() => {
  /** @type {Map<string, string>} address -> object URL, the least recently shown first */
  const cache = new Map();
  /** @type {Set<string>} the addresses of pictures that were made in haste */
  const hasty = new Set();
  let better = new AbortController(); // of the question for a better one
  /** @type {?{url: string, index: number, view: string, since: number, controller: AbortController}} */
  let running = null;
  /** @type {?{url: string, index: number, view: string}} */
  let wanted = null;
  /** @type {?{url: string, index: number, view: string}} */
  let shown = null;
  let turn = 0; // counts wishes and clearings, so that a late decode knows that it is late
  let fallback = 0;
  let patience = 0;

  /** Fetch a picture into the cache; `query` is added to its address, and asks for a better one. */
  async function load(url, signal, query = "") {
    const response = await fetch(url + query, { signal });
    if (!response.ok) throw await refusal(response);
    const source = URL.createObjectURL(await response.blob());
    if (cache.has(url)) URL.revokeObjectURL(cache.get(url));
    cache.set(url, source);
    if (response.headers.get("Recorte-Final") === "0") hasty.add(url);
    else hasty.delete(url);
  }

  async function get(url, signal) {
    if (!cache.has(url)) await load(url, signal);
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

  async function decoded(source, className) {
    const image = node("img", className, { alt: "", draggable: "false" });
    image.src = source;
    await image.decode();
    return image;
  }

  /** Put a picture in the other's place once it is decoded, so that nothing blank is seen between them. */
  async function show(picture, source, stillWanted) {
    const layers = [await decoded(source, "layer")];
    if (picture.view === "split") {
      const before = await get(address(picture.index, "original"));
      layers.push(await decoded(before, "layer before"));
    }
    if (!stillWanted()) return;
    part.pan.replaceChildren(...layers);
    shown = { url: picture.url, index: picture.index, view: picture.view };
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
    readFrames.note(mine);
    refine(mine);
    render();
  }

  /** Have a marked frame that was shown in haste shown as a run will make it. */
  async function refine(picture) {
    const marked = state.prompts.some((p) => objectOf(p.object).on && indexOf(p.time) === picture.index);
    if (!hasty.has(picture.url) || !marked) return;
    const mine = (better = new AbortController());
    state.refining = true;
    try {
      await load(picture.url, mine.signal, "&patient=1");
      hasty.delete(picture.url); // asked once
      const waiting = () => mine === better && !mine.signal.aborted;
      if (waiting()) await show(picture, await get(picture.url), waiting);
    } catch (error) {
      // What is shown stays, until the frame is come to again.
    }
    if (mine !== better) return;
    state.refining = false;
    render();
  }

  function hurry() {
    better.abort();
    better = new AbortController();
    state.refining = false;
  }

  return {
    /** Show this frame in this view as soon as it can be had. */
    want(index, view) {
      const url = address(index, view);
      const same = wanted && wanted.url === url && wanted.view === view;
      if (same && (running || (shown && shown.url === url && shown.view === view))) return;
      hurry();
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
      hurry();
      hasty.clear();
      clearTimeout(fallback);
      wanted = null;
      shown = null;
      part.pan.replaceChildren();
      for (const blob of cache.values()) URL.revokeObjectURL(blob);
      cache.clear();
    },
  };
})();

/**
 * Which frames the model has read. A picture of a frame without marks is no proof of it: nothing was asked of the
 * model then.
 */
const readFrames = (() => {
  const known = new Set();
  const key = (index) => JSON.stringify([state.value.media, state.value.model, index]);
  return {
    note({ index, view }) {
      const told = state.prompts.some((p) => objectOf(p.object).on && indexOf(p.time) === index);
      if (told && view !== "original" && state.answered >= state.seq) known.add(key(index));
    },
    /** Whether what is waited for is the slow first answer about the shown frame. */
    lacks: () => Boolean(state.value.reads) && state.view !== "original" && !known.has(key(state.index)),
  };
})();

/** What the active object's lone click on the shown frame may mean: asked for once its mask is there. */
const readings = (() => {
  let asked = ""; // the address of the newest question
  let click = ""; // the click that `list` is about
  /** @type {Reading[]} */
  let list = [];
  let controller = new AbortController();

  /** The lone click that can be asked about, as a string that changes with it; "" for none. */
  function current() {
    const { value, view, index, active } = state;
    if (!value || !value.candidates || (view !== "mask" && view !== "cutout")) return "";
    const marks = marksAt(state.draft || state.prompts, index, active);
    return isLone(marks) ? JSON.stringify([value.media, value.model, index, active, marks.points[0]]) : "";
  }

  async function ask(url, about) {
    controller.abort();
    controller = new AbortController();
    asked = url;
    let answer = [];
    try {
      const response = await fetch(url, { signal: controller.signal });
      if (response.ok) answer = await response.json();
    } catch (error) {
      // No answer, no choice: the best reading is what the picture shows anyway.
    }
    if (asked !== url) return;
    [click, list] = [about, answer];
    render();
  }

  return {
    /** Ask what is not known yet. While one choice is answered by new pictures, the old ones stay to be seen. */
    follow() {
      const about = current();
      const { value, loading, error } = state;
      if (!about || loading || error || !value.rev || state.answered < state.seq) return;
      const query = `object=${state.active}&rev=${encodeURIComponent(value.rev)}`;
      const url = `${value.media}/frames/${state.index}/candidates?${query}`;
      if (url !== asked) ask(url, about);
    },
    /** Those to choose from, in the order of their numbers; one alone is no choice. */
    get shown() {
      const about = current();
      return about && about === click && list.length > 1 ? list : [];
    },
    /** The number of the one that holds, from 0. */
    get chosen() {
      const { candidate } = marksAt(state.prompts, state.index);
      const scores = list.map((reading) => reading.score);
      return candidate === null ? scores.indexOf(Math.max(...scores)) : candidate;
    },
    choose(number) {
      if (number >= this.shown.length) return;
      edit({ prompts: changed(() => ({ candidate: number })) }, { kind: "point", object: state.active, i: 0 });
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
  state.playing = null;
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

/** Play what is kept from the shown frame on, or stop; the result's player does so by itself. */
function play() {
  if (state.view === "result") {
    if (!part.video.hidden) part.video.paused ? part.video.play() : part.video.pause();
    return;
  }
  if (state.playing || state.times.length < 2) {
    state.playing = null;
    return render();
  }
  const { first, last } = kept();
  if (state.index >= last || state.index < first) go(first);
  state.playing = { time: timeOf(state.index), since: performance.now() };
  requestAnimationFrame(playOn);
  render();
}

/** Show the frame that is due; those that cannot be had in time are passed over. */
function playOn() {
  const { playing } = state;
  if (!playing || !element.isConnected) return;
  const due = playing.time + (performance.now() - playing.since) / 1000;
  const { last } = kept();
  if (due >= endOf(last)) return go(last);
  if (!state.loading) {
    const index = Math.min(indexOf(due), last);
    if (index !== state.index) go(index);
    state.playing = playing;
  }
  requestAnimationFrame(playOn);
}

/** The frames where the cut may have slipped. */
function checkedFrames() {
  if (!state.value || !state.times.length) return [];
  return [...new Set((state.value.checks || []).map((time) => indexOf(time)))].sort((a, b) => a - b);
}

function nextCheck() {
  const frames = checkedFrames();
  if (frames.length) go(frames.find((index) => index > state.index) ?? frames[0]);
}

function setView(view) {
  if (view === "result" && !state.value.result) return;
  if (view !== state.view) state.error = "";
  if (view !== "result") state.back = view;
  else state.playing = null;
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
let spacePanned = false;
let lastTap = { time: 0, clientX: 0, clientY: 0 };

/** The mark under an event's target, and its corner if it is one. */
function hit(target) {
  const node = target.closest("[data-mark]");
  if (!node) return null;
  const object = Number(node.dataset.object);
  const i = node.dataset.mark;
  const mark = i === "box" ? { kind: "box", object } : { kind: "point", object, i: Number(i) };
  const corner = target.closest("[data-corner]");
  return { mark, corner: corner && corner.dataset.corner };
}

function onDown(event) {
  part.picture.classList.remove("aim");
  if (!state.value || state.view === "result" || event.target.closest("[data-delete], .fit, .candidates, .divider")) return;
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
  spacePanned = spaceHeld;
  if (event.button === 1 || spaceHeld) return { ...common, kind: "pan", x: state.x, y: state.y };
  const found = hit(event.target);
  if (found) {
    activate(found.mark.object);
    if (!found.corner) return { ...common, kind: "mark", ...found };
    return { ...common, kind: "corner", box: marksAt(state.prompts, state.index).box, ...found };
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
    state.draft = withBox(resized(gesture.box, gesture.corner, b), gesture.mark.object);
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
    if (rubber[2] - rubber[0] >= 2 && rubber[3] - rubber[1] >= 2) {
      edit({ prompts: withBox(rubber) }, { kind: "box", object: state.active });
    }
  } else if (draft) {
    edit({ prompts: draft }, done.mark);
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

/** Fields in which words or numbers are written. */
const WRITTEN = 'input:not([type="range"], [type="radio"], [type="checkbox"]), textarea';

/** Whether a key pressed there is meant for the stage. */
function ours(target) {
  if (!state.value || part.stage.offsetParent === null || target.closest(TYPING)) return false;
  return target === document.body || element.contains(target);
}

const KEYS = {
  arrowleft: (event) => (event.shiftKey ? leap(-1) : go(state.index - 1)),
  arrowright: (event) => (event.shiftKey ? leap(1) : go(state.index + 1)),
  z: (event) => (event.shiftKey ? redo() : undo()),
  q: () => moveEnd("start", state.index),
  w: () => moveEnd("end", state.index),
  1: () => readings.choose(0),
  2: () => readings.choose(1),
  3: () => readings.choose(2),
  n: nextCheck,
  f2: (event) => rename(numberAt(event.target)),
  m: () => setView("mask"),
  c: () => setView("cutout"),
  s: () => setView("split"),
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
  if (event.key === " " && (event.target === part.picture || event.target === document.body)) {
    if (!event.repeat) spacePanned = false;
    spaceHeld = true;
    event.preventDefault();
    return render();
  }
  if (event.altKey && NUDGES[event.key] && state.selected) {
    const step = event.shiftKey ? 10 : 1;
    const [dx, dy] = NUDGES[event.key];
    event.preventDefault();
    return edit({ prompts: moved(state.selected, dx * step, dy * step) }, state.selected);
  }
  if (event.key === "Enter" && part.picture.classList.contains("aim") && event.target === part.picture) {
    event.preventDefault();
    return markMiddle();
  }
  const key = event.key.toLowerCase();
  const command = event.ctrlKey || event.metaKey;
  if (event.altKey || (command && key !== "z") || !KEYS[key]) return;
  if (event.target.closest("video") && key.startsWith("arrow")) return; // the player seeks with them
  if (event.target.matches(".divider") && key.startsWith("arrow")) return; // the browser moves it
  const handle = event.target.matches(".handle") && key.startsWith("arrow");
  if (handle && !event.shiftKey) return; // the browser moves it
  event.preventDefault();
  if (handle) return leapHandle(event.target, key === "arrowright" ? 1 : -1);
  KEYS[key](event);
}

function onKeyUp(event) {
  if (!element.isConnected) return detach();
  if (event.key === " " && spaceHeld) {
    spaceHeld = false;
    if (!spacePanned) play(); // it was pressed for itself, and not to move the picture
    render();
  }
}

/** For who has no pointer: a point in the middle of what is seen, then moved with Alt and the arrows. */
function markMiddle() {
  const rect = part.picture.getBoundingClientRect();
  const { x, y } = pixelOf({ clientX: rect.left + rect.width / 2, clientY: rect.top + rect.height / 2 });
  addPoint(x, y, state.tool !== "remove");
  const dots = part.points.querySelectorAll(`[data-object="${state.active}"] button.dot`);
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

const isMark = (a, b) => Boolean(a && b && a.kind === b.kind && a.object === b.object && a.i === b.i);

/** Whether the model still thinks about this mark. */
function pulses(mark) {
  const newest = state.newest;
  if (!newest || newest.index !== state.index || !isMark(newest.mark, mark)) return false;
  return state.answered < state.seq || state.loading || state.refining;
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
  const marks = live ? taken(state.draft || state.prompts) : [];
  const here = live ? state.objects.map((o) => marksAt(marks, state.index, o.number)) : [];
  const points = here.flatMap(({ object, points }) => points.map((point, i) => ({ ...point, object, i })));
  const boxes = here.filter((marks) => marks.box);
  pool(part.points, points.length, makePoint).forEach((target, n) => drawPoint(target, points[n]));
  pool(part.boxes, boxes.length, makeBox).forEach((target, n) => drawBox(target, boxes[n]));
  part.rubber.hidden = !state.rubber;
  if (state.rubber) setBox(part.rubber, state.rubber);
  paint(part.rubber, state.active);
}

/** Show whose mark it is. */
function own(target, object) {
  target.dataset.object = object;
  target.classList.toggle("active", object === state.active);
  target.classList.toggle("off", !objectOf(object).on);
  paint(target, object);
}

/** What a mark is called; where there are several objects, after its object. */
function called(object, words) {
  return state.objects.length > 1 ? `${nameOf(objectOf(object))}: ${words}` : words;
}

function drawBox(target, { object, box }) {
  const mark = { kind: "box", object };
  own(target, object);
  setBox(target, box);
  target.classList.toggle("selected", isMark(state.selected, mark));
  target.querySelector(".delete").setAttribute("aria-label", called(object, say("delete_box")));
  pulse(target, pulses(mark));
}

function drawPoint(target, { x, y, keep, object, i }) {
  const { left, top } = percentOf(x, y);
  const [dot, remove] = target.children;
  const mark = { kind: "point", object, i };
  own(target, object);
  Object.assign(target.style, { left: `${left}%`, top: `${top}%` });
  target.dataset.mark = i;
  target.hidden = left < 0 || left > 100 || top < 0 || top > 100; // zoomed out of sight
  target.classList.toggle("low", top < 12);
  target.classList.toggle("left", left > 88);
  target.classList.toggle("selected", isMark(state.selected, mark));
  dot.className = `dot ${keep ? "keep" : "remove"}`;
  const at = { x: Math.round(x), y: Math.round(y) };
  dot.setAttribute("aria-label", called(object, say(keep ? "keep_at" : "remove_at", at)));
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
  part.pan.style.setProperty("--split", Math.min(Math.max((state.split - state.x) / zoom, 0), 1));
  part.divider.hidden = !value || state.view !== "split";
  part.divider.style.setProperty("--at", state.split);
  const dense = value && (zoom * width) / value.width > 4;
  part.pan.style.imageRendering = dense ? "pixelated" : "auto"; // whoever looks this close looks for pixels
  const passive = !value || state.view === "result" || !(value.can_point || value.can_box);
  part.picture.classList.toggle("passive", passive);
  part.picture.classList.toggle("grab", spaceHeld || Boolean(gesture && gesture.kind === "pan"));
  part.picture.classList.toggle("hold", zoom > 1 || (state.tool === "box" && !passive));
  part.picture.setAttribute("aria-label", value ? say("picture", { time: clock(timeOf(state.index)) }) : say("empty"));
  part.picture.setAttribute("aria-busy", String(state.loading || state.refining));
  part.fit.hidden = zoom === 1 || state.view === "result";
  part.thinking.hidden = !((state.loading || state.refining) && state.slow) || state.view === "result";
  part.thinking.textContent = value ? say(readFrames.lacks() ? "reading" : "thinking") : "";
}

/** Along the picture's lower edge, or its upper one where it would lie over the click it is about. */
function drawCandidates() {
  const shown = readings.shown;
  const [click] = shown.length ? marksAt(state.prompts, state.index).points : [];
  const above = Boolean(click) && percentOf(click.x, click.y).top > 60;
  part.candidates.hidden = !click;
  part.candidates.classList.toggle("above", above);
  part.picture.classList.toggle("choosing", Boolean(click) && !above);
  pool(part.readings, shown.length, makeReading).forEach((button, i) => {
    const [image, percent] = button.children;
    const number = i + 1;
    const score = Math.min(Math.max(shown[i].score, 0), 1).toLocaleString(tongue(), { style: "percent" });
    if (image.getAttribute("src") !== shown[i].picture) image.src = shown[i].picture;
    percent.textContent = score;
    button.setAttribute("aria-label", say("candidate", { number, score }));
    button.setAttribute("aria-pressed", String(i === readings.chosen));
    button.setAttribute("aria-keyshortcuts", String(number));
    button.title = say("candidate_tip", { number });
  });
}

function makeReading() {
  const button = node("button", "reading", { type: "button" });
  button.append(node("img", "", { alt: "", draggable: "false" }), node("span", ""));
  return button;
}

/** "Thinking" is said only of what takes long enough to be wondered about. */
let slowly = 0;
function watchPace() {
  if (!state.loading && !state.refining) {
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
  const plays = Boolean(result) && result.plays !== false && result.url !== state.broken;
  const moving = plays && !result.type.startsWith("image/");
  const still = shown && plays && !moving;
  const { video, still: image } = part;
  video.hidden = !shown || !moving;
  image.hidden = !still;
  part.unplayable.hidden = !shown || plays;
  if (result) part.fetch.href = `${result.url}?download`;
  part.points.hidden = shown;
  const url = moving ? result.url : "";
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
  const here = value ? marksAt(taken(state.prompts), state.index) : { points: [], box: null };
  paint(part.toolbar, state.active);
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

function drawObjects() {
  const { value, objects, active } = state;
  const busy = !value || state.view === "result";
  part.objects.hidden = !value || !(value.can_point || value.can_box);
  if (!value) return;
  pool(part.chips, objects.length, makeChip).forEach((chip, i) => drawChip(chip, objects[i]));
  const several = objects.length > 1;
  part.objects.classList.toggle("several", several);
  const thing = objectOf(active);
  const { add, rename, drop } = byDeed(part.objects);
  rename.hidden = !several && !thing.name;
  drop.hidden = !several;
  rename.title = say("rename", { name: nameOf(thing) });
  drop.title = say("drop", { name: nameOf(thing) });
  for (const button of [rename, drop]) button.setAttribute("aria-label", button.title);
  for (const button of part.objects.querySelectorAll("button")) button.disabled = busy;
  add.disabled = busy || objects.length >= MOST_OBJECTS;
}

const byDeed = (parent) => Object.fromEntries([...parent.querySelectorAll("[data-do]")].map((n) => [n.dataset.do, n]));
const makeChip = () => part.chip.content.firstElementChild.cloneNode(true);

function drawChip(chip, thing) {
  const { number, on } = thing;
  const name = nameOf(thing);
  const { pick, toggle } = byDeed(chip);
  const input = chip.querySelector("input");
  own(chip, number);
  pick.setAttribute("aria-pressed", String(number === state.active));
  pick.title = say("object_tip");
  pick.querySelector(".name").textContent = name;
  pick.hidden = number === state.renaming;
  input.hidden = number !== state.renaming;
  input.placeholder = say("object", { number });
  input.setAttribute("aria-label", say("name_of", { name }));
  toggle.hidden = on && state.objects.length === 1;
  toggle.setAttribute("aria-pressed", String(on));
  toggle.setAttribute("aria-label", say("in_result", { name }));
  toggle.title = say(on ? "in_result" : "not_in_result", { name });
}

/** The object whose chip this is in, else the active one. */
function numberAt(target) {
  const chip = target.closest(".chip");
  return chip ? Number(chip.dataset.object) : state.active;
}

const chipOf = (number) => part.chips.querySelector(`[data-object="${number}"]`);

/** Have an object's name written in its place. */
function rename(number) {
  if (!state.value || part.objects.hidden || state.view === "result") return;
  activate(number);
  state.renaming = number;
  render();
  const input = chipOf(number).querySelector("input");
  input.value = objectOf(number).name;
  input.focus();
  input.select();
}

/** End the writing of a name, which is taken over or not. */
function renamed(taken) {
  const number = state.renaming;
  if (number === null) return;
  state.renaming = null;
  const chip = chipOf(number);
  if (taken && chip) changeObject(number, { name: chip.querySelector("input").value.replace(/\s+/g, " ").trim() });
  render();
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
  const marked = state.times.length ? [...new Set(taken(state.prompts).map((p) => indexOf(p.time)))] : [];
  pool(part.diamonds, marked.length, () => node("button", "diamond", { type: "button" })).forEach((target, i) => {
    target.dataset.index = marked[i];
    target.style.left = `${(marked[i] / Math.max(1, frames - 1)) * 100}%`;
    target.setAttribute("aria-current", String(marked[i] === state.index));
    target.setAttribute("aria-label", say("goto", { time: clock(timeOf(marked[i])) }));
    target.title = clock(timeOf(marked[i]));
  });
  part.play.disabled = !state.value || state.times.length < 2;
  part.play.classList.toggle("playing", Boolean(state.playing));
  part.play.setAttribute("aria-label", say(state.playing ? "pause" : "play"));
  drawTrim();
  const checked = checkedFrames();
  pool(part.checks, checked.length, () => node("button", "triangle", { type: "button" })).forEach((target, i) => {
    const seconds = { time: timeOf(checked[i]).toFixed(1).replace(".", decimalSign()) };
    target.dataset.index = checked[i];
    target.style.left = `${(checked[i] / Math.max(1, frames - 1)) * 100}%`;
    target.setAttribute("aria-current", String(checked[i] === state.index));
    target.setAttribute("aria-label", say("check", seconds));
    target.title = say("check_tip", seconds);
  });
}

/** The handles at both ends, what lies outside of them, and the same as times. */
function drawTrim() {
  const frames = frameCount();
  const { first, last } = kept();
  const trimmed = first > 0 || last < frames - 1;
  const able = Boolean(state.value) && state.times.length > 1;
  part.timeline.classList.toggle("trimmed", trimmed);
  part.timeline.style.setProperty("--from", first / Math.max(1, frames - 1));
  part.timeline.style.setProperty("--to", last / Math.max(1, frames - 1));
  for (const handle of part.timeline.querySelectorAll(".handle")) {
    const index = handle.dataset.end === "start" ? first : last;
    handle.max = part.slider.max;
    handle.value = String(index);
    handle.disabled = !able;
    const place = say("frame_of", { frame: index + 1, frames });
    handle.setAttribute("aria-valuetext", `${able ? written(handle.dataset.end) : clock(0)}, ${place}`);
  }
  for (const input of part.timeline.querySelectorAll("[data-typed]")) {
    input.disabled = !able;
    if (document.activeElement !== input) input.value = able ? written(input.dataset.typed) : "";
  }
  part.whole.hidden = !trimmed;
}

/** The line under the picture: what went wrong, else what the server says, else what to do first. */
function drawMessage() {
  const { value } = state;
  let text = "";
  if (value) {
    const marked = taken(state.prompts).some((p) => p.object === state.active);
    text = state.error || value.message || waiting(value);
    if (!text && state.view === "after" && value.result) text = say("after");
    if (!text && state.view !== "result" && !marked) text = say(hintKey(value));
  }
  part.message.classList.toggle("error", Boolean(state.error));
  if (part.message.textContent !== text) part.message.textContent = text;
}

/** What is said of marks that the chosen model does not take. */
function waiting({ can_point, can_box }) {
  const points = !can_point && state.prompts.some((p) => p.points.length);
  const boxes = !can_box && state.prompts.some((p) => p.box);
  if (!points && !boxes) return "";
  return say(can_box ? "points_wait" : can_point ? "boxes_wait" : "marks_wait");
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
  drawCandidates();
  drawToolbar();
  drawObjects();
  drawTimeline();
  drawMessage();
  readings.follow();
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

function onObjects(event) {
  const button = event.target.closest("[data-do]");
  if (!button) return;
  const number = numberAt(button);
  const deeds = {
    pick: () => activate(number),
    add: addObject,
    rename: () => rename(number),
    toggle: () => changeObject(number, { on: !objectOf(number).on }),
    drop: () => deleteObject(number),
  };
  deeds[button.dataset.do]();
  render();
  if (button.dataset.do === "drop") byDeed(chipOf(state.active)).pick.focus();
}

/** Enter takes the name, Escape leaves the old one. */
function onNameKey(event) {
  if (event.target.tagName !== "INPUT" || event.isComposing || !["Enter", "Escape"].includes(event.key)) return;
  event.preventDefault();
  event.stopPropagation();
  const number = state.renaming;
  renamed(event.key === "Enter");
  if (objectOf(number)) byDeed(chipOf(number)).pick.focus();
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

/** What the page says of a frame leads to it. */
function onGoto(event) {
  if (!element.isConnected) return detach();
  const place = event.target.closest("[data-goto]");
  if (!place || !state.value) return;
  go(Number(place.dataset.goto));
  part.stage.scrollIntoView({ block: "nearest" });
}

/** Gradio tells nobody of an unmount; the first key after it does. */
function detach() {
  document.removeEventListener("keydown", onKey);
  document.removeEventListener("keyup", onKeyUp);
  document.removeEventListener("click", onGoto);
  document.removeEventListener("visibilitychange", follow);
  document.removeEventListener("input", noteWriting, true);
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
part.objects.addEventListener("click", onObjects);
part.chips.addEventListener("dblclick", (event) => {
  if (event.target.closest(".pick")) rename(numberAt(event.target));
});
part.chips.addEventListener("keydown", onNameKey);
part.chips.addEventListener("focusout", (event) => event.target.tagName === "INPUT" && renamed(true));
part.readings.addEventListener("click", (event) => {
  const button = event.target.closest(".reading");
  if (button) readings.choose([...part.readings.children].indexOf(button));
});
part.slider.addEventListener("input", () => go(Number(part.slider.value)));
part.play.addEventListener("click", play);
part.divider.addEventListener("input", () => {
  state.split = Number(part.divider.value) / 1000;
  render();
});
for (const handle of part.timeline.querySelectorAll(".handle")) {
  handle.addEventListener("input", onHandle);
  handle.addEventListener("change", onHandled);
}
for (const input of part.timeline.querySelectorAll("[data-typed]")) input.addEventListener("change", onTyped);
part.whole.addEventListener("click", trimWhole);
part.timeline.addEventListener("click", (event) => {
  const place = event.target.closest("[data-index]");
  if (place) go(Number(place.dataset.index));
});
part.video.addEventListener("error", () => {
  if (!part.video.getAttribute("src")) return;
  state.broken = state.value.result.url;
  render();
});
document.addEventListener("keydown", onKey);
document.addEventListener("keyup", onKeyUp);
document.addEventListener("click", onGoto);
document.addEventListener("visibilitychange", follow);
document.addEventListener("input", noteWriting, true);
const following = setInterval(follow, FOLLOW_MS);
watch("value", onValue);
watch("language", () => {
  label();
  render();
});

label();
adopt(props.value);
