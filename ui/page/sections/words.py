"""Words: the weights of the network that finds things by them; the field for words is on the stage."""

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


@dataclass(frozen=True)
class WordsSection(EditorSection):
    missing: gr.HTML
    download: gr.Button
    fetching: gr.HTML
    stop: gr.Button

    @classmethod
    def render(cls) -> Self:
        return cls(
            missing=gr.HTML(elem_id="words-missing", padding=False, visible=False),
            download=gr.Button(localized("fetch"), visible=False, size="md", elem_id="download-words"),
            fetching=gr.HTML(elem_id="fetching-words", padding=False, visible=False),
            stop=gr.Button(localized("cancel"), visible=False, size="sm", elem_id="stop-words"),
        )

    def show(self, session: Session, service: SessionService, language: str) -> Updates:
        return self.show_weights(service.downloads, language)

    def show_weights(self, downloads: Downloads, language: str) -> Updates:
        """Show the progress of a download; an offer of one stays until it begins, or the weights are here."""
        helper = helpers.GROUNDING_DINO
        download = downloads.state(helper.key)
        missing = not helper.present
        going = missing and download is not None and not download.error
        updates: Updates = {
            self.fetching: gr.HTML(
                markup.download_status(download, language), visible=missing and download is not None
            ),
            self.stop: gr.Button(visible=going),
        }
        if going or not missing:
            updates |= {self.missing: gr.HTML(visible=False), self.download: gr.Button(visible=False)}
        elif download is not None:
            updates |= self.offer(language)
        return updates

    def offer(self, language: str) -> Updates:
        """Offer the download of the weights."""
        helper = helpers.GROUNDING_DINO
        size = text.format_size(helper.weights.bytes, language)
        hint = markup.hint(text.translate(language, "words_missing", label=helper.label))
        return {
            self.missing: gr.HTML(hint, visible=True),
            self.download: gr.Button(text.translate(language, "fetch_size", size=size), visible=True),
        }

    def wire(self, context: Context) -> None:
        @with_error_toasts
        def ask(id: str, request: gr.Request) -> Updates:
            """Offer the download where words were asked for without the weights."""
            service, language = context.service_for(request), language_of(request)
            service.open(id)
            shown = self.show_weights(service.downloads, language)
            return shown if self.missing in shown else shown | self.offer(language)

        @with_error_toasts
        def fetch(id: str, request: gr.Request) -> Updates:
            session = context.service_for(request).open(id)
            context.service.downloads.start(helpers.GROUNDING_DINO.key)
            return context.show(session, language_of(request))

        @with_error_toasts
        def stop(id: str, request: gr.Request) -> None:
            context.service_for(request).open(id)
            context.service.downloads.cancel(helpers.GROUNDING_DINO.key)

        current = context.current
        context.stage.submit(ask, current, self.components, show_progress="hidden")
        self.download.click(fetch, current, context.shown, show_progress="hidden")
        self.stop.click(stop, current, None, show_progress="hidden")
