// Repairs of Gradio's controls for people without a mouse.

const MODIFIERS = ["Tab", "Shift", "Control", "Alt", "Meta"];
const STEPS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown"];
const RADIO = '.gradio-container fieldset[id]:not([id=""]) input[type=radio]';

/**
 * Give a radio button its group's name. Gradio gives each a name of its own, anew with every change, so that none
 * knows of the others.
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
    }
  }
}).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["name"] });

/** @param {Event} event */
const targetOf = (event) => /** @type {HTMLElement} */ (event.target);

// Any key opens a list, also the one that leaves it, after it was left.
document.addEventListener(
  "keydown",
  (event) => {
    if (targetOf(event).matches("[role=combobox]") && MODIFIERS.includes(event.key)) event.stopPropagation();
  },
  true,
);

// A slider is heard when a pointer lets go of it, and its number when it is left.
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
