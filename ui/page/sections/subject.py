"""The subject: the model that finds it, its licence and its weights."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Self

import gradio as gr

from pipeline import models
from pipeline.models import Card
from ui import text
from ui.page import markup
from ui.page.context import Context, EditorSection
from ui.page.handlers import Updates, language_of, with_error_toasts
from ui.page.i18n import localized
from ui.page.weights_download import WeightsDownload
from ui.sessions.downloads import Downloads
from ui.sessions.service import SessionService
from ui.sessions.session import Session


@dataclass(frozen=True)
class SubjectSection(EditorSection):
    model: gr.Dropdown
    about: gr.HTML
    acknowledge: gr.Checkbox
    weights: WeightsDownload

    @classmethod
    def render(cls) -> Self:
        return cls(
            model=gr.Dropdown(
                [(card.label, card.key) for card in models.cards().values()],
                label=localized("model"),
                show_label=False,
                container=False,
                filterable=False,
                elem_id="model",
                interactive=True,
            ),
            about=gr.HTML(elem_id="about-model", padding=False),
            acknowledge=gr.Checkbox(
                False, label=localized("acknowledge"), container=False, visible=False, elem_id="acknowledge"
            ),
            weights=WeightsDownload.render(
                download="download-weights", fetching="fetching", stop="stop-download"
            ),
        )

    def show(self, session: Session, service: SessionService, language: str) -> Updates:
        card = models.card(session.job.model)
        labels = [(_label(card, language), card.key) for card in models.cards().values()]
        return {
            self.model: gr.Dropdown(labels, value=card.key),
            self.about: _about(card, session, language),
            **self.show_weights(session, service.downloads, language),
        }

    def show_weights(self, session: Session, downloads: Downloads, language: str) -> Updates:
        """Show what is still to be done before the session's model can be used, and a download's progress."""
        card = models.card(session.job.model)
        bound = not session.accepts(card)
        return {
            self.acknowledge: gr.Checkbox(value=False, visible=bound),
            **self.weights.show(card.key, downloads, language, missing=not card.present, offered=not bound),
        }

    def wire(self, context: Context) -> None:
        @with_error_toasts
        def choose(id: str, key: str, request: gr.Request) -> Updates:
            return context.show(
                context.service_for(request).choices.choose_model(id, key), language_of(request)
            )

        @with_error_toasts
        def acknowledge(id: str, agreed: bool, request: gr.Request) -> Updates:
            service = context.service_for(request)
            session = service.open(id)
            if agreed:
                service.acknowledge(session.job.model)
            return context.show(session, language_of(request))

        def needed(session: Session) -> str:
            session.check_licence()
            return session.job.model

        current, shown = context.current, context.shown
        self.model.input(choose, [current, self.model], shown, show_progress="hidden")
        self.acknowledge.input(acknowledge, [current, self.acknowledge], shown, show_progress="hidden")
        self.weights.wire(context, needed)


def _label(card: Card, language: str) -> str:
    """Return the model's name, with the size of its weights if they have yet to be downloaded."""
    if card.weights is None or card.present:
        return card.label
    return f"{card.label} ↓ {text.format_size(card.weights.bytes, language)}"


def _about(card: Card, session: Session, language: str) -> str:
    """Describe a model: purpose, licence, restriction, and what to do next."""
    purpose = html.escape(text.translate_purpose(language, card.key, card.purpose))
    licence = (
        f'{text.translate(language, "licence")}: <a href="{html.escape(card.licence_url)}" target="_blank" '
        f'rel="noreferrer">{html.escape(card.licence)}</a>'
    )
    about = f'<p class="quiet">{purpose} {licence}</p>'
    if card.restriction:
        about += markup.notice(text.translate_restriction(language, card.key, card.restriction))
    # Strokes only correct what the model finds by itself.
    if not any(prompt.points or prompt.initialises_anew for prompt in session.job.active_prompts):
        about += "".join(markup.hint(sentence) for sentence in _hints(card, session, language))
    return about


def _hints(card: Card, session: Session, language: str) -> list[str]:
    """Return why this model is the one in use, if nobody chose it, and what a mark would do."""
    hints = []
    default, _why = models.choose_default(accepts=session.accepts)
    if default == card.key == models.AUTOMATIC:
        hints.append(text.translate(language, "chosen_best"))
    elif default == card.key:
        best = models.card(models.AUTOMATIC).label
        hints.append(text.translate(language, "chosen_spare", best=best))
    if card.points or card.box:
        hints.append(text.translate(language, "click_better" if card.automatic else "click_first"))
    return hints
