"""The list of sessions: cards, the newest change first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import gradio as gr

from db.models import SessionRow
from pipeline import formats, models
from pipeline.compositing.background import Background, Blur, Colour, Footage, Transparent, format_spec
from pipeline.job import Progress
from ui import error_text, text
from ui.addresses import media_address
from ui.page import scripts
from ui.page.context import Context, Section
from ui.page.handlers import Updates, language_of, with_error_toasts
from ui.page.i18n import localized
from ui.sessions.deletion import UNDO_SECONDS
from ui.sessions.service import SessionService
from ui.sessions.session import Session, Unreadable

_HTML = """
<h2 class="unseen" data-part="heading"></h2>
<div class="undo" data-part="undo" role="status" hidden><span></span> <button type="button"></button></div>
<div class="cards" data-part="cards"></div>
<p class="quiet" data-part="none" hidden></p>
"""


_RUNNING_SECONDS = 1.0
_RESTING_SECONDS = 4.0
"""Time between two looks at the list while none of its sessions runs: another window may start one."""


@dataclass(frozen=True)
class SessionsSection(Section):
    search: gr.Textbox
    cards: gr.HTML
    timer: gr.Timer
    """Active while the list is open; its interval is shorter while a listed session is queued or running."""

    @classmethod
    def render(cls) -> Self:
        return cls(
            search=gr.Textbox(
                label=localized("search"),
                placeholder=localized("search"),
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
            timer=gr.Timer(_RESTING_SECONDS, active=False),
        )

    def show(
        self, service: SessionService, search: str, language: str, deleted: SessionRow | None = None
    ) -> Updates:
        """Show the user's sessions whose names contain `search`; `deleted` can be brought back."""
        sessions = service.list_sessions(search)
        undo = None
        if deleted is not None:
            undo = {"id": str(deleted.id), "name": deleted.name, "seconds": UNDO_SECONDS}
        cards = [card(session, language) for session in sessions]
        running = any(session.running for session in sessions)
        return {
            self.cards: {"cards": cards, "search": search, "gone": undo},
            self.timer: gr.Timer(_RUNNING_SECONDS if running else _RESTING_SECONDS, active=True),
        }

    def wire(self, context: Context) -> None:
        def listed(search: str, request: gr.Request, deleted: SessionRow | None = None) -> Updates:
            return self.show(context.service_for(request), search, language_of(request), deleted)

        @with_error_toasts
        def refresh(search: str, request: gr.Request) -> Updates:
            return listed(search, request)

        @with_error_toasts
        def reopen(request: gr.Request, event: gr.EventData) -> Updates:
            session = context.service_for(request).open(str(event.id))
            return {
                context.tabs: gr.Tabs(selected="cut"),
                self.timer: gr.Timer(active=False),
                **context.show(session, language_of(request)),
            }

        @with_error_toasts
        def star(search: str, request: gr.Request, event: gr.EventData) -> Updates:
            context.service_for(request).star(str(event.id), event.starred is True)
            return listed(search, request)

        @with_error_toasts
        def rename(current: str, search: str, request: gr.Request, event: gr.EventData) -> Updates:
            session = context.service_for(request).rename(str(event.id), str(event.name))
            shown = context.show(session, language_of(request)) if current == session.id else {}
            return {**shown, **listed(search, request)}

        @with_error_toasts
        def delete(current: str, search: str, request: gr.Request, event: gr.EventData) -> Updates:
            deleted = context.service_for(request).delete_later(str(event.id))
            cleared = context.clear() if current == str(deleted.id) else {}
            return {**cleared, **listed(search, request, deleted)}

        @with_error_toasts
        def undo(search: str, request: gr.Request, event: gr.EventData) -> Updates:
            context.service_for(request).undelete(str(event.id))
            return listed(search, request)

        def rest() -> Updates:
            return {self.timer: gr.Timer(active=False)}

        own, search, hidden = [self.cards, self.timer], self.search, "hidden"
        current = [context.current, search]
        search.change(refresh, search, own, show_progress=hidden, trigger_mode="always_last")
        self.cards.select(reopen, None, [self.timer, context.tabs, *context.shown], show_progress=hidden)
        self.cards.like(star, search, own, show_progress=hidden)
        self.cards.edit(rename, current, [*own, *context.shown], show_progress=hidden)
        self.cards.delete(delete, current, [*own, *context.cleared], show_progress=hidden)
        self.cards.undo(undo, search, own, show_progress=hidden)
        self.timer.tick(refresh, search, own, show_progress=hidden, queue=False)
        context.sessions_tab.select(refresh, search, own, show_progress=hidden)
        context.cut_tab.select(rest, None, [self.timer], show_progress=hidden)


def card(session: Session | Unreadable, language: str) -> dict[str, Any]:
    """Return what a session's card shows, as plain data, which the browser puts in as text."""
    row = session.row
    if isinstance(session, Session):
        error = error_text.translate_error(language, row) or None
        choices, progress = _choices(session), session.progress
    else:
        error = session.error.message.render(language)
        choices, progress = {"model": "", "background": "", "poster": None}, None
    newest = {result.format: result for result in reversed(row.results)}.values()
    return choices | {
        "id": session.id,
        "name": row.name,
        "starred": row.starred,
        "when": row.changed_at.isoformat(),
        "state": row.state.value,
        "progress": _progress(progress, language) if progress is not None and progress.total else None,
        "error": error,
        "took": text.format_duration(row.results[0].seconds, language) if row.results else None,
        "results": [
            {
                "url": f"{media_address(session.id)}/results/{result.id}?download",
                "format": formats.by_key(result.format).label,
            }
            for result in newest
        ],
    }


def _choices(session: Session) -> dict[str, Any]:
    """Return the part of a card that takes a readable job."""
    model = session.job.model
    return {
        # Changes with the picture, and not with every frame of a run.
        "poster": f"{media_address(session.id)}/poster?at={session.fingerprint}",
        "model": models.cards()[model].label if model in models.cards() else model,
        "background": _background_key(session.job.background),
    }


def _progress(progress: Progress, language: str) -> dict[str, Any]:
    """Return how far a run is: its frames, and the time left where that is known."""
    left = None if progress.left is None else text.format_duration(progress.left, language)
    return {"done": progress.done, "total": progress.total, "left": left}


def _background_key(background: Background) -> str:
    """Return a colour as it is specified, and the kind of any other background."""
    match background:
        case Colour():
            return format_spec(background)
        case Blur():
            return "blur"
        case Footage():
            return "video"
        case Transparent():
            return "transparent"
        case _:
            return "picture"
