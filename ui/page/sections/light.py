"""Light between the subject and its background: a shadow, light around the edges, and colours that match."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Self, get_args

import gradio as gr

from pipeline.compositing.light import NONE, Light, MatchTo, Shadow
from ui.page.context import Context, EditorSection
from ui.page.handlers import Updates, language_of, with_error_toasts
from ui.page.i18n import localized
from ui.sessions.service import SessionService
from ui.sessions.session import Session

_LONGEST, _MOST_KEPT = 2, 1.5
"""Ends of the sliders: a useful length and strength, below what the pipeline accepts."""


@dataclass(frozen=True)
class LightSection(EditorSection):
    keep: gr.Slider
    drawn: gr.Checkbox
    angle: gr.Slider
    length: gr.Slider
    softness: gr.Slider
    strength: gr.Slider
    wrap: gr.Slider
    match: gr.Slider
    match_to: gr.Radio

    @classmethod
    def render(cls) -> Self:
        usual = Shadow()

        def slider(name: str, most: float, value: float, step: float, *, visible: bool) -> gr.Slider:
            label = localized(name.replace("-", "_"))
            return gr.Slider(
                0, most, value, step=step, label=label, buttons=[], elem_id=name, visible=visible
            )

        return cls(
            keep=slider("keep", _MOST_KEPT, 0, 0.05, visible=True),
            drawn=gr.Checkbox(False, label=localized("shadow"), container=False, elem_id="shadow"),
            angle=slider("shadow-angle", 180, usual.angle, 5, visible=False),
            length=slider("shadow-length", _LONGEST, usual.length, 0.05, visible=False),
            softness=slider("shadow-softness", 1, usual.softness, 0.05, visible=False),
            strength=slider("shadow-strength", 1, usual.strength, 0.05, visible=False),
            wrap=slider("wrap", 1, 0, 0.05, visible=True),
            match=slider("match", 1, 0, 0.05, visible=True),
            match_to=gr.Radio(
                [(localized(f"match_to_{name}"), name) for name in get_args(MatchTo)],
                value=NONE.match_to,
                label=localized("match_to"),
                elem_id="match-to",
                visible=False,
            ),
        )

    def show(self, session: Session, service: SessionService, language: str) -> Updates:
        light = session.job.light
        drawn = light.shadow is not None
        sliders = self.angle, self.length, self.softness, self.strength
        values = astuple(light.shadow or Shadow())
        return {
            self.keep: light.keep,
            self.drawn: drawn,
            self.wrap: light.wrap,
            self.match: light.match,
            self.match_to: gr.Radio(value=light.match_to, visible=light.match > 0),
            **{s: gr.Slider(value=value, visible=drawn) for s, value in zip(sliders, values, strict=True)},
        }

    def wire(self, context: Context) -> None:
        @with_error_toasts
        def choose(
            id: str,
            keep: float,
            drawn: bool,
            angle: float,
            length: float,
            softness: float,
            strength: float,
            wrap: float,
            match: float,
            match_to: MatchTo,
            request: gr.Request,
        ) -> Updates:
            shadow = Shadow(angle, length, softness, strength) if drawn else None
            light = Light(shadow, wrap, keep, match, match_to)
            session = context.service_for(request).choices.choose_light(id, light)
            return context.show(session, language_of(request))

        sliders = self.angle, self.length, self.softness, self.strength, self.wrap, self.match, self.keep
        inputs = [context.current, *self.components]
        for event in (self.drawn.input, self.match_to.input, *(slider.release for slider in sliders)):
            event(choose, inputs, context.shown, show_progress="hidden", trigger_mode="always_last")
