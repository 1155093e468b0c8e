"""Fine edges: the switch, and the weights of the network that finds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import gradio as gr

from pipeline.models import helpers
from ui import text
from ui.page import markup
from ui.page.context import Context, EditorSection
from ui.page.handlers import Updates, language_of, with_error_toasts
from ui.page.i18n import localized
from ui.sessions.downloads import Downloads
from ui.sessions.service import SessionService
from ui.sessions.session import Session

_HELPER = helpers.VITMATTE


@dataclass(frozen=True)
class FineEdgesSection(EditorSection):
    hair: gr.Checkbox
    missing: gr.HTML
    download: gr.Button
    fetching: gr.HTML
    stop: gr.Button

    @classmethod
    def render(cls) -> Self:
        return cls(
            hair=gr.Checkbox(False, label=localized("hair"), container=False, elem_id="hair"),
            missing=gr.HTML(elem_id="hair-missing", padding=False, visible=False),
            download=gr.Button(localized("fetch"), visible=False, size="md", elem_id="download-hair"),
            fetching=gr.HTML(elem_id="fetching-hair", padding=False, visible=False),
            stop=gr.Button(localized("cancel"), visible=False, size="sm", elem_id="stop-hair"),
        )

    def show(self, session: Session, service: SessionService, language: str) -> Updates:
        return {self.hair: session.job.hair, **self.show_weights(session, service.downloads, language)}

    def show_weights(self, session: Session, downloads: Downloads, language: str) -> Updates:
        """Offer the download where the weights are needed and absent, and show its progress."""
        missing = session.job.hair and not _HELPER.present
        download = downloads.state(_HELPER.key)
        going = download is not None and not download.error
        size = text.format_size(_HELPER.weights.bytes, language)
        hint = markup.hint(text.translate(language, "hair_missing", label=_HELPER.label))
        return {
            self.missing: gr.HTML(hint, visible=missing and not going),
            self.download: gr.Button(
                text.translate(language, "fetch_size", size=size), visible=missing and not going
            ),
            self.fetching: gr.HTML(
                markup.download_status(download, language), visible=missing and download is not None
            ),
            self.stop: gr.Button(visible=missing and going),
        }

    def wire(self, context: Context) -> None:
        @with_error_toasts
        def choose(id: str, hair: bool, request: gr.Request) -> Updates:
            session = context.service_for(request).choices.choose_hair(id, hair)
            return context.show(session, language_of(request))

        @with_error_toasts
        def fetch(id: str, request: gr.Request) -> Updates:
            session = context.service_for(request).open(id)
            context.service.downloads.start(_HELPER.key)
            return context.show(session, language_of(request))

        @with_error_toasts
        def stop(id: str, request: gr.Request) -> None:
            context.service_for(request).open(id)
            context.service.downloads.cancel(_HELPER.key)

        current, shown = context.current, context.shown
        self.hair.input(choose, [current, self.hair], shown, show_progress="hidden")
        self.download.click(fetch, current, shown, show_progress="hidden")
        self.stop.click(stop, current, None, show_progress="hidden")
