"""The subject: which model finds it, whether it is ready, and what makes it so."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

import gradio as gr

from pipeline import models
from pipeline.jobs import speeds
from pipeline.models import Card
from ui import error_text, text
from ui.page.handlers import Translate, Updates, language_of, with_error_toasts
from ui.sessions.downloads import Download, Downloads
from ui.sessions.service import SessionService
from ui.sessions.session import Session

if TYPE_CHECKING:
    from ui.page.context import Page


@dataclass(frozen=True)
class Section:
    model: gr.Dropdown
    about: gr.HTML
    acknowledge: gr.Checkbox
    download: gr.Button
    fetching: gr.HTML
    stop: gr.Button


def render(say: Translate) -> Section:
    return Section(
        model=gr.Dropdown(
            [(card.label, card.key) for card in models.cards().values()],
            label=say("model"),
            show_label=False,
            container=False,
            filterable=False,
            elem_id="model",
            interactive=True,
        ),
        about=gr.HTML(elem_id="about-model", padding=False),
        acknowledge=gr.Checkbox(
            False, label=say("acknowledge"), container=False, visible=False, elem_id="acknowledge"
        ),
        download=gr.Button(say("fetch"), visible=False, size="md", elem_id="download-weights"),
        fetching=gr.HTML(elem_id="fetching", padding=False, visible=False),
        stop=gr.Button(say("cancel"), visible=False, size="sm", elem_id="stop-download"),
    )


def waiting(downloads: Downloads, found: Session) -> bool:
    """Whether the weights of the session's model are being fetched."""
    download = downloads.state(found.job.model)
    return download is not None and not download.error


def show(section: Section, actions: SessionService, found: Session, language: str) -> Updates:
    card = models.card(found.job.model)
    return {
        section.model: gr.Dropdown(
            [(_label(card, language), card.key) for card in models.cards().values()], value=card.key
        ),
        section.about: _about(card, found, _expected(actions, found), language),
        **show_ready(section, actions.downloads, found, language),
    }


def show_ready(section: Section, downloads: Downloads, found: Session, language: str) -> Updates:
    """Show what is still to be done before the session's model can be used."""
    card = models.card(found.job.model)
    download = downloads.state(card.key)
    bound, missing = not found.accepts(card), not card.present
    going = download is not None and not download.error
    fetch = text.translate(language, "fetch")
    if card.weights is not None:
        fetch = text.translate(language, "fetch_size", size=text.format_size(card.weights.bytes, language))
    return {
        section.acknowledge: gr.Checkbox(value=False, visible=bound),
        section.download: gr.Button(fetch, visible=missing and not bound and not going),
        section.fetching: gr.HTML(_fetching(download, language), visible=missing and download is not None),
        section.stop: gr.Button(visible=missing and going),
    }


def _fetching(download: Download | None, language: str) -> str:
    if download is None:
        return ""
    if download.error:
        said = html.escape(error_text.translate(language, download.error))
        return f'<p class="failure" role="alert">{said}</p>'
    done, total = (text.format_size(count, language) for count in (download.done, download.total))
    said = text.translate(language, "fetching", done=done, total=total)
    return (
        f'<progress max="{max(1, download.total)}" value="{download.done}"></progress>'
        f'<p class="quiet" role="status">{html.escape(said)}</p>'
    )


def _label(card: Card, language: str) -> str:
    """The model's name, and how much there is to fetch before it can be used."""
    if card.weights is None or card.present:
        return card.label
    return f"{card.label} ↓ {text.format_size(card.weights.bytes, language)}"


def _about(card: Card, found: Session, takes: float | None, language: str) -> str:
    licence = (
        f'{text.translate(language, "licence")}: <a href="{html.escape(card.licence_url)}" target="_blank" '
        f'rel="noreferrer">{html.escape(card.licence)}</a>'
    )
    said = [f"{html.escape(text.translate_purpose(language, card.key, card.purpose))} {licence}"]
    if takes is not None:
        said.append(html.escape(text.translate(language, "takes", time=text.format_estimate(takes))))
    about = "".join(f'<p class="quiet">{line}</p>' for line in said)
    if card.restriction:
        restriction = text.translate_restriction(language, card.key, card.restriction)
        about += f'<p class="notice">{html.escape(restriction)}</p>'
    if not found.job.active_prompts:
        key, _why = models.choose_default(accepts=found.accepts)
        if key == card.key == models.AUTOMATIC:
            about += _hint(text.translate(language, "chosen_best"))
        elif key == card.key:
            best = models.card(models.AUTOMATIC).label
            about += _hint(text.translate(language, "chosen_spare", best=best))
        if card.points or card.box:
            about += _hint(text.translate(language, "click_better" if card.automatic else "click_first"))
    return about


def _expected(actions: SessionService, found: Session) -> float | None:
    """Estimate the seconds that the kept part of this clip may take; None where that is not known.

    With a matte that is kept it takes next to nothing of what was measured.
    """
    if actions.frames.has_matte(found):
        return None
    clip, job = found.clip, found.job
    past = clip.duration if job.end is None else min(job.end, clip.duration)
    kept = (past - job.start) / clip.duration if clip.duration else 1.0
    return speeds.expected_seconds(job.model, (clip.width, clip.height), max(1, round(clip.frames * kept)))


def _hint(sentence: str) -> str:
    return f'<p class="hint">{html.escape(sentence)}</p>'


def wire(page: Page) -> None:
    section, actions = page.subject, page.actions

    @with_error_toasts
    def choose(id: str, key: str, request: gr.Request) -> Updates:
        return page.show(page.mine(request).choices.choose_model(id, key), language_of(request))

    @with_error_toasts
    def acknowledge(id: str, agreed: bool, request: gr.Request) -> Updates:
        found = page.mine(request).open(id)
        if agreed:
            page.mine(request).acknowledge(found.job.model)
        return page.show(found, language_of(request))

    @with_error_toasts
    def fetch(id: str, request: gr.Request) -> Updates:
        found = page.mine(request).open(id)
        found.check_licence()
        actions.downloads.start(found.job.model)
        return page.show(found, language_of(request))

    @with_error_toasts
    def stop(id: str, request: gr.Request) -> None:
        actions.downloads.cancel(page.mine(request).open(id).job.model)

    shown = page.shown
    section.model.input(choose, [page.current, section.model], shown, show_progress="hidden")
    section.acknowledge.input(acknowledge, [page.current, section.acknowledge], shown, show_progress="hidden")
    section.download.click(fetch, page.current, shown, show_progress="hidden")
    section.stop.click(stop, page.current, None, show_progress="hidden")
