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
from ui.page.weights_download import WeightsDownload, is_going
from ui.sessions.downloads import Downloads
from ui.sessions.service import SessionService
from ui.sessions.session import Session

_HELPER = helpers.VITMATTE


@dataclass(frozen=True)
class FineEdgesSection(EditorSection):
    hair: gr.Checkbox
    missing: gr.HTML
    weights: WeightsDownload

    @classmethod
    def render(cls) -> Self:
        return cls(
            hair=gr.Checkbox(False, label=localized("hair"), container=False, elem_id="hair"),
            missing=gr.HTML(elem_id="hair-missing", padding=False, visible=False),
            weights=WeightsDownload.render(
                download="download-hair", fetching="fetching-hair", stop="stop-hair"
            ),
        )

    def show(self, session: Session, service: SessionService, language: str) -> Updates:
        return {self.hair: session.job.hair, **self.show_weights(session, service.downloads, language)}

    def show_weights(self, session: Session, downloads: Downloads, language: str) -> Updates:
        """Offer the download where the weights are needed and absent, and show its progress."""
        missing = session.job.hair and not _HELPER.present
        going = is_going(_HELPER.key, downloads, missing=missing)
        hint = markup.hint(text.translate(language, "hair_missing", label=_HELPER.label))
        return {
            self.missing: gr.HTML(hint, visible=missing and not going),
            **self.weights.show(_HELPER.key, downloads, language, missing=missing, offered=True),
        }

    def wire(self, context: Context) -> None:
        @with_error_toasts
        def choose(id: str, hair: bool, request: gr.Request) -> Updates:
            session = context.service_for(request).choices.choose_hair(id, hair)
            return context.show(session, language_of(request))

        self.hair.input(choose, [context.current, self.hair], context.shown, show_progress="hidden")
        self.weights.wire(context, lambda session: _HELPER.key)
