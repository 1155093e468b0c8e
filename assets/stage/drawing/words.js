// The field for words: it is there where the model takes boxes.

import { t } from "../locale.js";
import { part } from "../parts.js";
import { checkedTimes } from "../selectors.js";
import { state } from "../state.js";

export function drawWords() {
  const { value, finding } = state;
  part.words.hidden = !value?.can_box;
  drawNetworks(value?.words ?? []);
  part.said.placeholder = t("words_example");
  part.said.disabled = !value || state.view === "result";
  part.find.disabled = part.said.disabled;
  part.network.disabled = part.said.disabled;
  part.find.setAttribute("aria-busy", String(finding));
  part.again.hidden = !checkedTimes().length;
  part.again.disabled = part.said.disabled || finding;
  const label = t(finding ? "finding" : "find");
  if (part.find.textContent !== label) part.find.textContent = label;
}

/**
 * Offer the networks that find what words name, where there is a choice; what was chosen stays.
 * @param {{key: string, label: string}[]} networks
 */
function drawNetworks(networks) {
  part.network.hidden = !networks.length;
  const offered = [...part.network.options].map(({ value, text }) => `${value} ${text}`);
  if (offered.join() === networks.map(({ key, label }) => `${key} ${label}`).join()) return;
  const chosen = part.network.value;
  part.network.replaceChildren(...networks.map(({ key, label }) => new Option(label, key)));
  if (networks.some(({ key }) => key === chosen)) part.network.value = chosen;
}
