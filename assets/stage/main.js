// The stage: the picture with its marks, their tools, the views, the timeline and the result's player.
//
// Gradio runs this once for every mount, with the names of `gradio.d.ts` in scope; `ui/page/scripts.py` puts it and what it
// imports into one script, so what a file holds belongs to one mount. ES2022, nothing from another host.
//
// A file imports only what lies below it:
//
//     main.js       draws everything, and binds events
//     input/        listeners for pointers, keys and buttons
//     drawing/      draws the state, and changes nothing of it
//     server/       the value that the server sends, and requests to it
//     playback/     playing on the stage and in the result's player, with sound
//     actions/      edits, undo, trimming, navigation and zoom
//     pictures/     the pictures of frames: fetched, kept and shown
//     selectors.js  values derived from the state
//     state.js      the state; code that changes it calls render.js
//     pure/         functions of their arguments alone, tested with Node

/** @import { State } from "./types" */

import { loadBrush, setBrush } from "./actions/brush.js";
import { go, goWithin } from "./actions/navigation.js";
import { seekResult } from "./actions/result-player.js";
import { chooseTint, loadTint } from "./actions/tint.js";
import { onHandleDrag, onHandleDrop, onTimeTyped, trimWhole } from "./actions/trimming.js";
import { fit } from "./actions/viewport.js";
import { all, closest, targetOf } from "./dom.js";
import { drawCandidates } from "./drawing/candidates.js";
import { drawCrop } from "./drawing/crop.js";
import { drawCutBand } from "./drawing/cut-band.js";
import { drawMarks } from "./drawing/marks.js";
import { drawMessage } from "./drawing/message.js";
import { drawObjects, numberAt } from "./drawing/objects.js";
import { drawPicture } from "./drawing/picture.js";
import { drawPlayback } from "./drawing/playback.js";
import { drawPreviewRow, forgetPreviewRow } from "./drawing/preview-row.js";
import { drawResult } from "./drawing/result.js";
import { drawStrokes } from "./drawing/strokes.js";
import { drawThing } from "./drawing/things.js";
import { drawTimeline } from "./drawing/timeline.js";
import { drawToolbar } from "./drawing/toolbar.js";
import { drawWords } from "./drawing/words.js";
import { onFrameLink, onObjects, onToolbar, onZoomSlider } from "./input/buttons.js";
import { onHover, onHoverEnd } from "./input/hover.js";
import { onKeyDown, onKeyUp } from "./input/keyboard.js";
import { openKeys } from "./input/keys-dialog.js";
import { endRenaming, onNameKey, startRenaming } from "./input/object-names.js";
import {
  onPictureClick,
  onPictureFocus,
  onPointerCancel,
  onPointerDown,
  onPointerLeave,
  onPointerMove,
  onPointerUp,
  onWheel,
} from "./input/pointer.js";
import { SHORTCUTS } from "./input/shortcuts.js";
import { onAgain, onWords } from "./input/words.js";
import { translate } from "./locale.js";
import { part } from "./parts.js";
import { watchPace } from "./pictures/pace.js";
import { pictures } from "./pictures/pictures.js";
import { forgetPlaying, play } from "./playback/player.js";
import {
  fetchBefore,
  isComparing,
  onResultPauses,
  onResultPlays,
  onResultTime,
  toggleComparing,
} from "./playback/result.js";
import { loadSettings, saveSettings } from "./playback/settings.js";
import { sound } from "./playback/sound.js";
import { onRender, render } from "./render.js";
import { timeOf } from "./selectors.js";
import { askCandidates, chooseCandidate } from "./server/candidates.js";
import { askCropWindows } from "./server/crop-windows.js";
import { followCut, onLiveSwitch, startFollowingCut } from "./server/live-cut.js";
import { followOthers, noteWriting, startFollowing } from "./server/other-windows.js";
import { adopt, onValue } from "./server/value.js";
import { state } from "./state.js";

onRender(() => {
  watchPace();
  part.stage.classList.toggle("empty", !state.value);
  part.stage.classList.toggle("one-frame", state.value?.frames === 1);
  drawPicture();
  drawCrop();
  drawMarks();
  drawThing();
  drawStrokes();
  drawResult();
  drawPlayback();
  drawCandidates();
  drawToolbar();
  drawObjects();
  drawWords();
  drawTimeline();
  drawCutBand();
  drawPreviewRow();
  drawMessage();
  askCandidates();
  askCropWindows();
  fetchBefore();
  followCut();
});

// ---------------------------------------------------------------- the picture

part.picture.addEventListener("pointerdown", onPointerDown);
part.picture.addEventListener("pointermove", onPointerMove);
part.picture.addEventListener("pointerup", onPointerUp);
part.picture.addEventListener("pointerleave", onPointerLeave);
part.picture.addEventListener("pointercancel", onPointerCancel);
part.picture.addEventListener("pointermove", onHover);
part.picture.addEventListener("pointerleave", onHoverEnd);
part.picture.addEventListener("wheel", onWheel, { passive: false });
part.picture.addEventListener("contextmenu", (event) => {
  if (state.view !== "result") event.preventDefault();
});
part.picture.addEventListener("click", onPictureClick);
part.picture.addEventListener("focusin", onPictureFocus);
part.picture.addEventListener("focusout", () => part.picture.classList.remove("aim"));
part.fit.addEventListener("click", fit);
part.divider.addEventListener("input", () => {
  state.split = Number(part.divider.value) / 1000;
  render();
});
part.readings.addEventListener("click", (event) => {
  const button = closest(event, ".reading");
  if (button) chooseCandidate([...part.readings.children].indexOf(button));
});
part.video.addEventListener("error", () => {
  const result = state.value?.result;
  if (!part.video.getAttribute("src") || !result) return;
  state.broken = result.url;
  render();
});

for (const event of ["timeupdate", "seeked"]) part.video.addEventListener(event, onResultTime);
part.video.addEventListener("play", onResultPlays);
part.video.addEventListener("pause", onResultPauses);
part.video.addEventListener("ended", onResultPauses);
part.video.addEventListener("loadedmetadata", () => {
  seekResult(state.index);
  render(); // its size is known: a cropped result is not compared
});
part.video.addEventListener("click", () => {
  if (!part.video.controls) play();
});
part.video.addEventListener("volumechange", () => {
  const { muted, volume } = part.video;
  if (muted !== state.muted || volume !== state.volume) setPlaying({ muted, volume });
});
part.compare.addEventListener("click", toggleComparing);

/**
 * Change what is remembered of playing.
 * @param {Partial<Pick<State, "loop" | "muted" | "volume">>} change
 */
function setPlaying(change) {
  Object.assign(state, change);
  saveSettings();
  sound.adjust();
  render();
}

// ---------------------------------------------------------------- tools and objects

part.toolbar.addEventListener("click", onToolbar);
part.tint.addEventListener("change", () => chooseTint(part.tint.value));
part.zoom.addEventListener("input", onZoomSlider);
part.brush.addEventListener("input", () => setBrush(Number(part.brush.value)));
part.help.addEventListener("click", () => openKeys(SHORTCUTS));
part.keys.addEventListener("click", (event) => {
  if (targetOf(event) === part.keys) part.keys.close(); // beside it
});
part.objects.addEventListener("click", onObjects);
part.words.addEventListener("submit", onWords);
part.again.addEventListener("click", onAgain);
part.chips.addEventListener("dblclick", (event) => {
  if (closest(event, ".pick")) startRenaming(numberAt(targetOf(event)));
});
part.chips.addEventListener("keydown", onNameKey);
part.chips.addEventListener("focusout", (event) => {
  if (targetOf(event).tagName === "INPUT") endRenaming(true);
});

// ---------------------------------------------------------------- the timeline

part.slider.addEventListener("input", () => (isComparing() ? goWithin : go)(Number(part.slider.value)));
part.play.addEventListener("click", play);
part.loop.addEventListener("click", () => setPlaying({ loop: !state.loop }));
part.mute.addEventListener("click", () => setPlaying({ muted: !state.muted }));
part.volume.addEventListener("input", () => {
  setPlaying({ volume: Number(part.volume.value) / 100, muted: part.volume.value === "0" });
});
for (const handle of all(part.timeline, ".handle")) {
  handle.addEventListener("input", onHandleDrag);
  handle.addEventListener("change", onHandleDrop);
}
for (const input of all(part.timeline, "[data-typed]")) input.addEventListener("change", onTimeTyped);
part.whole.addEventListener("click", trimWhole);
part.live.addEventListener("change", onLiveSwitch);
part.timeline.addEventListener("click", (event) => {
  const button = closest(event, "[data-index]");
  if (button) go(Number(button.dataset.index));
});

// ---------------------------------------------------------------- the whole page

const page = new AbortController();

/**
 * Return a listener on the page that removes all of them once the stage is unmounted; Gradio has no unmount event.
 * @template {Event} PageEvent
 * @param {(event: PageEvent) => void} listener
 */
function whileMounted(listener) {
  return (/** @type {PageEvent} */ event) => {
    if (element.isConnected) listener(event);
    else detach();
  };
}

function detach() {
  page.abort();
  forgetPlaying();
  pictures.forget();
  forgetPreviewRow();
}

const { signal } = page;
document.addEventListener("keydown", whileMounted(onKeyDown), { signal });
document.addEventListener("keyup", whileMounted(onKeyUp), { signal });
document.addEventListener("click", whileMounted(onFrameLink), { signal });
document.addEventListener("visibilitychange", followOthers, { signal });
document.addEventListener("input", noteWriting, { signal, capture: true });
startFollowing();
startFollowingCut(signal);

// ---------------------------------------------------------------- the component

watch("value", onValue);
watch("language", () => {
  translate();
  render();
});
window.recorte = { ...window.recorte, marked: () => ({ time: timeOf(state.index), object: state.active }) };
loadSettings();
loadTint();
loadBrush();
translate();
adopt(props.value);
