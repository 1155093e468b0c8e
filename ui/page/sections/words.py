"""Words: the weights of the network that finds things by them; the field for words is on the stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import gradio as gr

from pipeline.models import helpers, word_networks
from ui import text
from ui.page import markup
from ui.page.context import Context, EditorSection
from ui.page.handlers import Updates, language_of, with_error_toasts
from ui.page.weights_download import WeightsDownload, is_going
from ui.sessions.downloads import Downloads
from ui.sessions.service import SessionService
from ui.sessions.session import Session

_HELPER = helpers.GROUNDING_DINO


@dataclass(frozen=True)
class WordsSection(EditorSection):
    missing: gr.HTML
    weights: WeightsDownload

    @classmethod
    def render(cls) -> Self:
        return cls(
            missing=gr.HTML(elem_id="words-missing", padding=False, visible=False),
            weights=WeightsDownload.render(
                download="download-words", fetching="fetching-words", stop="stop-words"
            ),
        )

    def show(self, session: Session, service: SessionService, language: str) -> Updates:
        return self.show_weights(service.downloads, language)

    def show_weights(self, downloads: Downloads, language: str) -> Updates:
        """Show the progress of a download; an offer of one stays until it begins, or the weights are here."""
        failed = (download := downloads.state(_HELPER.key)) is not None and bool(download.error)
        updates = self._show(downloads, language, offered=failed and not _HELPER.present)
        if not (failed or _HELPER.present or is_going(_HELPER.key, downloads, missing=True)):
            del updates[self.missing], updates[self.weights.download]
        return updates

    def _show(self, downloads: Downloads, language: str, *, offered: bool) -> Updates:
        hint = markup.hint(text.translate(language, "words_missing", label=_HELPER.label))
        missing = not _HELPER.present
        return {
            self.missing: gr.HTML(hint, visible=offered),
            **self.weights.show(_HELPER.key, downloads, language, missing=missing, offered=offered),
        }

    def wire(self, context: Context) -> None:
        @with_error_toasts
        def ask(id: str, request: gr.Request) -> Updates:
            """Offer the download where words were asked for without the weights."""
            service, language = context.service_for(request), language_of(request)
            needed = not word_networks.list_ready(service.open(id).accepts)
            going = is_going(_HELPER.key, service.downloads, missing=not _HELPER.present)
            return self._show(service.downloads, language, offered=needed and not going)

        context.stage.submit(ask, context.current, self.components, show_progress="hidden")
        self.weights.wire(context, lambda session: _HELPER.key)
