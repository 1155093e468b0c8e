"""Classes of things that the model of that name finds."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Self

import gradio as gr

from pipeline import models
from pipeline.models import classes
from ui import text
from ui.page.context import Context, EditorSection
from ui.page.handlers import Updates, language_of, with_error_toasts
from ui.page.i18n import localized
from ui.sessions.service import SessionService
from ui.sessions.session import Session


@dataclass(frozen=True)
class ClassesSection(EditorSection):
    chosen: gr.Dropdown
    legend: gr.HTML
    """Colours of the classes in the map that the stage shows."""

    @classmethod
    def render(cls) -> Self:
        return cls(
            chosen=gr.Dropdown(
                [(localized(f"class_{name}"), name) for name in classes.NAMES],
                multiselect=True,
                label=localized("classes"),
                visible=False,
                interactive=True,
                elem_id="classes",
            ),
            legend=gr.HTML(elem_id="class-legend", padding=False, visible=False),
        )

    def show(self, session: Session, service: SessionService, language: str) -> Updates:
        card = models.card(session.job.model)
        known = card.classes
        if not known:
            return {self.chosen: gr.Dropdown(visible=False), self.legend: gr.HTML(visible=False)}
        labels = [(text.translate(language, f"class_{name}"), name) for name in known]
        chosen = list(session.job.classes)
        return {
            self.chosen: gr.Dropdown(labels, value=chosen, multiselect=True, visible=True),
            self.legend: gr.HTML(_legend(labels, language), visible=card.present),
        }

    def wire(self, context: Context) -> None:
        @with_error_toasts
        def choose(id: str, classes: list[str], request: gr.Request) -> Updates:
            session = context.service_for(request).choices.choose_classes(id, classes)
            return context.show(session, language_of(request))

        inputs = [context.current, self.chosen]
        self.chosen.input(choose, inputs, context.shown, show_progress="hidden", trigger_mode="always_last")


def _legend(labels: list[tuple[str, str]], language: str) -> str:
    """Return the colours of the classes in the stage's map, as HTML; `labels` are names and keys."""
    colours = dict(zip(classes.ALL, classes.COLOURS, strict=True))
    entries = "".join(
        f'<li><span style="background: {colours[key]}"></span>{html.escape(label)}</li>'
        for label, key in labels
    )
    title = html.escape(text.translate(language, "class_map_legend"))
    return f"<details><summary>{title}</summary><ul>{entries}</ul></details>"
