"""Upload of the video: the area to drop it on, files dropped elsewhere, and the sample clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import gradio as gr

from pipeline.compositing.background import Fit
from ui.page.context import Context, EditorSection
from ui.page.file_types import VIDEO_FILE_TYPES, is_still_picture
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
class UploadSection(EditorSection):
    drop: gr.File
    dropped: gr.File
    """Takes what is dropped or pasted anywhere else on the page."""
    sample: gr.Button

    @classmethod
    def render(cls) -> Self:
        return cls(
            drop=gr.File(
                label=localized("drop"),
                show_label=False,
                file_types=VIDEO_FILE_TYPES,
                file_count="single",
                type="filepath",
                elem_id="drop",
            ),
            dropped=gr.File(file_count="single", type="filepath", visible="hidden", elem_id="dropped"),
            sample=gr.Button(localized("sample"), elem_id="sample"),
        )

    def show(self, session: Session, service: SessionService, language: str) -> Updates:
        return {
            self.drop: gr.File(value=None, visible=False),
            self.dropped: None,
            self.sample: gr.Button(visible=False),
        }

    @property
    def cleared(self) -> list[Any]:
        return [self.drop, self.sample]

    def clear(self) -> Updates:
        # The value of `drop` is not changed: an upload may have been made before the page's load event ends.
        return {self.drop: gr.File(visible=True), self.sample: gr.Button(visible=True)}

    def wire(self, context: Context) -> None:
        @with_error_toasts
        def upload(file: str | None, request: gr.Request) -> Updates:
            if file is None:  # it was cancelled
                return no_change()
            with take_upload(file) as path:
                service = context.service_for(request)
                session = service.open(service.create(path, path.name))
                return context.show(session, language_of(request))

        @with_error_toasts
        def drop(id: str, fit: Fit, file: str | None, request: gr.Request) -> Updates:
            """Take a picture as the session's background, and any other file as a new video."""
            if file is None:
                return no_change()
            with take_upload(file) as path:
                service = context.service_for(request)
                if id and is_still_picture(path):
                    session = service.choices.choose_picture(id, path, path.name, fit)
                else:
                    session = service.open(service.create(path, path.name))
                shown = context.show(session, language_of(request))
                return {context.tabs: gr.Tabs(selected="cut"), **shown}

        @with_error_toasts
        def sample(request: gr.Request) -> Updates:
            service = context.service_for(request)
            return context.show(service.open(service.create_sample()), language_of(request))

        uploaded = self.drop.upload(upload, self.drop, context.shown, **UPLOAD_OPTIONS)
        uploaded.failure(None, None, self.drop, js="() => null")  # ready for another one
        uploaded.then(None, None, None, js=UPLOAD_HANDLED_JS)
        dropped = self.dropped.upload(
            drop,
            [context.current, context.fit, self.dropped],
            [context.tabs, *context.shown],
            **UPLOAD_OPTIONS,
        )
        dropped.failure(None, None, self.dropped, js="() => null")
        dropped.then(None, None, None, js=UPLOAD_HANDLED_JS)
        self.sample.click(None, None, None, js="() => window.recorte.reading('sample.mp4')")
        sampled = self.sample.click(sample, None, context.shown, show_progress="hidden")
        sampled.then(None, None, None, js=UPLOAD_HANDLED_JS)
