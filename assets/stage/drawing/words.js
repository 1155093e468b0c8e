// The field for words: it is there where the model takes boxes.

import { t } from "../locale.js";
import { part } from "../parts.js";
import { state } from "../state.js";

export function drawWords() {
  const { value, finding } = state;
  part.words.hidden = !value?.can_box;
  part.said.placeholder = t("words_example");
  part.said.disabled = !value || state.view === "result";
  part.find.disabled = part.said.disabled;
  part.find.setAttribute("aria-busy", String(finding));
  const label = t(finding ? "finding" : "find");
  if (part.find.textContent !== label) part.find.textContent = label;
}
