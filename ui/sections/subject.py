"""The subject: which model finds it."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

import gradio as gr

from pipeline import models
from ui import text
from ui.events import Say, Updates, language, told
from ui.opened import Opened

if TYPE_CHECKING:
    from ui.page import Page


@dataclass(frozen=True)
class Section:
    model: gr.Dropdown
    about: gr.HTML


def render(say: Say) -> Section:
    cards = models.cards().values()
    return Section(
        model=gr.Dropdown(
            [(card.label, card.key) for card in cards],
            label=say("model"),
            show_label=False,
            container=False,
            filterable=False,
            elem_id="model",
            interactive=True,
        ),
        about=gr.HTML(elem_id="about-model", padding=False),
    )


def show(section: Section, found: Opened, language: str) -> Updates:
    card = models.card(found.job.model)
    licence = (
        f'{text.say(language, "licence")}: <a href="{html.escape(card.licence_url)}" target="_blank" '
        f'rel="noreferrer">{html.escape(card.licence)}</a>'
    )
    purpose = text.purpose(language, card.key, card.purpose)
    about = f'<p class="quiet">{html.escape(purpose)} {licence}</p>'
    if not found.job.prompts and (card.points or card.box):
        about += f'<p class="hint">{html.escape(text.say(language, "click_better"))}</p>'
    return {section.model: card.key, section.about: about}


def wire(page: Page) -> None:
    @told
    def choose(id: str, key: str, request: gr.Request) -> Updates:
        return page.show(page.actions.choose_model(id, key), language(request))

    page.subject.model.input(choose, [page.current, page.subject.model], page.shown, show_progress="hidden")
