"""How the edge of the cut is treated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import gradio as gr

from pipeline.compositing.edges import Despill, Edges
from ui.page.handlers import Translate, Updates, language_of, with_error_toasts
from ui.sessions.session import Session

if TYPE_CHECKING:
    from ui.page.context import Page

_MOST_PIXELS = 20
"""The sliders go as far as one reasonably would, not as far as one can."""


@dataclass(frozen=True)
class Section:
    clean: gr.Checkbox
    grow: gr.Slider
    feather: gr.Slider
    despill: gr.Radio


def render(say: Translate) -> Section:
    with gr.Accordion(say("edges"), open=False, elem_id="edges", elem_classes="fold"):
        return Section(
            clean=gr.Checkbox(True, label=say("clean"), container=False, elem_id="clean"),
            grow=gr.Slider(
                -_MOST_PIXELS, _MOST_PIXELS, 0, step=1, label=say("grow"), buttons=[], elem_id="grow"
            ),
            feather=gr.Slider(
                0, _MOST_PIXELS, 0, step=1, label=say("feather"), buttons=[], elem_id="feather"
            ),
            despill=gr.Radio(
                [(say(f"despill_{screen}"), screen) for screen in get_args(Despill)],
                value="none",
                label=say("despill"),
                elem_id="despill",
                elem_classes="steps",
            ),
        )


def show(section: Section, found: Session) -> Updates:
    return {component: getattr(found.job.edges, name) for name, component in vars(section).items()}


def wire(page: Page) -> None:
    section = page.edges

    @with_error_toasts
    def choose(
        id: str, clean: bool, grow: float, feather: float, despill: Despill, request: gr.Request
    ) -> Updates:
        found = page.mine(request).choices.choose_edges(id, Edges(clean, grow, feather, despill))
        return page.show(found, language_of(request))

    inputs = [page.current, section.clean, section.grow, section.feather, section.despill]
    for event in (section.clean.input, section.grow.release, section.feather.release, section.despill.input):
        event(choose, inputs, page.shown, show_progress="hidden", trigger_mode="always_last")
