// Notification at the end of a run, while the tab is hidden. Gradio runs this once for every mount, as the body of a
// function of (element, trigger, props, server, upload, watch). WORDS are put before this by ui/page/sections/result.py.
//
// The value is {session, name, state}, of the session on the page; null for none. The browser is asked for its
// permission only when the switch is turned on, which is there during a run and is remembered.

import { namedParts } from "./named-parts.js";
import { endedRun, isUnderWay } from "./run-end.js";
import { languageCode } from "./words.js";

const KEY = "recorte.notify";

const part = namedParts(element);
const toggle = /** @type {HTMLInputElement} */ (part.toggle);

/** @param {string} key */
const t = (key) => WORDS[languageCode(WORDS, navigator.language)][key] ?? key;

// Over plain http there are none but on this machine, and Chrome for Android has them for service workers only.
const available = window.isSecureContext && "Notification" in window && !/Android/.test(navigator.userAgent);

const isOn = () => localStorage.getItem(KEY) === "on" && Notification.permission === "granted";

function draw() {
  const running = isUnderWay(props.value);
  part.switch.hidden = !available || !running;
  if (!available) return;
  toggle.checked = isOn();
  part.blocked.hidden = !running || Notification.permission !== "denied";
  toggle.disabled = Notification.permission === "denied";
}

async function onToggle() {
  if (toggle.checked) {
    await Notification.requestPermission();
    localStorage.setItem(KEY, "on");
  } else {
    localStorage.removeItem(KEY);
  }
  draw();
}

let before = props.value;

function follow() {
  const end = endedRun(before, props.value);
  before = props.value;
  draw();
  if (!end || !available || !isOn() || document.visibilityState !== "hidden") return;
  const notification = new Notification(t(`notify_${end}`), { body: before.name, tag: before.session });
  notification.onclick = () => {
    window.focus();
    notification.close();
  };
}

part.words.textContent = t("notify");
part.blocked.textContent = t("notify_blocked");
toggle.addEventListener("change", onToggle);
watch("value", follow);
draw();
