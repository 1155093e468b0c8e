"""Masks of other tools for single frames: their files, and how they are read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Self

import gradio as gr

from pipeline import models
from pipeline.errors import PromptError
from ui import text
from ui.page import markup
from ui.page.context import Context, EditorSection
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
from ui.sessions.service import SessionService
from ui.sessions.session import Session

_MARKED_JS = "(id, file) => [id, file, JSON.stringify(window.recorte.marked())]"
"""Sends the frame that is shown on the stage, and the object that is marked, with a file."""


@dataclass(frozen=True)
class MaskSection(EditorSection):
    whole: gr.Column
    file: gr.UploadButton
    about: gr.HTML
    invert: gr.Checkbox
    place: gr.Textbox
    """Place that a mask belongs to, as JSON that the browser writes."""

    @classmethod
    def render(cls) -> Self:
        with gr.Column(visible=False, elem_id="mask-in") as whole:
            return cls(
                whole=whole,
                file=gr.UploadButton(
                    localized("mask_in"), file_types=[".png", ".exr"], size="sm", elem_id="mask-in-file"
                ),
                about=gr.HTML(elem_id="mask-in-about", padding=False),
                invert=gr.Checkbox(
                    False, label=localized("matte_in_invert"), container=False, elem_id="mask-in-invert"
                ),
                place=gr.Textbox(visible=False),
            )

    def show(self, session: Session, service: SessionService, language: str) -> Updates:
        masks = [prompt.mask for prompt in session.job.prompts if prompt.mask is not None]
        about = text.translate(language, "mask_in_count", count=len(masks)) if masks else ""
        return {
            self.whole: gr.Column(visible=models.card(session.job.model).box),
            self.about: markup.hint(about) if about else "",
            self.invert: gr.Checkbox(any(mask.invert for mask in masks), visible=bool(masks)),
        }

    def wire(self, context: Context) -> None:
        @with_error_toasts
        def take(id: str, file: str | None, place: str, request: gr.Request) -> Updates:
            if file is None:  # the upload was cancelled
                return no_change()
            with take_upload(file) as path:
                time, number = _read_place(place)
                service = context.service_for(request)
                inverted = any(p.mask and p.mask.invert for p in service.open(id).job.prompts)
                session = service.choices.add_mask(id, path, path.name, time, number, inverted)
                return context.show(session, language_of(request))

        @with_error_toasts
        def invert(id: str, inverted: bool, request: gr.Request) -> Updates:
            session = context.service_for(request).choices.invert_masks(id, inverted)
            return context.show(session, language_of(request))

        current, shown = context.current, context.shown
        inputs = [current, self.file, self.place]
        taken = self.file.upload(take, inputs, shown, js=_MARKED_JS, **UPLOAD_OPTIONS)
        taken.then(None, None, None, js=UPLOAD_HANDLED_JS)
        self.invert.input(
            invert, [current, self.invert], shown, show_progress="hidden", trigger_mode="always_last"
        )


def _read_place(place: str) -> tuple[float, int]:
    """Return the time in seconds and the object's number. Raises PromptError for anything else."""
    try:
        data = json.loads(place)
        return float(data["time"]), int(data["object"])
    except (LookupError, TypeError, ValueError) as error:
        raise PromptError("marks.malformed", form='{"time": 0.0, "object": 1}', data=place[:120]) from error
