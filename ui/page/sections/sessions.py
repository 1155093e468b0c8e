"""Every session again: cards, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from db.models import SessionRow
from pipeline import formats, models
from pipeline.compositing.background import Blur, Colour, Footage, Transparent, format_spec
from ui import error_text, text
from ui.addresses import media_address
from ui.page import scripts
from ui.page.handlers import Translate, Updates, language_of, with_error_toasts
from ui.sessions.deletion import UNDO_SECONDS
from ui.sessions.session import Session, Unreadable

if TYPE_CHECKING:
    from ui.page.context import Page

_HTML = """
<div class="undo" data-part="undo" role="status" hidden><span></span> <button type="button"></button></div>
<div class="cards" data-part="cards"></div>
<p class="quiet" data-part="none" hidden></p>
"""


@dataclass(frozen=True)
class Section:
    search: gr.Textbox
    cards: gr.HTML
    timer: gr.Timer
    """Ticks while one of the sessions that are seen is queued or running."""


def render(say: Translate) -> Section:
    return Section(
        search=gr.Textbox(
            label=say("search"),
            placeholder=say("search"),
            show_label=False,
            container=False,
            elem_id="search",
            max_lines=1,
        ),
        cards=gr.HTML(
            value={"cards": [], "search": "", "gone": None},
            html_template=_HTML,
            js_on_load=scripts.script("cards.js"),
            apply_default_css=False,
            padding=False,
            elem_id="cards",
            words=text.CARDS,
        ),
        timer=gr.Timer(1.0, active=False),
    )


def card(found: Session | Unreadable, language: str) -> dict[str, Any]:
    """What a card shows, as plain data; the browser sets it as text."""
    shown = _chosen(found) if isinstance(found, Session) else {"model": "", "background": "", "poster": None}
    row = found.row
    error = row.error if isinstance(found, Session) else found.message
    newest = {kept.format: kept for kept in reversed(row.results)}.values()
    return shown | {
        "id": found.id,
        "name": row.name,
        "starred": row.starred,
        "when": row.created_at.isoformat(),
        "state": row.state.value,
        "progress": row.progress,
        "error": error and error_text.translate(language, error),
        "took": text.format_duration(row.results[0].seconds, language) if row.results else None,
        "results": [
            {
                "url": f"{media_address(found.id)}/results/{kept.id}?download",
                "format": formats.by_key(kept.format).label,
            }
            for kept in newest
        ],
    }


def _chosen(found: Session) -> dict[str, Any]:
    behind = found.job.background
    match behind:
        case Colour():
            shown = format_spec(behind)
        case Blur():
            shown = "blur"
        case Footage():
            shown = "video"
        case Transparent():
            shown = "transparent"
        case _:
            shown = "picture"
    return {
        # Changes with the picture, and not with every frame of a run.
        "poster": f"{media_address(found.id)}/poster?at={found.fingerprint}",
        "model": models.cards()[found.job.model].label
        if found.job.model in models.cards()
        else found.job.model,
        "background": shown,
    }


def wire(page: Page) -> None:
    section = page.sessions

    def listed(search: str, request: gr.Request, gone: SessionRow | None = None) -> Updates:
        """`gone` was deleted just now, and may be brought back."""
        found, tongue = page.mine(request).list_sessions(search), language_of(request)
        undo = None if gone is None else {"id": str(gone.id), "name": gone.name, "seconds": UNDO_SECONDS}
        cards = [card(one, tongue) for one in found]
        return {
            section.cards: {"cards": cards, "search": search, "gone": undo},
            section.timer: gr.Timer(active=any(one.running for one in found)),
        }

    @with_error_toasts
    def refresh(search: str, request: gr.Request) -> Updates:
        return listed(search, request)

    @with_error_toasts
    def reopen(request: gr.Request, event: gr.EventData) -> Updates:
        shown = page.show(page.mine(request).open(str(event.id)), language_of(request))
        return {page.tabs: gr.Tabs(selected="cut"), section.timer: gr.Timer(active=False), **shown}

    @with_error_toasts
    def star(search: str, request: gr.Request, event: gr.EventData) -> Updates:
        page.mine(request).star(str(event.id), event.starred is True)
        return listed(search, request)

    @with_error_toasts
    def rename(current: str, search: str, request: gr.Request, event: gr.EventData) -> Updates:
        found = page.mine(request).rename(str(event.id), str(event.name))
        shown = page.show(found, language_of(request)) if current == found.id else {}
        return {**shown, **listed(search, request)}

    @with_error_toasts
    def delete(current: str, search: str, request: gr.Request, event: gr.EventData) -> Updates:
        gone = page.mine(request).delete_later(str(event.id))
        cleared = page.nothing() if current == str(gone.id) else {}
        return {**cleared, **listed(search, request, gone)}

    def rest() -> Updates:
        return {section.timer: gr.Timer(active=False)}

    @with_error_toasts
    def undo(search: str, request: gr.Request, event: gr.EventData) -> Updates:
        page.mine(request).undelete(str(event.id))
        return listed(search, request)

    shown = [section.cards, section.timer]
    outputs = [*shown, page.tabs, *page.shown]
    section.search.change(refresh, section.search, shown, show_progress="hidden", trigger_mode="always_last")
    section.cards.select(reopen, None, outputs, show_progress="hidden")
    section.cards.like(star, section.search, shown, show_progress="hidden")
    section.cards.edit(rename, [page.current, section.search], outputs, show_progress="hidden")
    section.cards.delete(delete, [page.current, section.search], outputs, show_progress="hidden")
    section.cards.undo(undo, section.search, shown, show_progress="hidden")
    section.timer.tick(refresh, section.search, shown, show_progress="hidden", queue=False)
    page.sessions_tab.select(refresh, section.search, shown, show_progress="hidden")
    page.cut_tab.select(rest, None, [section.timer], show_progress="hidden")
