// Files that cannot be used are refused where they are chosen or dropped, in the page's language: Gradio would
// say it in English. WORDS, by language, and MOST, the largest upload in bytes, are put before this by ui/page/blocks.py.

(() => {
  const FIELDS = ["#drop", "#dropped", "#pictures", "#footage"].map((part) => `${part} input[type=file]`).join(", ");

  function say(key, fields) {
    const words = WORDS[document.documentElement.lang] || WORDS.en;
    return words[key].replace(/\{(\w+)\}/g, (whole, name) => (name in fields ? fields[name] : whole));
  }

  /** Whether a field that accepts "video/*, .mkv" takes the file. */
  function fits({ name, type }, accept) {
    const kinds = accept.split(",").map((kind) => kind.trim().toLowerCase());
    const matches = (kind) =>
      kind.startsWith(".") ? name.toLowerCase().endsWith(kind) : type.startsWith(kind.replace("*", ""));
    return kinds.every((kind) => !kind) || kinds.some((kind) => kind && matches(kind));
  }

  /** Why a file cannot be used, in a sentence; "" where it may be tried. */
  function fault(file, accept) {
    if (!fits(file, accept)) return say(accept.includes("image") ? "no_picture" : "no_video", { name: file.name });
    if (!MOST || file.size <= MOST) return "";
    const most = (MOST / 1e6).toLocaleString(document.documentElement.lang, { maximumFractionDigits: 1 });
    return say("too_large", { name: file.name, most: `${most} MB` });
  }

  let timer = 0;
  const box = document.createElement("p");
  box.id = "refused";
  box.setAttribute("role", "alert");
  box.addEventListener("click", () => box.remove());

  function tell(sentence) {
    box.textContent = sentence;
    document.body.append(box);
    clearTimeout(timer);
    timer = setTimeout(() => box.remove(), 10000);
  }

  /** Keep an event with a file that cannot be used from whoever waits for it. */
  function check(event, files, accept) {
    const sentence = [...files].map((file) => fault(file, accept)).find(Boolean);
    if (!sentence) return box.remove();
    event.preventDefault();
    event.stopImmediatePropagation();
    tell(sentence);
  }

  window.addEventListener(
    "change",
    (event) => {
      const field = event.target;
      if (!(field instanceof HTMLInputElement) || !field.matches(FIELDS)) return;
      check(event, field.files, field.accept);
      if (event.defaultPrevented || box.isConnected) field.value = "";
    },
    true,
  );
  window.addEventListener(
    "drop",
    (event) => {
      const field = event.target.closest?.("#drop")?.querySelector("input[type=file]");
      if (field && event.dataTransfer?.files.length) check(event, event.dataTransfer.files, field.accept);
    },
    true,
  );
})();
