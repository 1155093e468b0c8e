"""What stands behind the subject."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import gradio as gr

from pipeline.background import (
    BLUR_RADIUS,
    FITS,
    Background,
    Blur,
    Colour,
    Fit,
    Footage,
    Picture,
    Transparent,
    spec,
)
from pipeline.errors import BackgroundError
from pipeline.job import GREEN
from ui import scenes
from ui.events import Say, Updates, language, told, uploaded
from ui.opened import Opened
from ui.sections.video import SUFFIXES

if TYPE_CHECKING:
    from ui.page import Page

Kind = Literal["colour", "picture", "video", "blur", "transparent"]
KINDS: dict[Kind, type[Background]] = {
    "colour": Colour,
    "picture": Picture,
    "video": Footage,
    "blur": Blur,
    "transparent": Transparent,
}
_LAID = ("picture", "video")
SWATCHES = {"green": spec(GREEN), "blue": "#0047bb", "white": "#ffffff", "black": "#000000"}


@dataclass(frozen=True)
class Section:
    kind: gr.Radio
    colours: gr.Row
    colour: gr.ColorPicker
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


def render(say: Say) -> Section:
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
        colour = gr.ColorPicker(
            SWATCHES["green"],
            label=say("colour"),
            show_label=False,
            container=False,
            elem_id="colour",
            min_width=48,
            scale=0,
        )
    with gr.Column(visible=False, elem_id="pictures") as pictures:
        with gr.Row(elem_id="scenes"):
            shipped = {
                name: gr.Button(
                    say(name), elem_id=f"scene-{name}", elem_classes=_scene_classes(False), min_width=64
                )
                for name in scenes.NAMES
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


def show(section: Section, found: Opened) -> Updates:
    behind = found.job.background
    kind = found.awaited or next(kind for kind, one in KINDS.items() if isinstance(behind, one))
    updates: Updates = {section.kind: kind, **_open(section, kind)}
    for name in scenes.NAMES:
        updates[getattr(section, name)] = gr.Button(elem_classes=_scene_classes(found.scene == name))
    match behind:
        case Colour():
            updates[section.colour] = spec(behind)
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


def hexadecimal(colour: str) -> str:
    """`#rrggbb` from what the colour picker gives, which may also be "rgba(r, g, b, a)"."""
    if numbers := re.match(r"rgba?\(\s*([\d.]+)[,\s]+([\d.]+)[,\s]+([\d.]+)", colour):
        return "#" + "".join(f"{min(255, round(float(n))):02x}" for n in numbers.groups())
    if re.fullmatch(r"#[0-9a-fA-F]{6}", colour):
        return colour.lower()
    raise BackgroundError(f"{colour!r} is no colour. Choose one with the picker.")


def wire(page: Page) -> None:
    section = page.background

    @told
    def choose(id: str, kind: Kind, colour: str, radius: float, request: gr.Request) -> Updates:
        if kind in ("picture", "video"):
            return page.show(page.mine(request).await_background(id, kind), language(request))
        short = {"colour": hexadecimal(colour), "blur": f"blur:{radius:g}", "transparent": "transparent"}
        return page.show(page.mine(request).choose_background(id, short[kind]), language(request))

    @told
    def take(id: str, file: str, fit: Fit, request: gr.Request) -> Updates:
        with uploaded(file) as path:
            return page.show(page.mine(request).choose_picture(id, path, path.name, fit), language(request))

    @told
    def roll(id: str, file: str, fit: Fit, ending: str, request: gr.Request) -> Updates:
        with uploaded(file) as path:
            held = ending == "held"
            found = page.mine(request).choose_footage(id, path, path.name, fit, held=held)
            return page.show(found, language(request))

    @told
    def place(id: str, fit: Fit, ending: str, request: gr.Request) -> Updates:
        found = page.mine(request).fit_background(id, fit, held=ending == "held")
        return page.show(found, language(request))

    inputs = [page.current, section.kind, section.colour, section.radius]
    for event in (section.kind.input, section.colour.input, section.radius.release):
        event(choose, inputs, page.shown, show_progress="hidden", trigger_mode="always_last")
    for name, colour in SWATCHES.items():

        @told
        def paint(id: str, request: gr.Request, colour: str = colour) -> Updates:
            return page.show(page.mine(request).choose_background(id, colour), language(request))

        getattr(section, name).click(paint, page.current, page.shown, show_progress="hidden")
    for name in scenes.NAMES:

        @told
        def hang(id: str, fit: Fit, request: gr.Request, name: str = name) -> Updates:
            return page.show(page.mine(request).choose_scene(id, name, fit), language(request))

        getattr(section, name).click(hang, [page.current, section.fit], page.shown, show_progress="hidden")
    section.picture.upload(take, [page.current, section.picture, section.fit], page.shown)
    section.film.upload(roll, [page.current, section.film, section.fit, section.ending], page.shown)
    for laid in (section.fit, section.ending):
        inputs = [page.current, section.fit, section.ending]
        laid.input(place, inputs, page.shown, show_progress="hidden")
