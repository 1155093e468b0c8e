// Pictures that were made of words, one of them to be chosen as background. Gradio runs this once for every mount, as
// the body of a function of (element, trigger, props, server, upload, watch); ui/page/sections/proposals.py puts WORDS,
// the strings by language, before it. The value is {text, pictures: [{seed, address}], chosen}.

import { fill, languageCode } from "./words.js";

const group = /** @type {HTMLElement} */ (element.querySelector(".proposals"));

/** @param {number} number */
const named = (number) => fill(WORDS[languageCode(WORDS, navigator.language)].name, { number });

function show() {
  const { text = "", pictures = [], chosen = null } = props.value ?? {};
  group.setAttribute("aria-label", text);
  group.replaceChildren(
    ...pictures.map(
      (/** @type {{seed: number, address: string}} */ { seed, address }, /** @type {number} */ index) => {
        const button = document.createElement("button");
        const picture = document.createElement("img");
        const name = named(index + 1);
        button.type = "button";
        button.title = text;
        button.className = seed === chosen ? "proposal chosen" : "proposal";
        button.setAttribute("aria-pressed", String(seed === chosen));
        button.setAttribute("aria-label", name);
        picture.src = `${address}?of=${encodeURIComponent(text)}`;
        picture.alt = "";
        button.append(picture);
        button.addEventListener("click", () => {
          props.value = { ...props.value, chosen: seed };
          show(); // the answer has the same value, and then nothing is told
          trigger("input");
        });
        return button;
      },
    ),
  );
}

watch("value", show);
show();
