"""Every session again: cards, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from pipeline import formats, models
from pipeline.background import Blur, Colour, Footage, Transparent, spec
from ui import media, text
from ui.events import Say, Updates, language, told
from ui.opened import Opened, Unreadable

if TYPE_CHECKING:
    from ui.page import Page

_ASSETS = Path(__file__).resolve().parents[2] / "assets"


@dataclass(frozen=True)
class Section:
    search: gr.Textbox
    cards: gr.HTML


def render(say: Say) -> Section:
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
            value=[],
            html_template='<div class="cards" data-part="cards"></div>',
            js_on_load=(_ASSETS / "cards.js").read_text(encoding="utf-8"),
            apply_default_css=False,
            padding=False,
            elem_id="cards",
            words=text.CARDS,
        ),
    )


def card(found: Opened | Unreadable, language: str = "en") -> dict[str, Any]:
    """What a card shows, as plain data; the browser sets it as text."""
    shown = _chosen(found) if isinstance(found, Opened) else {"model": "", "background": "", "poster": None}
    row = found.row
    newest = {kept.format: kept for kept in reversed(row.results)}.values()
    return shown | {
        "id": found.id,
        "name": row.name,
        "starred": row.starred,
        "when": row.created_at.isoformat(),
        "state": row.state.value,
        "progress": row.progress,
        "error": row.error if isinstance(found, Opened) else found.sentence,
        "took": text.length(row.results[0].seconds, language) if row.results else None,
        "results": [
            {
                "url": f"{media.address(found.id)}/results/{kept.id}?download",
                "format": formats.by_key(kept.format).label,
            }
            for kept in newest
        ],
    }


def _chosen(found: Opened) -> dict[str, Any]:
    behind = found.job.background
    match behind:
        case Colour():
            shown = spec(behind)
        case Blur():
            shown = "blur"
        case Footage():
            shown = "video"
        case Transparent():
            shown = "transparent"
        case _:
            shown = "picture"
    return {
        "poster": f"{media.address(found.id)}/poster?at={found.row.updated_at.timestamp():.0f}",
        "model": models.cards()[found.job.model].label
        if found.job.model in models.cards()
        else found.job.model,
        "background": shown,
    }


def wire(page: Page) -> None:
    section = page.sessions

    def listed(search: str, request: gr.Request) -> Updates:
        found, tongue = page.mine(request).sessions(search), language(request)
        return {section.cards: [card(one, tongue) for one in found]}

    @told
    def refresh(search: str, request: gr.Request) -> Updates:
        return listed(search, request)

    @told
    def reopen(request: gr.Request, event: gr.EventData) -> Updates:
        shown = page.show(page.mine(request).open(str(event.id)), language(request))
        return {page.tabs: gr.Tabs(selected="cut"), **shown}

    @told
    def star(search: str, request: gr.Request, event: gr.EventData) -> Updates:
        page.mine(request).star(str(event.id), event.starred is True)
        return listed(search, request)

    @told
    def delete(current: str, search: str, request: gr.Request, event: gr.EventData) -> Updates:
        id = str(event.id)
        page.mine(request).delete(id)
        cleared = page.nothing() if current == id else {}
        return {**cleared, **listed(search, request)}

    outputs = [section.cards, page.tabs, *page.shown]
    section.search.change(
        refresh, section.search, [section.cards], show_progress="hidden", trigger_mode="always_last"
    )
    section.cards.select(reopen, None, outputs, show_progress="hidden")
    section.cards.like(star, section.search, [section.cards], show_progress="hidden")
    section.cards.delete(delete, [page.current, section.search], outputs, show_progress="hidden")
    page.sessions_tab.select(refresh, section.search, [section.cards], show_progress="hidden")
