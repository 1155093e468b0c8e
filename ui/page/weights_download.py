"""Controls that download a model's or helper's weights: the button, the progress, and the way to stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import gradio as gr

from pipeline.models import helpers
from ui import text
from ui.page import markup
from ui.page.context import Components, Context
from ui.page.handlers import Updates, language_of, with_error_toasts
from ui.page.i18n import localized
from ui.sessions.downloads import Downloads
from ui.sessions.session import Session


@dataclass(frozen=True)
class WeightsDownload(Components):
    download: gr.Button
    fetching: gr.HTML
    stop: gr.Button

    @classmethod
    def render(cls, *, download: str, fetching: str, stop: str) -> Self:
        """Create the components, under these element ids."""
        return cls(
            download=gr.Button(localized("fetch"), visible=False, size="md", elem_id=download),
            fetching=gr.HTML(elem_id=fetching, padding=False, visible=False),
            stop=gr.Button(localized("cancel"), visible=False, size="sm", elem_id=stop),
        )

    def show(self, key: str, downloads: Downloads, language: str, *, missing: bool, offered: bool) -> Updates:
        """Show the progress of a download of weights that are `missing`, and the button where `offered`."""
        download = downloads.state(key) if missing else None
        going = is_going(key, downloads, missing=missing)
        _label, weights = helpers.find_weights(key)
        fetch = text.translate(language, "fetch")
        if weights is not None:
            fetch = text.translate(language, "fetch_size", size=text.format_size(weights.bytes, language))
        return {
            self.download: gr.Button(fetch, visible=missing and offered and not going),
            self.fetching: gr.HTML(markup.download_status(download, language), visible=download is not None),
            self.stop: gr.Button(visible=going),
        }

    def wire(self, context: Context, key_of: Callable[[Session], str]) -> None:
        """Attach the events; `key_of` names what a session needs, and raises where it may not be fetched."""

        @with_error_toasts
        def fetch(id: str, request: gr.Request) -> Updates:
            service = context.service_for(request)
            session = service.open(id)
            service.start_download(key_of(session))
            return context.show(session, language_of(request))

        @with_error_toasts
        def stop(id: str, request: gr.Request) -> None:
            service = context.service_for(request)
            service.cancel_download(key_of(service.open(id)))

        self.download.click(fetch, context.current, context.shown, show_progress="hidden")
        self.stop.click(stop, context.current, None, show_progress="hidden")


def is_going(key: str, downloads: Downloads, *, missing: bool) -> bool:
    """Return True while `missing` weights are being downloaded."""
    download = downloads.state(key)
    return missing and download is not None and not download.error
