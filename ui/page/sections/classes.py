"""Classes of things that the model of that name finds."""

from __future__ import annotations

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
            )
        )

    def show(self, session: Session, service: SessionService, language: str) -> Updates:
        known = models.card(session.job.model).classes
        if not known:
            return {self.chosen: gr.Dropdown(visible=False)}
        labels = [(text.translate(language, f"class_{name}"), name) for name in known]
        chosen = list(session.job.classes)
        return {self.chosen: gr.Dropdown(labels, value=chosen, multiselect=True, visible=True)}

    def wire(self, context: Context) -> None:
        @with_error_toasts
        def choose(id: str, classes: list[str], request: gr.Request) -> Updates:
            session = context.service_for(request).choices.choose_classes(id, classes)
            return context.show(session, language_of(request))

        inputs = [context.current, self.chosen]
        self.chosen.input(choose, inputs, context.shown, show_progress="hidden", trigger_mode="always_last")
