"""Edges of the cut: choke, feather and despill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, get_args

import gradio as gr

from pipeline.compositing.edges import Despill, Edges
from ui.page.context import Context, EditorSection
from ui.page.handlers import Updates, language_of, with_error_toasts
from ui.page.i18n import localized
from ui.sessions.service import SessionService
from ui.sessions.session import Session

_MAX_PIXELS = 20
"""Ends of the sliders: useful values, below what the pipeline accepts."""


@dataclass(frozen=True)
class EdgesSection(EditorSection):
    """Controls of the edge; each is named as the field of `Edges` that it sets."""

    clean: gr.Checkbox
    grow: gr.Slider
    feather: gr.Slider
    despill: gr.Radio

    @classmethod
    def render(cls) -> Self:
        return cls(
            clean=gr.Checkbox(True, label=localized("clean"), container=False, elem_id="clean"),
            grow=gr.Slider(
                -_MAX_PIXELS,
                _MAX_PIXELS,
                0,
                step=1,
                label=localized("grow"),
                buttons=[],
                elem_id="grow",
            ),
            feather=gr.Slider(
                0, _MAX_PIXELS, 0, step=1, label=localized("feather"), buttons=[], elem_id="feather"
            ),
            despill=gr.Radio(
                [(localized(f"despill_{screen}"), screen) for screen in get_args(Despill)],
                value="none",
                label=localized("despill"),
                elem_id="despill",
                elem_classes="steps",
            ),
        )

    def show(self, session: Session, service: SessionService, language: str) -> Updates:
        return {component: getattr(session.job.edges, name) for name, component in vars(self).items()}

    def wire(self, context: Context) -> None:
        @with_error_toasts
        def choose(
            id: str, clean: bool, grow: float, feather: float, despill: Despill, request: gr.Request
        ) -> Updates:
            edges = Edges(clean, grow, feather, despill)
            session = context.service_for(request).choices.choose_edges(id, edges)
            return context.show(session, language_of(request))

        inputs = [context.current, *self.components]
        for event in (self.clean.input, self.grow.release, self.feather.release, self.despill.input):
            event(choose, inputs, context.shown, show_progress="hidden", trigger_mode="always_last")
