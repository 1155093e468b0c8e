// The candidates of a single click.

import { percentOf } from "../actions/viewport.js";
import { node, pool } from "../dom.js";
import { locale, t } from "../locale.js";
import { part } from "../parts.js";
import { clamp } from "../pure/geometry.js";
import { marksHere } from "../selectors.js";
import { candidates, chosenCandidate } from "../server/candidates.js";
import { state } from "../state.js";

/** Draw them along the picture's lower edge, or its upper one if they would cover the click. */
export function drawCandidates() {
  const shown = candidates();
  const [click] = shown.length ? marksHere(state.prompts).points : [];
  const above = Boolean(click) && percentOf(click.x, click.y).top > 60;
  part.candidates.hidden = !click;
  part.candidates.classList.toggle("above", above);
  part.picture.classList.toggle("choosing", Boolean(click) && !above);
  pool(part.readings, shown.length, makeCandidate).forEach((button, i) => {
    const [image, label] = button.children;
    const number = i + 1;
    const percent = clamp(shown[i].score, 0, 1).toLocaleString(locale(), { style: "percent" });
    const score = shown[i].name ? t(`candidate_${shown[i].name}`) : percent;
    if (image.getAttribute("src") !== shown[i].picture) image.setAttribute("src", shown[i].picture);
    label.textContent = score;
    button.setAttribute("aria-label", t("candidate", { number, score }));
    button.setAttribute("aria-pressed", String(i === chosenCandidate()));
    button.setAttribute("aria-keyshortcuts", String(number));
    button.title = t("candidate_tip", { number });
  });
}

function makeCandidate() {
  const button = node("button", "reading", { type: "button" });
  button.append(node("img", "", { alt: "", draggable: "false" }), node("span", ""));
  return button;
}
