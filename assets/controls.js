// What Gradio's controls lack for who has no mouse.

(() => {
  const MODIFIERS = ["Tab", "Shift", "Control", "Alt", "Meta"];
  const STEPS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown"];
  const RADIO = '.gradio-container fieldset[id]:not([id=""]) input[type=radio]';

  // Gradio gives every radio button a name of its own, anew with every change, so that none knows of the others.
  const group = (radio) => {
    const { id } = radio.closest("fieldset");
    if (radio.name !== id) radio.name = id;
  };

  new MutationObserver((changes) => {
    for (const { type, target, addedNodes } of changes) {
      if (type === "attributes" && target.matches(RADIO)) group(target);
      for (const node of addedNodes) {
        if (node instanceof Element) [node, ...node.querySelectorAll("input")].filter((n) => n.matches(RADIO)).forEach(group);
      }
    }
  }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["name"] });

  // Any key opens a list, also the one that leaves it, after it was left.
  document.addEventListener(
    "keydown",
    (event) => {
      if (event.target.matches("[role=combobox]") && MODIFIERS.includes(event.key)) event.stopPropagation();
    },
    true,
  );

  // A slider is heard when a pointer lets go of it, and its number when it is left.
  const release = (target) => target.dispatchEvent(new PointerEvent("pointerup", { bubbles: true }));
  document.addEventListener("keyup", ({ target, key }) => {
    if (target.matches("[data-testid=range-input]") && STEPS.includes(key)) release(target);
  });
  document.addEventListener("keydown", ({ target, key }) => {
    if (!target.matches("[data-testid=number-input]") || key !== "Enter") return;
    target.blur();
    target.focus();
  });
})();
