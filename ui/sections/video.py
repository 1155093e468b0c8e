"""The video: where it is dropped, and what it is."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from ui import text
from ui.actions import Opened
from ui.events import Say, Updates, language, told

if TYPE_CHECKING:
    from ui.page import Page

# Beside what the browser knows to be video: kinds that it has no name for.
_SUFFIXES = [".mkv", ".mov", ".avi", ".mxf", ".mts", ".m2ts", ".ts", ".flv", ".wmv", ".3gp", ".gif", ".ogv"]


@dataclass(frozen=True)
class Section:
    drop: gr.File
    sample: gr.Button
    facts: gr.HTML
    another: gr.Button


def render_drop(say: Say) -> tuple[gr.File, gr.Button]:
    """The empty stage's place: drop a video, or take the sample."""
    drop = gr.File(
        label=say("drop"),
        file_types=["video", *_SUFFIXES],
        file_count="single",
        type="filepath",
        elem_id="drop",
        height=280,
    )
    sample = gr.Button(say("sample"), elem_id="sample")
    return drop, sample


def render_facts(say: Say) -> tuple[gr.HTML, gr.Button]:
    facts = gr.HTML(elem_id="facts")
    another = gr.Button(say("another"), size="sm", elem_id="another")
    return facts, another


def show(section: Section, found: Opened, language: str) -> Updates:
    clip = found.clip
    sound = text.say(language, "with_sound" if clip.sound else "without_sound")
    rate = f"{float(clip.rate):.2f}".rstrip("0").rstrip(".")
    facts = text.say(
        language,
        "facts",
        width=clip.width,
        height=clip.height,
        length=text.length(clip.duration),
        rate=rate,
        sound=sound,
    )
    name = html.escape(found.row.name)
    return {
        section.drop: gr.File(value=None, visible=False),
        section.sample: gr.Button(visible=False),
        section.facts: f'<p class="name" title="{name}">{name}</p><p class="quiet">{html.escape(facts)}</p>',
    }


def wire(page: Page) -> None:
    section, actions = page.video, page.actions

    @told
    def upload(file: str, request: gr.Request) -> Updates:
        path = Path(file)
        return page.show(actions.open(actions.create(path, path.name)), language(request))

    @told
    def sample(request: gr.Request) -> Updates:
        return page.show(actions.open(actions.create_sample()), language(request))

    section.drop.upload(upload, section.drop, page.shown, show_progress="full", show_progress_on=section.drop)
    section.sample.click(sample, None, page.shown, show_progress_on=section.sample)
    section.another.click(page.nothing, None, page.shown, show_progress="hidden")
