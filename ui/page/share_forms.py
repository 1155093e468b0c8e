"""Forms beside a result that make links to it and revoke them, as HTML: they need no script."""

from __future__ import annotations

import html
from collections.abc import Sequence

from db.models import ShareLink
from pipeline import formats
from ui import text
from ui.addresses import SHARE_PREFIX
from ui.sessions.session import Session
from ui.sessions.sharing.share_links import DEFAULT_LIFETIME, LIFETIMES


def share_forms(session: Session, links: Sequence[ShareLink], language: str) -> str:
    """Return the forms of a session's newest results by format, and the links there are."""

    def say(key: str, **fields: object) -> str:
        return html.escape(text.translate(language, key, **fields))

    newest = {result.format: result for result in reversed(session.row.results)}
    names = {
        str(result.id): text.translate_format_name(
            language, result.format, formats.by_key(result.format).label
        )
        for result in session.row.results
    }
    forms = []
    for result in newest.values():
        choices = "".join(
            f'<option value="{days}"{" selected" if days == DEFAULT_LIFETIME else ""}>'
            f"{say('share_day') if days == 1 else say('share_days', days=days)}</option>"
            for days in LIFETIMES
        )
        name = html.escape(names[str(result.id)])
        forms.append(
            f'<form method="post" action="{SHARE_PREFIX}/{session.id}/{result.id}">'
            f"<span>{name}</span>"
            f'<select name="days" aria-label="{say("share_for")}: {name}">{choices}</select>'
            f'<button aria-label="{say("share_make")}: {name}">{say("share_make")}</button></form>'
        )
    for link in links:
        line = say(
            "share_until",
            format=names.get(str(link.result_id), ""),
            time=text.format_moment(link.expires_at),
        )
        forms.append(
            f'<form method="post" action="{SHARE_PREFIX}/{session.id}/{link.id}/revoke">'
            f'<span>{line}</span><button aria-label="{say("share_revoke")}: {line}">{say("share_revoke")}'
            "</button></form>"
        )
    count = f" · {len(links)}" if links else ""
    opened = " open" if links else ""
    return f"<details{opened}><summary>{say('share')}{count}</summary>{''.join(forms)}</details>"
