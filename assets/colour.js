// A colour, "#rrggbb": the browser's own picker, and its name or number to be typed. Gradio runs this once for every
// mount, as the body of a function of (element, trigger, props, server, upload, watch);
// ui/sections/background.py puts WORDS, the strings by language, before it.

const [well, typed] = element.querySelectorAll("input");
const pen = document.createElement("canvas").getContext("2d");

function say(key) {
  const code = (navigator.language || "en").toLowerCase().split("-")[0];
  return (WORDS[code] || WORDS.en)[key];
}

/** "#0B4", "0b4", "teal" -> "#rrggbb"; null for what is no colour, or one that is not opaque. */
function parse(text) {
  const bare = text.trim().toLowerCase();
  const colour = /^([0-9a-f]{3}|[0-9a-f]{6})$/.test(bare) ? `#${bare}` : bare;
  if (!CSS.supports("color", colour) || colour === "currentcolor") return null;
  pen.fillStyle = colour;
  return /^#[0-9a-f]{6}$/.test(pen.fillStyle) ? pen.fillStyle : null;
}

function show() {
  if (well.value !== props.value) well.value = props.value;
  if (document.activeElement !== typed) typed.value = props.value;
}

function choose(colour) {
  well.value = typed.value = colour;
  typed.setCustomValidity("");
  element.closest("#colour").dataset.chosen = colour;
  props.value = colour;
  trigger("input");
}

well.setAttribute("aria-label", say("colour"));
typed.setAttribute("aria-label", say("hex"));
typed.title = say("hex");
well.addEventListener("input", () => choose(well.value));
typed.addEventListener("input", () => typed.setCustomValidity(""));
typed.addEventListener("change", () => {
  const colour = parse(typed.value);
  if (colour === null) {
    typed.setCustomValidity(say("no_colour"));
    typed.reportValidity();
    return;
  }
  choose(colour);
});
watch("value", show);
show();
