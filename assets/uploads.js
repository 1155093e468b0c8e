// Uploads: how far they are is told, they can be cancelled, and tried again when the connection broke.
//
// Gradio sends a file with fetch, which says nothing on the way; here it goes by XMLHttpRequest. Gradio waits for
// its answer meanwhile, hears of no file when the upload was cancelled, and of errors that trying again would not
// mend. Files may be dropped or pasted anywhere on the page. WORDS are put before this by ui/page/blocks.py.

(() => {
  const UPLOAD = "/gradio_api/upload";
  const next = window.fetch;

  function say(key, fields = {}) {
    const words = WORDS[document.documentElement.lang] || WORDS.en;
    return words[key].replace(/\{(\w+)\}/g, (whole, name) => (name in fields ? fields[name] : whole));
  }

  const sized = (bytes) =>
    (bytes / 1e6).toLocaleString(document.documentElement.lang, {
      minimumFractionDigits: 1,
      maximumFractionDigits: 1,
      useGrouping: false,
    }) + " MB";

  function make(tag, className, attributes = {}) {
    const node = document.createElement(tag);
    node.className = className;
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  }

  // ---------------------------------------------------------------- what is said of it

  /** One upload at a time is told of: the newest. */
  const panel = (() => {
    const box = make("section", "upload", { id: "upload" });
    const phase = make("p", "phase", { role: "status" });
    const bytes = make("p", "quiet");
    const bar = make("progress", "", { max: 1 });
    const again = make("button", "again", { type: "button" });
    const cancel = make("button", "cancel", { type: "button" });
    box.append(phase, bar, bytes, again, cancel);
    let answer = () => {};
    again.addEventListener("click", () => answer("again"));
    cancel.addEventListener("click", () => answer("cancel"));

    function draw(sentence, { alert = false, done = null, total = 0, retry = false, stop = false }) {
      document.body.append(box);
      box.classList.toggle("broken", alert);
      if (phase.textContent !== sentence) phase.textContent = sentence;
      bar.hidden = alert;
      if (done === null || !total) bar.removeAttribute("value");
      else bar.value = done / total;
      bytes.hidden = done === null;
      bytes.textContent = done === null ? "" : say("bytes", { done: sized(done), total: sized(total) });
      again.hidden = !retry;
      cancel.hidden = !stop;
      again.textContent = say("again");
      cancel.textContent = say("cancel");
    }

    return {
      sending: (name, done, total) => draw(say("uploading", { name }), { done, total, stop: true }),
      reading: (name) => draw(say("reading", { name }), {}),
      broken: (sentence) => draw(sentence, { alert: true, retry: true, stop: true }),
      close: () => box.remove(),
      /** When a button is pressed: "again" or "cancel". */
      pressed: () => new Promise((resolve) => (answer = resolve)),
    };
  })();

  // ---------------------------------------------------------------- sending

  /** Send a form once; gives the answer, or null where the connection broke or it was cancelled. */
  function send(url, { body, headers = {} }, told, cancelled) {
    return new Promise((resolve) => {
      const request = new XMLHttpRequest();
      request.open("POST", url);
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
      request.upload.onprogress = ({ loaded, total }) => told(loaded, total);
      request.onloadend = () => {
        if (!request.status) return resolve(null); // the connection broke, ran out of time, or was cancelled
        const type = request.getResponseHeader("content-type") || "text/plain";
        resolve(new Response(request.responseText, { status: request.status, headers: { "content-type": type } }));
      };
      cancelled.then((how) => how === "cancel" && request.abort());
      request.send(body);
    });
  }

  /** The server's sentence of what it could not do just now; null where the answer is the last word. */
  async function passing(answer, name) {
    if (answer && answer.status < 500) return null;
    const told = answer && (answer.headers.get("content-type") || "").startsWith("text/plain") ? await answer.text() : "";
    return told || say("broken", { name });
  }

  async function upload(url, form) {
    const files = form.body.getAll("files");
    const name = files.map((file) => file.name).join(", ");
    const size = files.reduce((sum, file) => sum + file.size, 0);
    for (;;) {
      const pressed = panel.pressed();
      panel.sending(name, 0, size);
      let cancelled = false;
      pressed.then((how) => (cancelled = how === "cancel"));
      const answer = await send(url, form, (done) => panel.sending(name, Math.min(done, size), size), pressed);
      const sentence = cancelled ? null : await passing(answer, name);
      if (sentence !== null) {
        const how = panel.pressed();
        panel.broken(sentence);
        if ((await how) === "again") continue;
        cancelled = true;
      }
      if (cancelled || !answer.ok) panel.close();
      else panel.reading(name);
      return cancelled ? Response.json([]) : answer;
    }
  }

  window.fetch = (...request) => {
    const [asked, form] = request;
    const { pathname } = new URL(asked.url ?? asked, window.location.href);
    if (pathname.endsWith(UPLOAD) && form?.body instanceof FormData) return upload(String(asked), form);
    return next(...request);
  };
  window.recorte = { reading: panel.reading, read: panel.close };

  // ---------------------------------------------------------------- dropped and pasted anywhere

  const carriesFiles = (transfer) => Boolean(transfer) && [...transfer.types].includes("Files");

  /** Give files to the field that is there for them; Gradio's own fields take what is dropped on them. */
  function take({ files }) {
    const field = document.querySelector("#dropped input[type=file]");
    if (!field || !files.length) return;
    field.files = files;
    field.dispatchEvent(new Event("change", { bubbles: true }));
  }

  const dragging = (on) => {
    document.documentElement.style.setProperty("--drop-words", JSON.stringify(say("drop")));
    document.documentElement.classList.toggle("dropping", on);
  };
  const lookOut = (kind, act, capture = false) =>
    window.addEventListener(kind, (event) => carriesFiles(event.dataTransfer) && act(event), capture);

  lookOut("dragenter", () => dragging(true), true);
  lookOut("dragleave", (event) => event.relatedTarget === null && dragging(false), true);
  lookOut("drop", () => dragging(false), true);
  lookOut("dragover", (event) => event.preventDefault()); // or the browser would leave the page for the file
  lookOut("drop", (event) => {
    event.preventDefault();
    take(event.dataTransfer);
  });
  window.addEventListener("paste", ({ clipboardData }) => carriesFiles(clipboardData) && take(clipboardData));
})();
