"""The background behind the subject."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

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
from ui.page.context import Context, EditorSection
from ui.page.file_types import PICTURE_FILE_TYPES, VIDEO_FILE_TYPES
from ui.page.handlers import (
    UPLOAD_HANDLED_JS,
    UPLOAD_OPTIONS,
    Updates,
    language_of,
    no_change,
    take_upload,
    with_error_toasts,
)
from ui.page.i18n import localized
from ui.sessions.library import stock_backgrounds
from ui.sessions.service import SessionService
from ui.sessions.session import Session

Kind = Literal["colour", "picture", "video", "blur", "transparent"]
"""Kinds of background. A blur by depth is a blur with a switch of its own."""
KINDS: dict[Kind, type[Background]] = {
    "colour": Colour,
    "picture": Picture,
    "video": Footage,
    "blur": Blur,
    "transparent": Transparent,
}
SWATCHES = {"green": format_spec(GREEN), "blue": "#0047bb", "white": "#ffffff", "black": "#000000"}

_FITTED = ("picture", "video")
"""Kinds that are fitted into the frame."""
_COLOUR_TEXT = {
    code: {key: table[key] for key in ("colour", "hex", "no_colour")} for code, table in text.PAGE.items()
}
# A colour chosen while an earlier one is being handled is sent when that one has been answered. By then the
# answer has put the earlier colour into the component's value, so the newest is taken from the element.
_NEWEST_COLOUR_JS = """(id, kind, colour, radius, depth) =>
  [id, kind, document.getElementById("colour").dataset.chosen ?? colour, radius, depth]"""


@dataclass(frozen=True)
class BackgroundSection(EditorSection):
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
    depth: gr.Checkbox
    # One button for each of SWATCHES
    green: gr.Button
    blue: gr.Button
    white: gr.Button
    black: gr.Button
    # and for each of the stock backgrounds.
    studio: gr.Button
    paper: gr.Button
    blush: gr.Button
    concrete: gr.Button
    window: gr.Button
    wood: gr.Button
    curtain: gr.Button
    brick: gr.Button
    garden: gr.Button
    dusk: gr.Button
    city: gr.Button
    lights: gr.Button

    @classmethod
    def render(cls) -> Self:
        kind = gr.Radio(
            [(localized(f"kind_{kind}"), kind) for kind in KINDS],
            value="colour",
            label=localized("kind"),
            show_label=False,
            container=False,
            elem_id="kind",
            elem_classes="steps",
        )
        with gr.Row(elem_id="colours") as colours:
            swatches = {name: _render_swatch(name) for name in SWATCHES}
            colour = _render_colour()
        with gr.Column(visible=False, elem_id="pictures") as pictures:
            with gr.Row(elem_id="scenes"):
                stock = {name: _render_stock(name) for name in stock_backgrounds.NAMES}
            picture = gr.UploadButton(
                localized("picture"), file_types=PICTURE_FILE_TYPES, size="sm", elem_id="picture"
            )
        with gr.Column(visible=False, elem_id="footage") as footage:
            film = gr.UploadButton(localized("film"), file_types=VIDEO_FILE_TYPES, size="sm", elem_id="film")
            ending = gr.Radio(
                [(localized("repeated"), "repeated"), (localized("held"), "held")],
                value="repeated",
                label=localized("ending"),
                show_label=False,
                container=False,
                elem_id="ending",
                elem_classes="steps",
            )
        fit = gr.Radio(
            [(localized(f"fit_{fit}"), fit) for fit in FITS],
            value=FITS[0],
            label=localized("fit"),
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
            label=localized("radius"),
            container=False,
            visible=False,
            elem_id="radius",
            buttons=[],
        )
        depth = gr.Checkbox(False, label=localized("depth"), container=False, visible=False, elem_id="depth")
        return cls(
            kind,
            colours,
            colour,
            pictures,
            picture,
            footage,
            film,
            ending,
            fit,
            radius,
            depth,
            **swatches,
            **stock,
        )

    def show(self, session: Session, service: SessionService, language: str) -> Updates:
        background = session.job.background
        kind = session.awaited_background or next(
            kind for kind, variant in KINDS.items() if isinstance(background, variant)
        )
        updates: Updates = {self.kind: kind, **self._show_controls(kind)}
        for name in stock_backgrounds.NAMES:
            classes = _stock_classes(session.stock_background == name)
            updates[getattr(self, name)] = gr.Button(elem_classes=classes)
        match background:
            case Colour():
                updates[self.colour] = format_spec(background)
            case Picture(_, fit):
                updates[self.fit] = gr.Radio(value=fit, visible=kind in _FITTED)
            case Footage(_, fit, held):
                updates[self.fit] = gr.Radio(value=fit, visible=kind in _FITTED)
                updates[self.ending] = "held" if held else "repeated"
            case Blur(radius, depth):
                updates[self.radius] = gr.Slider(value=radius, visible=kind == "blur")
                updates[self.depth] = gr.Checkbox(value=depth, visible=kind == "blur")
        return updates

    def _show_controls(self, kind: str) -> Updates:
        """Show the controls of one kind of background, and hide those of the others."""
        return {
            self.colours: gr.Row(visible=kind == "colour"),
            self.pictures: gr.Column(visible=kind == "picture"),
            self.footage: gr.Column(visible=kind == "video"),
            self.fit: gr.Radio(visible=kind in _FITTED),
            self.radius: gr.Slider(visible=kind == "blur"),
            self.depth: gr.Checkbox(visible=kind == "blur"),
        }

    def wire(self, context: Context) -> None:
        self._wire_choices(context)
        self._wire_swatches(context)
        self._wire_stock(context)
        self._wire_uploads(context)
        self._wire_fit(context)

    def _wire_choices(self, context: Context) -> None:
        @with_error_toasts
        def choose(
            id: str, kind: Kind, colour: str, radius: float, depth: bool, request: gr.Request
        ) -> Updates:
            service = context.service_for(request)
            if kind in ("picture", "video"):
                return context.show(service.choices.await_background(id, kind), language_of(request))
            blur = f"{'depth-' if depth else ''}blur:{radius:g}"
            specs = {"colour": colour, "blur": blur, "transparent": "transparent"}
            return context.show(service.choices.choose_background(id, specs[kind]), language_of(request))

        inputs = [context.current, self.kind, self.colour, self.radius, self.depth]
        for event, js in (
            (self.kind.input, None),
            (self.colour.input, _NEWEST_COLOUR_JS),
            (self.radius.release, None),
            (self.depth.input, None),
        ):
            event(choose, inputs, context.shown, show_progress="hidden", trigger_mode="always_last", js=js)

    def _wire_swatches(self, context: Context) -> None:
        for name, colour in SWATCHES.items():

            @with_error_toasts
            def paint(id: str, request: gr.Request, colour: str = colour) -> Updates:
                session = context.service_for(request).choices.choose_background(id, colour)
                return context.show(session, language_of(request))

            getattr(self, name).click(paint, context.current, context.shown, show_progress="hidden")

    def _wire_stock(self, context: Context) -> None:
        inputs = [context.current, self.fit]
        for name in stock_backgrounds.NAMES:

            @with_error_toasts
            def hang(id: str, fit: Fit, request: gr.Request, name: str = name) -> Updates:
                session = context.service_for(request).choices.choose_stock_background(id, name, fit)
                return context.show(session, language_of(request))

            getattr(self, name).click(hang, inputs, context.shown, show_progress="hidden")

    def _wire_uploads(self, context: Context) -> None:
        @with_error_toasts
        def take(id: str, file: str | None, fit: Fit, request: gr.Request) -> Updates:
            if file is None:  # the upload was cancelled
                return no_change()
            with take_upload(file) as path:
                session = context.service_for(request).choices.choose_picture(id, path, path.name, fit)
                return context.show(session, language_of(request))

        @with_error_toasts
        def roll(id: str, file: str | None, fit: Fit, ending: str, request: gr.Request) -> Updates:
            if file is None:
                return no_change()
            with take_upload(file) as path:
                service, hold_last = context.service_for(request), ending == "held"
                session = service.choices.choose_video(id, path, path.name, fit, held=hold_last)
                return context.show(session, language_of(request))

        picture = [context.current, self.picture, self.fit]
        video = [context.current, self.film, self.fit, self.ending]
        for uploaded in (
            self.picture.upload(take, picture, context.shown, **UPLOAD_OPTIONS),
            self.film.upload(roll, video, context.shown, **UPLOAD_OPTIONS),
        ):
            uploaded.then(None, None, None, js=UPLOAD_HANDLED_JS)

    def _wire_fit(self, context: Context) -> None:
        @with_error_toasts
        def place(id: str, fit: Fit, ending: str, request: gr.Request) -> Updates:
            session = context.service_for(request).choices.fit_background(id, fit, held=ending == "held")
            return context.show(session, language_of(request))

        inputs = [context.current, self.fit, self.ending]
        for control in (self.fit, self.ending):
            control.input(place, inputs, context.shown, show_progress="hidden")


def _render_swatch(name: str) -> gr.Button:
    return gr.Button(localized(name), elem_id=f"swatch-{name}", elem_classes="swatch", min_width=32, scale=0)


def _render_colour() -> gr.HTML:
    return gr.HTML(
        value=SWATCHES["green"],
        html_template='<input type="color"><input type="text" maxlength="32" spellcheck="false">',
        js_on_load=scripts.script("colour.js", WORDS=_COLOUR_TEXT),
        apply_default_css=False,
        padding=False,
        elem_id="colour",
    )


def _render_stock(name: str) -> gr.Button:
    classes = _stock_classes(False)
    return gr.Button(localized(name), elem_id=f"scene-{name}", elem_classes=classes, min_width=64)


def _stock_classes(chosen: bool) -> list[str]:
    return ["scene", "chosen"] if chosen else ["scene"]
