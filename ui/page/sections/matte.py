"""A matte of another tool in place of a model: its file, and how it is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import gradio as gr

from pipeline.models import matte_in
from ui import text
from ui.page import markup
from ui.page.context import Context, EditorSection
from ui.page.file_types import VIDEO_FILE_TYPES
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


@dataclass(frozen=True)
class MatteSection(EditorSection):
    whole: gr.Column
    file: gr.UploadButton
    about: gr.HTML
    invert: gr.Checkbox
    unpremultiply: gr.Checkbox

    @classmethod
    def render(cls) -> Self:
        with gr.Column(visible=False, elem_id="matte-in") as whole:
            return cls(
                whole=whole,
                file=gr.UploadButton(
                    localized("matte_in"),
                    file_types=[*VIDEO_FILE_TYPES, ".zip"],
                    size="sm",
                    elem_id="matte-in-file",
                ),
                about=gr.HTML(elem_id="matte-in-about", padding=False),
                invert=gr.Checkbox(
                    False, label=localized("matte_in_invert"), container=False, elem_id="matte-in-invert"
                ),
                unpremultiply=gr.Checkbox(
                    False,
                    label=localized("matte_in_unpremultiply"),
                    container=False,
                    elem_id="matte-in-unpremultiply",
                ),
            )

    def show(self, session: Session, service: SessionService, language: str) -> Updates:
        borrowed = session.job.matte_in
        about = "" if borrowed else markup.hint(text.translate(language, "matte_in_none"))
        return {
            self.whole: gr.Column(visible=session.job.model == matte_in.KEY),
            self.file: gr.UploadButton(
                text.translate(language, "matte_in_another" if borrowed else "matte_in")
            ),
            self.about: about,
            self.invert: gr.Checkbox(bool(borrowed and borrowed.invert), visible=borrowed is not None),
            self.unpremultiply: gr.Checkbox(
                bool(borrowed and borrowed.unpremultiply), visible=borrowed is not None
            ),
        }

    def wire(self, context: Context) -> None:
        @with_error_toasts
        def take(id: str, file: str | None, request: gr.Request) -> Updates:
            if file is None:  # the upload was cancelled
                return no_change()
            with take_upload(file) as path:
                session = context.service_for(request).choices.choose_matte(id, path, path.name)
                return context.show(session, language_of(request))

        @with_error_toasts
        def read(id: str, invert: bool, unpremultiply: bool, request: gr.Request) -> Updates:
            session = context.service_for(request).choices.read_matte(id, invert, unpremultiply)
            return context.show(session, language_of(request))

        current, shown = context.current, context.shown
        taken = self.file.upload(take, [current, self.file], shown, **UPLOAD_OPTIONS)
        taken.then(None, None, None, js=UPLOAD_HANDLED_JS)
        inputs = [current, self.invert, self.unpremultiply]
        for flag in (self.invert, self.unpremultiply):
            flag.input(read, inputs, shown, show_progress="hidden", trigger_mode="always_last")
