"""The stage: the picture with its marks, their tools, the views, the timeline and the result's player.

One `gr.HTML` whose template and style stand in `assets/stage.*` and whose script in `assets/stage/`. What it
shows is one value, `None` for "no video yet" or a dictionary:

    media       str         address under which this session's pictures are served, such as "/media/<id>"
    width       int         pixels of the displayed (upright) frame
    height      int
    frames      int         how many there are
    duration    float       seconds from the first frame to the end of the last
    start       float       seconds: what of the video is kept begins with the frame here
    end         float|None  and ends before the frame here; None: with the last
    objects     list        the things to keep: {"number": from 1, "name": "" for none yet, "on": bool}; an
                            empty list is object 1 alone, and one that only marks name is there as well
    palette     list        "#rrggbb"; object n has palette[(n - 1) % len], none at all is green
    prompts     list        marks by frame and object: {"time": seconds from the first frame,
                            "points": [{"x": pixels, "y": pixels, "keep": bool}, ...],
                            "box": [x0, y0, x1, y1], "object": number, "candidate": 0 to 2}; origin top left;
                            a missing "box" or "points" is none, a missing "object" 1; "candidate" is the
                            reading of a lone click (one point to keep, no box), where missing the best
    rev         str         changes whenever marks, objects, model, background or matte do, so pictures are
                            asked anew
    model       str         key of the chosen model: a frame that one has read is new to another
    can_point   bool        whether it takes points
    can_box     bool        and boxes
    candidates  bool        whether it has several readings of a lone click
    reads       bool        whether its first answer about a frame is slow and later ones are not
    checks      list        seconds where the cut may have slipped
    result      dict|None   {"url": str, "type": "video/mp4", "plays": bool, "transparent": bool, "outdated":
                            bool}; one that browsers do not play ("plays" is false) is offered to be
                            downloaded; in place of one that a run would not make any more ("outdated") a
                            frame is shown as it would, once it looks otherwise
    message     str|None    a sentence for the line under the picture
    version     str         changes with whatever the page shows of the session
    seq         int|None    the browser's count of its edits: handed back in the answer to one, else None

What is missing is empty or false. An edit in the browser arrives as the `input` event with the new `prompts`,
`objects`, `start` and `end`, a higher `seq` and `rev` None, and as `base` the same four as the server had
them when the edit was made, so that what others have changed since is not undone; the handler answers with
`answer(value, rev=…)`. An answer to an older edit does not undo a newer one, and one that comes after its
video has left the stage is passed over; so another video comes without a `seq`. What the browser sends is not
to be believed beyond these and `seq`: which session it is, the server knows.

Under `media` the stage asks for `times` (a JSON list, seconds), `strip` (12 thumbnails side by side) and
`frames/<index>?view=original|mask|cutout|over&rev=<rev>`; a refusal is JSON, {"error": "a sentence"}. A
picture whose header `Recorte-Final` is 0 was made in haste; on a frame with marks it is asked for once more
with `&patient=1`, which is answered when the mask is what a run would make. Every few seconds it asks for
`version`, unless something is edited, and where that is another than in the value, the event `tick` asks the
page to show the session anew.
Where the model has `candidates`, the mask of a lone click is followed by
`frames/<index>/candidates?object=<n>&rev=<rev>`, a JSON list of up to 3 {"score": 0 to 1, "picture":
"data:image/...;base64,..."}; after a refusal no choice is offered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from ui import text
from ui.page import scripts

ASSETS = Path(__file__).resolve().parents[2] / "assets"
HTML = (ASSETS / "stage.html").read_text(encoding="utf-8")
CSS = (ASSETS / "stage.css").read_text(encoding="utf-8")

Translations = Mapping[str, Mapping[str, str]]


def create_stage(
    value: dict[str, Any] | None = None,
    *,
    words: Translations = text.STAGE,
    language: str | None = None,
    elem_id: str = "stage",
    **options: Any,
) -> gr.HTML:
    """The component; see the module for its value.

    `words` holds the strings by language, English among them; `language` picks one ("en", "es"), and None
    leaves it to the browser. An event may change it by returning `gr.HTML(language="es")`.
    """
    # Not a property like `language`: an update such as `gr.HTML(visible=False)` makes Gradio drop those.
    table = {code: dict(strings) for code, strings in words.items()}
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


def answer_edit(value: Mapping[str, Any], *, rev: str, **changes: Any) -> dict[str, Any]:
    """The stage's value in answer to an edit: as the browser sent it, with a new `rev` and other changes."""
    return {**value, **changes, "rev": rev}


def on_edit(
    component: gr.HTML,
    handler: Callable[..., Any],
    inputs: Sequence[gr.components.Component] = (),
    outputs: Sequence[gr.components.Component] = (),
    **options: Any,
) -> Any:
    """Call `handler(value, *inputs)` after an edit; it returns the stage's value, then the other `outputs`.

    While a call is under way later edits wait and go as one, the last: Gradio's default would drop them. No
    progress is drawn over the stage, or it would grey out under the hand that marks it.
    """
    settings: dict[str, Any] = {
        "trigger_mode": "always_last",
        "show_progress": "hidden",
        "api_visibility": "private",
    }
    return component.input(
        handler, inputs=[component, *inputs], outputs=[component, *outputs], **(settings | options)
    )
