// Uploads with progress, which can be cancelled, and retried when the connection broke.
//
// Gradio sends files with fetch, which reports no progress and begins anew after a break; here they are sent by tus.
// Gradio's promise is resolved with the final response: no files if the upload was cancelled, or an error that a
// retry would not fix.
// Files and links to a session may be dropped or pasted anywhere on the page. WORDS are put before this by ui/page/blocks.py.

import { sessionIn } from "./session-link.js";
import { Upload } from "./tus.js";
import { fill } from "./words.js";

const UPLOAD = "/gradio_api/upload";

/** @typedef {"again" | "cancel"} Choice what a button of the panel does */

/**
 * @param {string} key
 * @param {Record<string, unknown>} [fields]
 */
function t(key, fields) {
  const words = WORDS[document.documentElement.lang] || WORDS.en;
  return fill(words[key], fields);
}

/** @param {number} bytes */
function megabytes(bytes) {
  const number = (bytes / 1e6).toLocaleString(document.documentElement.lang, {
    minimumFractionDigits: 1,
    maximumFractionDigits: 1,
    useGrouping: false,
  });
  return `${number} MB`;
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} className
 * @param {Record<string, string>} [attributes]
 */
function make(tag, className, attributes = {}) {
  const node = document.createElement(tag);
  node.className = className;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

// ---------------------------------------------------------------- the panel

/** Panel with the progress of the newest upload. */
const panel = (() => {
  const box = make("section", "upload", { id: "upload" });
  const phase = make("p", "phase", { role: "status" });
  const bytes = make("p", "quiet");
  const bar = make("progress", "", { max: "1" });
  const again = make("button", "again", { type: "button" });
  const cancel = make("button", "cancel", { type: "button" });
  box.append(phase, bar, bytes, again, cancel);
  /** @type {(choice: Choice) => void} */
  let choose = () => {};
  again.addEventListener("click", () => choose("again"));
  cancel.addEventListener("click", () => choose("cancel"));

  /**
   * @param {string} sentence
   * @param {{alert?: boolean, done?: ?number, total?: number, retry?: boolean, stop?: boolean}} look
   */
  function draw(sentence, { alert = false, done = null, total = 0, retry = false, stop = false }) {
    document.body.append(box);
    box.classList.toggle("broken", alert);
    if (phase.textContent !== sentence) phase.textContent = sentence;
    bar.hidden = alert;
    if (done === null || !total) bar.removeAttribute("value");
    else bar.value = done / total;
    bytes.hidden = done === null;
    bytes.textContent = done === null ? "" : t("bytes", { done: megabytes(done), total: megabytes(total) });
    again.hidden = !retry;
    cancel.hidden = !stop;
    again.textContent = t("again");
    cancel.textContent = t("cancel");
  }

  return {
    /**
     * @param {string} name
     * @param {number} done bytes
     * @param {number} total bytes
     */
    sending: (name, done, total) => draw(t("uploading", { name }), { done, total, stop: true }),
    /** @param {string} name */
    reading: (name) => draw(t("reading", { name }), {}),
    /** @param {string} sentence */
    broken: (sentence) => draw(sentence, { alert: true, retry: true, stop: true }),
    close: () => box.remove(),
    /** Return the next press of a button. @returns {Promise<Choice>} */
    pressed: () =>
      new Promise((resolve) => {
        choose = resolve;
      }),
  };
})();

// ---------------------------------------------------------------- sending

/**
 * Send what is left of a file; resolves to the response of Gradio's address, which names the file on the server, or
 * to null if the connection broke or it was cancelled.
 * @param {string} url
 * @param {Upload} sent
 * @param {(bytes: number) => void} onProgress
 * @param {AbortSignal} signal
 * @returns {Promise<?Response>}
 */
async function send(url, sent, onProgress, signal) {
  const id = await sent.send(onProgress, signal);
  if (typeof id !== "string") return id;
  const finished = `${url}${url.includes("?") ? "&" : "?"}finished=${id}`;
  return next(finished, { method: "POST", signal }).catch(() => null);
}

/**
 * Return the sentence about a temporary failure, which a retry may fix; null if the response is final.
 * @param {?Response} answer
 * @param {string} name
 */
async function temporaryFailure(answer, name) {
  if (!answer) return t("broken", { name });
  if (answer.status < 500) return null;
  const isText = (answer.headers.get("content-type") || "").startsWith("text/plain");
  return (isText && (await answer.text())) || t("broken", { name });
}

/**
 * Send a file until there is a final response, or it is cancelled.
 * @param {string} url
 * @param {File} file
 * @returns {Promise<Response>}
 */
async function upload(url, file) {
  const { name, size } = file;
  const sent = new Upload(file);
  for (;;) {
    const pressed = panel.pressed();
    panel.sending(name, 0, size);
    const cancelling = new AbortController();
    pressed.then((choice) => {
      if (choice === "cancel") cancelling.abort();
    });
    const { signal } = cancelling;
    const onProgress = (/** @type {number} */ done) => panel.sending(name, Math.min(done, size), size);
    const answer = await send(url, sent, onProgress, signal);
    let cancelled = signal.aborted;
    const sentence = cancelled ? null : await temporaryFailure(answer, name);
    if (sentence !== null) {
      const choice = panel.pressed();
      panel.broken(sentence);
      if ((await choice) === "again") continue;
      cancelled = true;
    }
    if (cancelled) void sent.remove();
    if (cancelled || !answer?.ok) panel.close();
    else panel.reading(name);
    return cancelled || !answer ? Response.json([]) : answer;
  }
}

const next = window.fetch;
window.fetch = (...request) => {
  const [resource, form] = request;
  const { pathname } = new URL(resource instanceof Request ? resource.url : resource, window.location.href);
  const files = pathname.endsWith(UPLOAD) && form?.body instanceof FormData ? form.body.getAll("files") : [];
  if (files.length === 1 && files[0] instanceof File) return upload(String(resource), files[0]);
  return next(...request);
};
window.recorte = { ...window.recorte, reading: panel.reading, read: panel.close };

// ---------------------------------------------------------------- dropped and pasted anywhere

/** @param {?DataTransfer} transfer */
const carriesFiles = (transfer) => Boolean(transfer?.types.includes("Files"));

/**
 * Put files into the field for dropped ones; Gradio's own fields handle what is dropped on them.
 * @param {?DataTransfer} transfer
 */
function take(transfer) {
  /** @type {?HTMLInputElement} */
  const field = document.querySelector("#dropped input[type=file]");
  if (!field || !transfer?.files.length) return;
  field.files = transfer.files;
  field.dispatchEvent(new Event("change", { bubbles: true }));
}

/** @param {boolean} on */
function showDropZone(on) {
  document.documentElement.style.setProperty("--drop-words", JSON.stringify(t("drop")));
  document.documentElement.classList.toggle("dropping", on);
}

/**
 * Act on a drag event that carries files.
 * @param {"dragenter" | "dragleave" | "dragover" | "drop"} kind
 * @param {(event: DragEvent) => void} act
 * @param {boolean} [capture]
 */
function onFileDrag(kind, act, capture = false) {
  const listener = (/** @type {DragEvent} */ event) => {
    if (carriesFiles(event.dataTransfer)) act(event);
  };
  window.addEventListener(kind, listener, capture);
}

onFileDrag("dragenter", () => showDropZone(true), true);
onFileDrag(
  "dragleave",
  (event) => {
    if (event.relatedTarget === null) showDropZone(false);
  },
  true,
);
onFileDrag("drop", () => showDropZone(false), true);
onFileDrag("dragover", (event) => event.preventDefault()); // else the browser would open the file instead of the page
onFileDrag("drop", (event) => {
  event.preventDefault();
  take(event.dataTransfer);
});
window.addEventListener("paste", ({ clipboardData }) => {
  if (carriesFiles(clipboardData)) take(clipboardData);
});

// ---------------------------------------------------------------- links to a session

const TYPING = "input, textarea, select, [contenteditable]";

/**
 * Open the session that a text links to, on this server whatever the link says; false if it links to none.
 * @param {string} text
 */
function openSession(text) {
  const id = sessionIn(text);
  if (!id) return false;
  const url = new URL("/", window.location.origin);
  url.searchParams.set("session", id);
  window.location.assign(url);
  return true;
}

/** @param {DataTransfer} transfer */
const linkIn = (transfer) => transfer.getData("text/uri-list") || transfer.getData("text/plain");

/** @param {EventTarget | null} target */
const isTyping = (target) => target instanceof Element && target.closest(TYPING) !== null;

window.addEventListener("dragover", (event) => {
  if (event.dataTransfer?.types.includes("text/uri-list") && !isTyping(event.target)) event.preventDefault();
});
window.addEventListener(
  "drop",
  (event) => {
    const { dataTransfer, target } = event;
    if (!dataTransfer || carriesFiles(dataTransfer) || isTyping(target)) return;
    if (!openSession(linkIn(dataTransfer))) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  },
  true,
);
window.addEventListener("paste", (event) => {
  if (!event.clipboardData || carriesFiles(event.clipboardData) || isTyping(event.target)) return;
  if (openSession(linkIn(event.clipboardData))) event.preventDefault();
});
