// Keyboard access to Gradio's controls.

const MODIFIERS = ["Tab", "Shift", "Control", "Alt", "Meta"];
const STEPS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown"];
const RADIO = '.gradio-container fieldset[id]:not([id=""]) input[type=radio]';

const UPLOAD = ".upload-container[aria-label]";

/**
 * Give a radio button its group's name. Gradio gives each button a different name at every change, so that they do
 * not form a group.
 * @param {Element} radio
 */
function group(radio) {
  const button = /** @type {HTMLInputElement} */ (radio);
  const { id } = /** @type {HTMLFieldSetElement} */ (button.closest("fieldset"));
  if (button.name !== id) button.name = id;
}

new MutationObserver((changes) => {
  for (const { type, target, addedNodes } of changes) {
    if (type === "attributes" && target instanceof Element && target.matches(RADIO)) group(target);
    for (const node of addedNodes) {
      if (!(node instanceof Element)) continue;
      for (const input of [node, ...node.querySelectorAll("input")]) if (input.matches(RADIO)) group(input);
      // Named by what it shows: Gradio's other name for it is in English, and is not what a person reads out.
      for (const field of [node, ...node.querySelectorAll(UPLOAD)]) {
        if (field.matches(UPLOAD) && field.textContent?.trim()) field.removeAttribute("aria-label");
      }
    }
  }
}).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["name"] });

/** @param {Event} event */
const targetOf = (event) => /** @type {HTMLElement} */ (event.target);

// Gradio opens a list on any key, also on the one that leaves it.
document.addEventListener(
  "keydown",
  (event) => {
    if (targetOf(event).matches("[role=combobox]") && MODIFIERS.includes(event.key)) event.stopPropagation();
  },
  true,
);

// Gradio reads a slider on pointerup only, and its number on blur only.
document.addEventListener("keyup", (event) => {
  const target = targetOf(event);
  if (!target.matches("[data-testid=range-input]") || !STEPS.includes(event.key)) return;
  target.dispatchEvent(new PointerEvent("pointerup", { bubbles: true }));
});
document.addEventListener("keydown", (event) => {
  const target = targetOf(event);
  if (!target.matches("[data-testid=number-input]") || event.key !== "Enter") return;
  target.blur();
  target.focus();
});
// At once, while the name still has the focus: an event of Gradio's would come when something else may have it.
document.addEventListener("keydown", (event) => {
  const target = targetOf(event);
  if (target.closest("#name") && event.key === "Enter" && !event.isComposing) target.blur();
});
