"""Text of the page that the browser shows in its own language (Gradio's I18n)."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui import text

_GROUPS = ("lead", "video", "subject", "background", "result")

# Our keys have a prefix: Gradio has a "video" of its own, for one. Two texts of Gradio's are replaced.
_KEY = "recorte_{}"
_HEADING = _KEY.format("heading_{}")
_REPLACED = {"upload_text.drop_file": "drop", "upload_text.click_to_upload": "browse"}

I18N = gr.I18n(
    **{
        code: {_KEY.format(key): value for key, value in table.items()}
        | {gradio_key: table[key] for gradio_key, key in _REPLACED.items()}
        | {_HEADING.format(group): f"## {table[group]}" for group in _GROUPS}
        for code, table in text.PAGE.items()
    }
)


def localized(key: str) -> Any:
    """Return the placeholder of a text of the page."""
    return I18N(_KEY.format(key))


def localized_heading(group: str) -> Any:
    """Return the placeholder of a group's heading, in Markdown."""
    return I18N(_HEADING.format(group))
