// Uploads: how far they are is told, they can be cancelled, and tried again when the connection broke.
//
// Gradio sends a file with fetch, which says nothing on the way; here it goes by XMLHttpRequest. Gradio waits for
// its answer meanwhile, hears of no file when the upload was cancelled, and of errors that trying again would not
// mend. Files may be dropped or pasted anywhere on the page. WORDS are put before this by ui/page/blocks.py.

import { fill } from "./words.js";

const UPLOAD = "/gradio_api/upload";

/** @typedef {"again" | "cancel"} Choice what a button of the panel is for */

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

/** Tells of one upload at a time: the newest. */
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
 * Send a form once; gives the answer, or null where the connection broke or it was cancelled.
 * @param {string} url
 * @param {{body: FormData, headers?: Record<string, string>}} form
 * @param {(bytes: number) => void} onProgress
 * @param {Promise<Choice>} pressed
 * @returns {Promise<?Response>}
 */
function send(url, { body, headers = {} }, onProgress, pressed) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded }) => onProgress(loaded);
    request.onloadend = () => {
      if (!request.status) {
        resolve(null); // the connection broke, ran out of time, or was cancelled
        return;
      }
      const type = request.getResponseHeader("content-type") || "text/plain";
      resolve(
        new Response(request.responseText, { status: request.status, headers: { "content-type": type } }),
      );
    };
    pressed.then((choice) => {
      if (choice === "cancel") request.abort();
    });
    request.send(body);
  });
}

/**
 * Return the sentence about a failure that trying again may mend; null where the answer is the last word.
 * @param {?Response} answer
 * @param {string} name
 */
async function passingFailure(answer, name) {
  if (!answer) return t("broken", { name });
  if (answer.status < 500) return null;
  const isText = (answer.headers.get("content-type") || "").startsWith("text/plain");
  return (isText && (await answer.text())) || t("broken", { name });
}

/**
 * Send a form until there is an answer that is the last word, or it is cancelled.
 * @param {string} url
 * @param {{body: FormData, headers?: Record<string, string>}} form
 * @returns {Promise<Response>}
 */
async function upload(url, form) {
  const files = /** @type {File[]} */ (form.body.getAll("files"));
  const name = files.map((file) => file.name).join(", ");
  const size = files.reduce((sum, file) => sum + file.size, 0);
  for (;;) {
    const pressed = panel.pressed();
    panel.sending(name, 0, size);
    let cancelled = false;
    pressed.then((choice) => {
      cancelled = choice === "cancel";
    });
    const answer = await send(url, form, (done) => panel.sending(name, Math.min(done, size), size), pressed);
    const sentence = cancelled ? null : await passingFailure(answer, name);
    if (sentence !== null) {
      const choice = panel.pressed();
      panel.broken(sentence);
      if ((await choice) === "again") continue;
      cancelled = true;
    }
    if (cancelled || !answer?.ok) panel.close();
    else panel.reading(name);
    return cancelled || !answer ? Response.json([]) : answer;
  }
}

const next = window.fetch;
window.fetch = (...request) => {
  const [asked, form] = request;
  const { pathname } = new URL(asked instanceof Request ? asked.url : asked, window.location.href);
  if (pathname.endsWith(UPLOAD) && form?.body instanceof FormData) {
    const { body, headers } = form;
    return upload(String(asked), { body, headers: /** @type {Record<string, string>} */ (headers) });
  }
  return next(...request);
};
window.recorte = { reading: panel.reading, read: panel.close };

// ---------------------------------------------------------------- dropped and pasted anywhere

/** @param {?DataTransfer} transfer */
const carriesFiles = (transfer) => Boolean(transfer?.types.includes("Files"));

/**
 * Give files to the field that is there for them; Gradio's own fields take what is dropped on them.
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
onFileDrag("dragover", (event) => event.preventDefault()); // or the browser would leave the page for the file
onFileDrag("drop", (event) => {
  event.preventDefault();
  take(event.dataTransfer);
});
window.addEventListener("paste", ({ clipboardData }) => {
  if (carriesFiles(clipboardData)) take(clipboardData);
});
