"""The video: where it is dropped, and what it is."""

from __future__ import annotations

import html
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from pipeline.compositing.background import Fit
from ui import text
from ui.page.handlers import (
    UPLOAD_HANDLED_JS,
    UPLOAD_OPTIONS,
    Translate,
    Updates,
    language_of,
    no_change,
    take_upload,
    with_error_toasts,
)
from ui.sessions.session import Session

if TYPE_CHECKING:
    from ui.page.context import Page

# Beside what the browser knows to be video: kinds that it has no name for.
SUFFIXES = [
    *(".mkv", ".mov", ".avi", ".mxf", ".mts", ".m2ts", ".ts", ".flv", ".wmv", ".3gp", ".ogv"),
    *(".gif", ".webp", ".apng"),
]


_MOVING = (".gif", ".apng")
"""Kinds of picture that are taken for videos where either may be meant."""


@dataclass(frozen=True)
class Section:
    drop: gr.File
    dropped: gr.File
    """Takes what is dropped or pasted anywhere else on the page."""
    sample: gr.Button
    name: gr.Textbox
    facts: gr.HTML
    another: gr.Button


def render_drop(say: Translate) -> tuple[gr.File, gr.File, gr.Button]:
    """The empty stage's place: drop a video, or take the sample."""
    drop = gr.File(
        label=say("drop"),
        show_label=False,
        file_types=["video", *SUFFIXES],
        file_count="single",
        type="filepath",
        elem_id="drop",
    )
    dropped = gr.File(file_count="single", type="filepath", visible="hidden", elem_id="dropped")
    sample = gr.Button(say("sample"), elem_id="sample")
    return drop, dropped, sample


def render_facts(say: Translate) -> tuple[gr.Textbox, gr.HTML, gr.Button]:
    name = gr.Textbox(label=say("name"), show_label=False, container=False, max_lines=1, elem_id="name")
    facts = gr.HTML(elem_id="facts", padding=False)
    another = gr.Button(say("another"), size="sm", elem_id="another")
    return name, facts, another


def show(section: Section, found: Session, language: str) -> Updates:
    clip = found.clip
    sound = text.translate(language, "with_sound" if clip.sound else "without_sound")
    rate = text.format_number(float(clip.rate), language, 2).rstrip("0").rstrip(".,")
    facts = text.translate(
        language,
        "facts",
        width=clip.width,
        height=clip.height,
        length=text.format_duration(clip.duration, language),
        rate=rate,
        sound=sound,
    )
    remarks = [text.translate(language, f"remark_{remark}", count=clip.mended) for remark in clip.remarks]
    return {
        section.drop: gr.File(value=None, visible=False),
        section.dropped: None,
        section.sample: gr.Button(visible=False),
        section.name: found.row.name,
        section.facts: "".join(f'<p class="quiet">{html.escape(said)}</p>' for said in (facts, *remarks)),
    }


def _is_picture(path: Path) -> bool:
    """Return True if a file is named as a picture that stands still."""
    kind, _encoding = mimetypes.guess_type(path.name)
    return kind is not None and kind.startswith("image/") and path.suffix.lower() not in _MOVING


def wire(page: Page) -> None:
    section = page.video

    @with_error_toasts
    def upload(file: str | None, request: gr.Request) -> Updates:
        if file is None:  # it was cancelled
            return no_change()
        with take_upload(file) as path:
            mine = page.mine(request)
            return page.show(mine.open(mine.create(path, path.name)), language_of(request))

    @with_error_toasts
    def drop(id: str, fit: Fit, file: str | None, request: gr.Request) -> Updates:
        """A picture is laid behind the session's subject, anything else is a video to be cut out."""
        if file is None:
            return no_change()
        with take_upload(file) as path:
            mine = page.mine(request)
            if id and _is_picture(path):
                found = mine.choices.choose_picture(id, path, path.name, fit)
            else:
                found = mine.open(mine.create(path, path.name))
            return {page.tabs: gr.Tabs(selected="cut"), **page.show(found, language_of(request))}

    @with_error_toasts
    def sample(request: gr.Request) -> Updates:
        mine = page.mine(request)
        return page.show(mine.open(mine.create_sample()), language_of(request))

    @with_error_toasts
    def rename(id: str, name: str, request: gr.Request) -> str:
        return page.mine(request).rename(id, name).row.name

    sent = section.drop.upload(upload, section.drop, page.shown, **UPLOAD_OPTIONS)
    sent.failure(None, None, section.drop, js="() => null")  # ready for another one
    sent.then(None, None, None, js=UPLOAD_HANDLED_JS)
    dropped = section.dropped.upload(
        drop,
        [page.current, page.background.fit, section.dropped],
        [page.tabs, *page.shown],
        **UPLOAD_OPTIONS,
    )
    dropped.failure(None, None, section.dropped, js="() => null")
    dropped.then(None, None, None, js=UPLOAD_HANDLED_JS)
    section.sample.click(None, None, None, js="() => window.recorte.reading('sample.mp4')")
    section.sample.click(sample, None, page.shown, show_progress="hidden").then(
        None, None, None, js=UPLOAD_HANDLED_JS
    )
    section.another.click(page.nothing, None, page.shown, show_progress="hidden")
    section.name.submit(None, None, None, js="() => document.activeElement.blur()")
    section.name.blur(rename, [page.current, section.name], section.name, show_progress="hidden")
