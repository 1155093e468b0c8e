"""What stands behind the subject."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import gradio as gr

from pipeline.compositing.background import (
    BLUR_RADIUS,
    FITS,
    Background,
    Blur,
    Colour,
    Fit,
    Footage,
    Picture,
    Transparent,
    format_spec,
)
from pipeline.job import GREEN
from ui import text
from ui.page import scripts
from ui.page.handlers import (
    UPLOAD_HANDLED_JS,
    UPLOAD_OPTIONS,
    Translate,
    Updates,
    language_of,
    no_change,
    take_upload,
    with_error_toasts,
)
from ui.page.sections.video import SUFFIXES
from ui.sessions import stock_backgrounds
from ui.sessions.session import Session

if TYPE_CHECKING:
    from ui.page.context import Page

Kind = Literal["colour", "picture", "video", "blur", "transparent"]
KINDS: dict[Kind, type[Background]] = {
    "colour": Colour,
    "picture": Picture,
    "video": Footage,
    "blur": Blur,
    "transparent": Transparent,
}
_LAID = ("picture", "video")
_WORDS = {
    code: {key: words[key] for key in ("colour", "hex", "no_colour")} for code, words in text.PAGE.items()
}
# A colour that was chosen while an earlier one was on its way is sent when that one is answered; the answer
# has put the earlier one into the component's value.
_NEWEST = """(id, kind, colour, radius) =>
  [id, kind, document.getElementById("colour").dataset.chosen ?? colour, radius]"""
SWATCHES = {"green": format_spec(GREEN), "blue": "#0047bb", "white": "#ffffff", "black": "#000000"}


@dataclass(frozen=True)
class Section:
    kind: gr.Radio
    colours: gr.Row
    colour: gr.HTML
    pictures: gr.Column
    picture: gr.UploadButton
    footage: gr.Column
    film: gr.UploadButton
    ending: gr.Radio
    fit: gr.Radio
    radius: gr.Slider
    green: gr.Button
    blue: gr.Button
    white: gr.Button
    black: gr.Button
    studio: gr.Button
    city: gr.Button
    garden: gr.Button
    brick: gr.Button


def render(say: Translate) -> Section:
    kind = gr.Radio(
        [(say(f"kind_{kind}"), kind) for kind in KINDS],
        value="colour",
        label=say("kind"),
        show_label=False,
        container=False,
        elem_id="kind",
        elem_classes="steps",
    )
    with gr.Row(elem_id="colours") as colours:
        swatches = {
            name: gr.Button(say(name), elem_id=f"swatch-{name}", elem_classes="swatch", min_width=32, scale=0)
            for name in SWATCHES
        }
        colour = gr.HTML(
            value=SWATCHES["green"],
            html_template='<input type="color"><input type="text" maxlength="32" spellcheck="false">',
            js_on_load=scripts.script("colour.js", WORDS=_WORDS),
            apply_default_css=False,
            padding=False,
            elem_id="colour",
        )
    with gr.Column(visible=False, elem_id="pictures") as pictures:
        with gr.Row(elem_id="scenes"):
            shipped = {
                name: gr.Button(
                    say(name), elem_id=f"scene-{name}", elem_classes=_scene_classes(False), min_width=64
                )
                for name in stock_backgrounds.NAMES
            }
        picture = gr.UploadButton(say("picture"), file_types=["image"], size="sm", elem_id="picture")
    with gr.Column(visible=False, elem_id="footage") as footage:
        film = gr.UploadButton(say("film"), file_types=["video", *SUFFIXES], size="sm", elem_id="film")
        ending = gr.Radio(
            [(say("repeated"), "repeated"), (say("held"), "held")],
            value="repeated",
            label=say("ending"),
            show_label=False,
            container=False,
            elem_id="ending",
            elem_classes="steps",
        )
    fit = gr.Radio(
        [(say(f"fit_{fit}"), fit) for fit in FITS],
        value=FITS[0],
        label=say("fit"),
        show_label=False,
        container=False,
        visible=False,
        elem_id="fit",
        elem_classes="steps",
    )
    radius = gr.Slider(
        4,
        100,
        BLUR_RADIUS,
        step=1,
        label=say("radius"),
        container=False,
        visible=False,
        elem_id="radius",
        buttons=[],
    )
    return Section(
        kind, colours, colour, pictures, picture, footage, film, ending, fit, radius, **swatches, **shipped
    )


def show(section: Section, found: Session) -> Updates:
    behind = found.job.background
    kind = found.awaited_background or next(kind for kind, one in KINDS.items() if isinstance(behind, one))
    updates: Updates = {section.kind: kind, **_open(section, kind)}
    for name in stock_backgrounds.NAMES:
        updates[getattr(section, name)] = gr.Button(
            elem_classes=_scene_classes(found.stock_background == name)
        )
    match behind:
        case Colour():
            updates[section.colour] = format_spec(behind)
        case Picture(_, fit):
            updates[section.fit] = gr.Radio(value=fit, visible=kind in _LAID)
        case Footage(_, fit, held):
            updates[section.fit] = gr.Radio(value=fit, visible=kind in _LAID)
            updates[section.ending] = "held" if held else "repeated"
        case Blur(radius):
            updates[section.radius] = gr.Slider(value=radius, visible=kind == "blur")
    return updates


def _scene_classes(chosen: bool) -> list[str]:
    return ["scene", "chosen"] if chosen else ["scene"]


def _open(section: Section, kind: str) -> Updates:
    """The controls that belong to one kind of background."""
    return {
        section.colours: gr.Row(visible=kind == "colour"),
        section.pictures: gr.Column(visible=kind == "picture"),
        section.footage: gr.Column(visible=kind == "video"),
        section.fit: gr.Radio(visible=kind in _LAID),
        section.radius: gr.Slider(visible=kind == "blur"),
    }


def wire(page: Page) -> None:
    section = page.background

    @with_error_toasts
    def choose(id: str, kind: Kind, colour: str, radius: float, request: gr.Request) -> Updates:
        if kind in ("picture", "video"):
            return page.show(page.mine(request).choices.await_background(id, kind), language_of(request))
        short = {"colour": colour, "blur": f"blur:{radius:g}", "transparent": "transparent"}
        return page.show(page.mine(request).choices.choose_background(id, short[kind]), language_of(request))

    @with_error_toasts
    def take(id: str, file: str | None, fit: Fit, request: gr.Request) -> Updates:
        if file is None:  # the upload was cancelled
            return no_change()
        with take_upload(file) as path:
            return page.show(
                page.mine(request).choices.choose_picture(id, path, path.name, fit), language_of(request)
            )

    @with_error_toasts
    def roll(id: str, file: str | None, fit: Fit, ending: str, request: gr.Request) -> Updates:
        if file is None:
            return no_change()
        with take_upload(file) as path:
            held = ending == "held"
            found = page.mine(request).choices.choose_video(id, path, path.name, fit, held=held)
            return page.show(found, language_of(request))

    @with_error_toasts
    def place(id: str, fit: Fit, ending: str, request: gr.Request) -> Updates:
        found = page.mine(request).choices.fit_background(id, fit, held=ending == "held")
        return page.show(found, language_of(request))

    inputs = [page.current, section.kind, section.colour, section.radius]
    for event, newest in (
        (section.kind.input, None),
        (section.colour.input, _NEWEST),
        (section.radius.release, None),
    ):
        event(choose, inputs, page.shown, show_progress="hidden", trigger_mode="always_last", js=newest)
    for name, colour in SWATCHES.items():

        @with_error_toasts
        def paint(id: str, request: gr.Request, colour: str = colour) -> Updates:
            return page.show(page.mine(request).choices.choose_background(id, colour), language_of(request))

        getattr(section, name).click(paint, page.current, page.shown, show_progress="hidden")
    for name in stock_backgrounds.NAMES:

        @with_error_toasts
        def hang(id: str, fit: Fit, request: gr.Request, name: str = name) -> Updates:
            return page.show(
                page.mine(request).choices.choose_stock_background(id, name, fit), language_of(request)
            )

        getattr(section, name).click(hang, [page.current, section.fit], page.shown, show_progress="hidden")
    pictured = [page.current, section.picture, section.fit]
    filmed = [page.current, section.film, section.fit, section.ending]
    for taken in (
        section.picture.upload(take, pictured, page.shown, **UPLOAD_OPTIONS),
        section.film.upload(roll, filmed, page.shown, **UPLOAD_OPTIONS),
    ):
        taken.then(None, None, None, js=UPLOAD_HANDLED_JS)
    for laid in (section.fit, section.ending):
        inputs = [page.current, section.fit, section.ending]
        laid.input(place, inputs, page.shown, show_progress="hidden")
