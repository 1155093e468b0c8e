"""HTML fragments that several sections show; sentences are escaped."""

from __future__ import annotations

import html

from ui import text
from ui.sessions.downloads import Download
from ui.sessions.session import Session


def paragraph(sentence: str) -> str:
    return f'<p class="quiet">{html.escape(sentence)}</p>'


def hint(sentence: str) -> str:
    return f'<p class="hint">{html.escape(sentence)}</p>'


def notice(sentence: str) -> str:
    return f'<p class="notice">{html.escape(sentence)}</p>'


def status(sentence: str) -> str:
    """Return a sentence that screen readers announce when it changes."""
    return f'<p class="quiet" role="status">{html.escape(sentence)}</p>'


def failure(sentence: str) -> str:
    """Return an error's sentence, which screen readers announce at once."""
    return f'<p class="failure" role="alert">{html.escape(sentence)}</p>'


def progress_bar(done: int, total: int) -> str:
    return f'<progress max="{total}" value="{done}"></progress>'


def frame_size(session: Session) -> str:
    """Return the attributes of an `<img>` that keep a frame's place until it is loaded."""
    return f'width="{session.clip.width}" height="{session.clip.height}"'


def download_status(download: Download | None, language: str) -> str:
    """Return the progress of a download of weights as HTML, or why it failed; empty without one."""
    if download is None:
        return ""
    if download.error:
        return failure(download.error.render(language))
    done, total = (text.format_size(count, language) for count in (download.done, download.total))
    told = status(text.translate(language, "fetching", done=done, total=total))
    return progress_bar(download.done, max(1, download.total)) + told
