// The browser's history: back and forward go through the sessions and the tabs without loading the page again.
//
// Gradio runs this once, as the body of a function of (element, trigger, props, server, upload, watch). Each entry's
// address has the session, its state the tab. `window.recorte.place` is called by the server's events:
//
// changed(id)   another session is on the page, or none
// settled()     the session that the page came with, or that `select` has asked for with its {id}, is on the page

import { addressOf, isSamePlace, placeOfEntry } from "./place.js";

const PAUSE_MS = 50; // a session and a tab that change together are one entry

const TABS = "[role=tab][data-tab-id]";

let session = "";
let opening = true; // a session is on its way to the page
let stale = false; // back or forward was used meanwhile
let replacing = true; // the present entry becomes that of what the page shows
let timer = 0;

/** @param {string} name */
function tabButton(name) {
  return [.../** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(TABS))].find(
    (tab) => tab.dataset.tabId === name,
  );
}

/** Return the place that the page shows. */
function shown() {
  /** @type {?HTMLElement} */
  const tab = document.querySelector(`${TABS}[aria-selected=true]`);
  return { session, tab: tab?.dataset.tabId ?? "cut" };
}

const entry = () => placeOfEntry(window.location.href, window.history.state);

/** Have the history say what the page shows: in a new entry if that is another place. */
function settle() {
  if (opening) return;
  const place = shown();
  const address = addressOf(window.location.href, place);
  const state = { ...window.history.state, tab: place.tab };
  if (replacing || isSamePlace(place, entry())) window.history.replaceState(state, "", address);
  else window.history.pushState(state, "", address);
  replacing = false;
}

function settleSoon() {
  clearTimeout(timer);
  timer = setTimeout(settle, PAUSE_MS);
}

/** Show the place of the present entry. */
function follow() {
  stale = opening;
  if (opening) return;
  const place = entry();
  if (isSamePlace(place, shown())) return;
  if (place.tab === "cut" && place.session !== session) {
    opening = true;
    trigger("select", { id: place.session });
  } else {
    tabButton(place.tab)?.click();
  }
}

window.addEventListener("popstate", follow);

// Gradio changes the attribute, whoever has chosen the tab.
new MutationObserver((changes) => {
  if (changes.some(({ target }) => target instanceof Element && target.matches(TABS))) settleSoon();
}).observe(document.body, { subtree: true, attributes: true, attributeFilter: ["aria-selected"] });

window.recorte.place = {
  /** @param {string} id */
  changed(id) {
    session = id;
    settleSoon();
  },
  /** @param {string} id */
  settled(id) {
    session = id;
    opening = false;
    if (stale) {
      follow();
      return;
    }
    if (entry().tab !== "cut") tabButton(entry().tab)?.click(); // after a reload
    replacing = true; // a session that could not be opened is not on the page
    settleSoon();
  },
};
