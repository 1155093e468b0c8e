"""The stage: the picture with its marks, their tools, the views, the timeline and the result's player.

One `gr.HTML` whose template and style are in `assets/stage.*` and whose script is in `assets/stage/`. It
shows one value: `None` if there is no video yet, or a dictionary:

    media       str         address under which this session's pictures are served, such as "/media/<id>"
    width       int         pixels of the displayed (upright) frame
    height      int
    frames      int         how many there are
    duration    float       seconds from the first frame to the end of the last
    start       float       seconds: the part to keep begins with the frame here
    end         float|None  seconds: the part to keep ends before the frame here; None: with the last
    objects     list        the objects to keep: {"number": from 1, "name": "" if unnamed, "on": bool}; an
                            empty list means object 1 alone; objects that only marks refer to are shown too
    palette     list        "#rrggbb"; object n has palette[(n - 1) % len], or green if the list is empty
    prompts     list        marks by frame and object: {"time": seconds from the first frame,
                            "points": [{"x": pixels, "y": pixels, "keep": bool}, ...],
                            "box": [x0, y0, x1, y1], "object": number, "candidate": 0 to 2,
                            "strokes": [{"path": [[x, y], ...], "width": pixels, "keep": bool}, ...],
                            "mask": {"file": name of an uploaded mask, "invert": bool}}; origin top left;
                            "box", "points", "strokes" and "mask" may be missing, a missing "object" is 1;
                            "candidate" is the chosen one of a single click (one point to keep, no box), if
                            missing the best
    rev         str         revision: changes whenever marks, objects, model, background or matte do, so that
                            pictures are requested again
    model       str         key of the chosen model: the first mask of a frame is slow for each model
    can_point   bool        the model takes points
    can_box     bool        the model takes boxes
    maps        bool        there is a view with a map of all classes that the model knows
    words       list        {"key": str, "label": str} of the networks that find what words name, where there
                            is a choice
    candidates  bool        the model has several candidates for a single click
    splits      bool        the model tells things from each other: an object's first click and the
                            points to remove are stored with "whole": true; they stand for all of the thing
                            that they lie on, as the first candidate
    reads       bool        the model's first mask of a frame is slow, and later ones of that frame are not
    sound       bool        the video has sound
    automatic   bool        the model finds its subject by itself where nothing is marked
    checks      list        seconds where the cut may have slipped
    result      dict|None   {"url": str, "type": "video/mp4", "plays": bool, "transparent": bool, "outdated":
                            bool}; one that browsers do not play ("plays" is false) is offered as a download;
                            in place of one that a run would not make any more ("outdated"), a frame is shown
                            as a run would make it, once that looks different
    crop        dict|None   {"width": int, "height": int}: the pixels of the window that the result is cropped
                            to; None: the result shows the whole frame
    message     str|None    a sentence for the line under the picture
    version     str         changes with anything that the page shows of the session
    seq         int|None    the browser's count of its edits: returned in the answer to an edit, else None

Missing keys are empty or false. An edit in the browser arrives as the `input` event with the new `prompts`,
`objects`, `start` and `end`, a higher `seq` and `rev` None, and with the same four values as the server had
them when the edit was made as `base`, so that changes from other windows are not undone; the handler answers
with the value as it was sent and a new `rev`. An answer to an older edit does not undo a newer one, and one
that arrives after its video has left the stage is ignored; so another video comes without a `seq`. Nothing
else that the browser sends is trusted: which session is edited comes from the server.

Below `media` the stage requests `times` (a JSON list, seconds), `strip` (12 thumbnails side by side) and
`frames/<index>?view=original|mask|cutout|over&rev=<rev>`; an error is JSON, {"error": "a sentence"}. While it
plays, `&w=<pixels>` asks for narrower pictures, and `sound` is the video's sound, from the first frame on. A
picture whose header `Recorte-Final` is 0 is a quick approximation; on a frame with marks it is requested once
more with `&patient=1`, which is answered when the mask is the one that a run would make. Every few seconds,
unless something is being edited, the stage requests `version`; if it differs from the value's, the event
`tick` asks the page to show the session again.
If the model has `candidates`, the mask of a single click is followed by
`frames/<index>/candidates?object=<n>&rev=<rev>`, a JSON list of up to 3 {"score": 0 to 1, "picture":
"data:image/...;base64,...", "name": "one", "part", "more", "all" or "" if unnamed}; after an error no choice
is offered.

With `splits`, where an object has no marks yet and a mouse rests on the picture, the stage requests
`frames/<index>/thing?x=<pixels>&y=<pixels>`, a JSON list of closed lines, [[[x, y], ...], ...], around the
thing that a click there would take, and around its holes; empty where no clear thing is. It is found while
nobody waits for the model, and null if somebody does.

Where the model takes boxes there is a field for words: the stage requests `words?q=<text>`, with
`&model=<key>` where there is a choice, answered with
{"ready": bool, "message": str, "found": [{"words": the phrase, "prompt": as above}, ...]}, or null after a
newer search. Once there are `checks`, `&again=<seconds>` for each of them has the words searched only from
there on. The boxes become an edit, whose objects have numbers of the stage's own. With `ready` false the
network's weights are missing: `message` says so, and the event `submit` asks the page to offer them.

The view "mask" has other tints: "mask-strong", "mask-solid" and "mask-outline". With `maps` there is the view
"classes", the map of all classes that the model knows.

A picture whose header `Recorte-Cut` is 0 is the plain frame, because the frame is not cut yet: it is dimmed,
and requested again once it is. `Recorte-Revision`, percent-encoded, is the revision it was made for.
Which frames are cut is asked with `cut?at=<frame shown>&on=1`, which also has the server cut for some seconds
more, or with `on=0`, which does not:

    {"rev": str, "state": "cutting"|"waiting"|"done"|"slow"|"failed"|"idle", "ready": [[first, past], ...],
     "checks": [seconds, ...], "done": int, "total": int, "rate": float, "left": float|null,
     "again": float|null, "message": str}

`ready` are frame numbers, `past` excluded; `done` and `total` count the frames of the part to keep. Of a slow
model only the preview frames are computed, and `left` is 0 once they all are; after `again` seconds it is
measured again, and the stage asks once more. An answer whose `rev` is not
the value's is ignored, and null says that the session was deleted.
With a `crop`, once all frames are cut, the stage requests `crop`, {"rev": str, "first": number of a frame,
"corners": [[left, top], ...] in pixels, one for each frame from that one on}; before, there are no corners.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr

from pipeline import formats, models, prompts
from pipeline.models import word_networks
from ui import text
from ui.addresses import media_address
from ui.assets import ASSETS
from ui.page import scripts
from ui.sessions.rendering import overlay
from ui.sessions.rendering.frames import FrameClient
from ui.sessions.session import Session

HTML = (ASSETS / "stage.html").read_text(encoding="utf-8")
CSS = (ASSETS / "stage.css").read_text(encoding="utf-8")

Translations = Mapping[str, Mapping[str, str]]


def stage_value(
    session: Session, frames: FrameClient, edit: Mapping[str, Any] | None = None, message: str | None = None
) -> dict[str, Any]:
    """Return the stage's value for a session; `edit` is the edit that it answers, if it answers one."""
    card = models.card(session.job.model)
    return {
        "media": media_address(session.id),
        "width": session.clip.width,
        "height": session.clip.height,
        "frames": session.clip.frames,
        "duration": session.clip.duration,
        "start": session.job.start,
        "end": session.job.end,
        "prompts": prompts.to_json(session.job.prompts, session.folder),
        "objects": [obj.to_json() for obj in session.job.objects],
        "palette": list(overlay.PALETTE),
        "rev": frames.revision(session),
        "model": card.key,
        "can_point": card.points,
        "can_box": card.box,
        "maps": bool(card.classes) and card.present,
        "words": _word_networks(session),
        "candidates": card.candidates,
        "splits": card.splits,
        "reads": card.slow_encoder,
        "sound": bool(session.clip.sound),
        "automatic": card.automatic,
        "checks": session.review_times,
        "result": _result(session),
        "crop": _crop(session),
        "message": message,
        "version": session.fingerprint,
        "seq": _edit_count(edit.get("seq")) if edit else None,
    }


def _result(session: Session) -> dict[str, Any] | None:
    """Return the newest result for the stage's player; None if there is none, or while a run is under way."""
    if session.running or not session.row.results:
        return None
    newest = session.row.results[0]
    form = formats.by_key(newest.format)
    return {
        "url": f"{media_address(session.id)}/results/{newest.id}",
        "type": form.mime,
        "plays": form.plays_in_browsers,
        "transparent": newest.background == "transparent",
        "outdated": session.outdated,
    }


def _word_networks(session: Session) -> list[dict[str, str]]:
    """Return key and label of the networks that find what words name; none where there is no choice."""
    ready = word_networks.list_ready(session.accepts)
    return [{"key": key, "label": word_networks.find_label(key)} for key in ready] if len(ready) > 1 else []


def _crop(session: Session) -> dict[str, int] | None:
    """Return the size of the crop's window; None where the result shows the whole frame."""
    if not session.job.follows_subject(session.clip):
        return None
    width, height = session.job.result_size(session.clip)
    return {"width": width, "height": height}


def _edit_count(value: Any) -> int | None:
    """Return the browser's count of its edits; None if it is no integer that JavaScript holds exactly."""
    return value if isinstance(value, int) and abs(value) < 2**53 else None


def create_stage(
    value: dict[str, Any] | None = None,
    *,
    translations: Translations = text.STAGE,
    language: str | None = None,
    elem_id: str = "stage",
    **options: Any,
) -> gr.HTML:
    """Create the component; see the module for its value.

    `translations` holds the texts by language, English among them; `language` picks one by its code, and None
    leaves it to the browser. An event may change it by returning `gr.HTML(language=code)`.
    """
    # Not a property like `language`: an update such as `gr.HTML(visible=False)` makes Gradio drop those.
    table = {code: dict(strings) for code, strings in translations.items()}
    return gr.HTML(
        value=value,
        html_template=HTML,
        css_template=CSS,
        js_on_load=scripts.script("stage/main.js", WORDS=table),
        apply_default_css=False,
        elem_id=elem_id,
        language=language,
        **options,
    )


def on_edit(
    component: gr.HTML,
    handler: Callable[..., Any],
    inputs: Sequence[gr.components.Component] = (),
    outputs: Sequence[gr.components.Component] = (),
    **options: Any,
) -> Any:
    """Call `handler(value, *inputs)` after an edit; it returns the stage's value, then the other `outputs`.

    Of edits that are made during a call, the last is handled after it: Gradio's default would drop them all.
    No progress is drawn over the stage, for it would grey out while somebody marks it.
    """
    settings: dict[str, Any] = {
        "trigger_mode": "always_last",
        "show_progress": "hidden",
        "api_visibility": "private",
    }
    return component.input(
        handler, inputs=[component, *inputs], outputs=[component, *outputs], **(settings | options)
    )
