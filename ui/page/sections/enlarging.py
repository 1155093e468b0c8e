"""Enlarging by a network: of a picture's result, and of a small picture behind the subject."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import gradio as gr

from pipeline.compositing import images
from pipeline.compositing.background import Picture
from pipeline.errors import BackgroundError
from pipeline.generation.backgrounds import scale_to_cover
from pipeline.job import SCALES
from pipeline.models import helpers
from pipeline.models.helpers import Helper
from ui import text
from ui.page import markup
from ui.page.context import Components, Context, EditorSection
from ui.page.handlers import Updates, language_of, with_error_toasts
from ui.page.i18n import localized
from ui.page.weights_download import WeightsDownload
from ui.sessions.downloads import Downloads
from ui.sessions.service import SessionService
from ui.sessions.session import Session


@dataclass(frozen=True)
class EnlargingNetwork(Components):
    """The network that enlarges something, its licence, and the download of its weights."""

    about: gr.HTML
    weights: WeightsDownload

    @classmethod
    def render(cls, name: str) -> Self:
        return cls(
            about=gr.HTML(visible=False, padding=False, elem_id=f"enlarging-{name}"),
            weights=WeightsDownload.render(
                download=f"download-enlarging-{name}",
                fetching=f"fetching-enlarging-{name}",
                stop=f"stop-enlarging-{name}",
            ),
        )

    def show(self, scale: int, downloads: Downloads, language: str) -> Updates:
        """Show them for one of `SCALES`; nothing for 1, at which nothing is enlarged."""
        helper = _helper_of(scale)
        missing = scale != 1 and not helper.present
        told = text.translate(
            language,
            "enlarging_missing" if missing else "enlarging",
            label=helper.label,
            licence=helper.licence,
        )
        return {
            self.about: gr.HTML(markup.paragraph(told), visible=scale != 1),
            **self.weights.show(helper.key, downloads, language, missing=missing, offered=True),
        }


@dataclass(frozen=True)
class ResultSizeSection(EditorSection):
    scale: gr.Radio
    network: EnlargingNetwork

    @classmethod
    def render(cls) -> Self:
        scale = gr.Radio(
            [(localized("size_own"), 1), *((f"{scale} ×", scale) for scale in SCALES if scale != 1)],
            value=1,
            label=localized("size"),
            show_label=False,
            container=False,
            visible=False,
            elem_id="size",
            elem_classes="steps",
        )
        return cls(scale, EnlargingNetwork.render("result"))

    def show(self, session: Session, service: SessionService, language: str) -> Updates:
        scale = gr.Radio(value=session.job.upscale, visible=session.clip.is_picture)
        return {self.scale: scale, **self.show_weights(session, service.downloads, language)}

    def show_weights(self, session: Session, downloads: Downloads, language: str) -> Updates:
        """Show the network of the size that is chosen, with the progress of a download."""
        return self.network.show(session.job.upscale, downloads, language)

    def wire(self, context: Context) -> None:
        @with_error_toasts
        def choose(id: str, scale: int, request: gr.Request) -> Updates:
            session = context.service_for(request).choices.change(id, {"upscale": scale})
            return context.show(session, language_of(request))

        self.scale.input(choose, [context.current, self.scale], context.shown, show_progress="hidden")
        self.network.weights.wire(context, lambda session: _helper_of(session.job.upscale).key)


@dataclass(frozen=True)
class BackgroundSizeSection(EditorSection):
    enlarge: gr.Checkbox
    network: EnlargingNetwork

    @classmethod
    def render(cls) -> Self:
        enlarge = gr.Checkbox(
            False, label=localized("enlarge"), container=False, visible=False, elem_id="enlarge"
        )
        return cls(enlarge, EnlargingNetwork.render("background"))

    def show(self, session: Session, service: SessionService, language: str) -> Updates:
        shown = session.awaited_background is None and _lacking_scale(session) != 1
        chosen = shown and _is_enlarged(session)
        return {
            self.enlarge: gr.Checkbox(value=chosen, visible=shown),
            **self.show_weights(session, service.downloads, language),
        }

    def show_weights(self, session: Session, downloads: Downloads, language: str) -> Updates:
        """Show the network where it is used, with the progress of a download."""
        used = session.awaited_background is None and _is_enlarged(session)
        return self.network.show(_lacking_scale(session) if used else 1, downloads, language)

    def wire(self, context: Context) -> None:
        @with_error_toasts
        def choose(id: str, enlarge: bool, request: gr.Request) -> Updates:
            session = context.service_for(request).choices.enlarge_background(id, enlarge)
            return context.show(session, language_of(request))

        self.enlarge.input(choose, [context.current, self.enlarge], context.shown, show_progress="hidden")
        self.network.weights.wire(context, lambda session: _helper_of(_lacking_scale(session)).key)


def _helper_of(scale: int) -> Helper:
    """Return the network of a scale; of 1, which has none, the smallest one's."""
    return helpers.SWIN2SR[max(scale, min(helpers.SWIN2SR))]


def _is_enlarged(session: Session) -> bool:
    behind = session.job.background
    return isinstance(behind, Picture) and behind.enlarge


def _lacking_scale(session: Session) -> int:
    """Return how many times a picture behind the subject lacks to cover the frame, of `SCALES`; else 1."""
    behind = session.job.background
    if not isinstance(behind, Picture):
        return 1
    try:
        return scale_to_cover(images.read_size(behind.path), session.job.result_size(session.clip))
    except BackgroundError:  # the stage tells of it
        return 1
