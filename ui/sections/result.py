"""The result: its format, the run, and what can be downloaded."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

import gradio as gr

from db.errors import DatabaseAway, NotFound
from db.models import State
from pipeline import formats, models
from ui import media, text
from ui.actions import Actions
from ui.events import Say, Updates, language, told
from ui.opened import Opened
from ui.sections import subject

if TYPE_CHECKING:
    from ui.page import Page


@dataclass(frozen=True)
class Section:
    format: gr.Dropdown
    sound: gr.Checkbox
    make: gr.Button
    progress: gr.HTML
    cancel: gr.Button
    downloads: gr.HTML


def render(say: Say) -> Section:
    return Section(
        format=gr.Dropdown(
            [(form.label, form.key) for form in formats.FORMATS.values()],
            label=say("format"),
            show_label=False,
            container=False,
            filterable=False,
            elem_id="format",
            interactive=True,
        ),
        sound=gr.Checkbox(True, label=say("sound"), container=False, elem_id="sound"),
        make=gr.Button(say("make"), variant="primary", elem_id="make"),
        progress=gr.HTML(elem_id="progress", padding=False, visible=False),
        cancel=gr.Button(say("cancel"), visible=False, elem_id="cancel"),
        downloads=gr.HTML(elem_id="downloads", padding=False),
    )


def show(section: Section, actions: Actions, found: Opened, language: str) -> Updates:
    return {
        section.format: found.job.format,
        section.sound: gr.Checkbox(value=found.job.sound != "none", visible=bool(found.clip.sound)),
        section.downloads: downloads(found, language),
        **show_run(section, actions, found, language),
    }


def show_run(section: Section, actions: Actions, found: Opened, language: str) -> Updates:
    """How the session's run stands."""
    status = _status(actions, found, language)
    return {
        section.make: gr.Button(visible=not found.running),
        section.cancel: gr.Button(visible=found.running),
        section.progress: gr.HTML(status, visible=bool(status)),
    }


def _status(actions: Actions, found: Opened, language: str) -> str:
    row = found.row
    if row.state is State.QUEUED and (place := actions.place(found.id)):
        return _said(text.say(language, "queued", place=place))
    if found.running:
        progress = actions.progress(found.id)
        if progress is None:
            return _said(text.say(language, "starting"))
        parts = [
            text.say(language, progress.stage, done=progress.done, total=progress.total),
            text.say(language, "rate", rate=f"{progress.rate:.1f}"),
        ]
        if progress.left is not None:
            parts.append(text.say(language, "left", left=text.length(progress.left)))
        bar = f'<progress max="{progress.total}" value="{progress.done}"></progress>'
        return bar + _said(" · ".join(parts))
    if row.state is State.DONE and row.results:
        return _said(text.say(language, "done", seconds=text.length(row.results[0].seconds)))
    if row.state is State.CANCELLED:
        return _said(text.say(language, "cancelled"))
    return _failed(row.error) if row.error else ""


def _failed(sentence: str) -> str:
    return f'<p class="failure" role="alert">{html.escape(sentence)}</p>'


def _said(sentence: str) -> str:
    return f'<p class="quiet" role="status">{html.escape(sentence)}</p>'


def downloads(found: Opened, language: str) -> str:
    """A link for the newest result of each format, and a word where it is not by the present choices."""
    links = []
    for result in {kept.format: kept for kept in reversed(found.row.results)}.values():
        label = text.say(
            language,
            "download",
            format=formats.by_key(result.format).label,
            size=text.size(result.bytes),
        )
        links.append(
            f'<a class="download" href="{media.address(found.id)}/results/{result.id}?download" download>'
            f"{html.escape(label)}</a>"
        )
    stale = _said(text.say(language, "outdated")) if found.outdated and not found.running else ""
    return stale + "".join(links)


def wire(page: Page) -> None:
    section, actions = page.result, page.actions

    @told
    def choose(id: str, key: str, request: gr.Request) -> Updates:
        return page.show(actions.choose_format(id, key), language(request))

    @told
    def hear(id: str, sound: bool) -> None:
        actions.choose_sound(id, sound)

    @told
    def make(id: str, request: gr.Request) -> Updates:
        actions.run(id)
        return page.show(actions.open(id), language(request))

    @told
    def cancel(id: str) -> None:
        actions.cancel(id)

    @told
    def tick(id: str, request: gr.Request) -> Updates:
        try:
            found = actions.open(id)
        except DatabaseAway as error:  # said once, in its place, until it is back
            return {section.progress: gr.HTML(_failed(str(error)), visible=True)}
        except NotFound:  # deleted meanwhile, from another window
            return page.nothing()
        fetching = subject.waiting(actions.downloads, found)
        if found.running or fetching:
            ready = subject.show_ready(
                page.subject, actions.downloads, models.card(found.job.model), language(request)
            )
            return show_run(section, actions, found, language(request)) | ready
        return page.show(found, language(request))

    section.format.input(choose, [page.current, section.format], page.shown, show_progress="hidden")
    section.sound.input(hear, [page.current, section.sound], None, show_progress="hidden")
    section.make.click(make, page.current, page.shown, show_progress="hidden")
    # Not by Gradio's queue: it closes its stream of answers when none is due, and an event that is just then
    # on its way waits for the next one. A tick would wait for ever, for it is not sent again meanwhile.
    section.cancel.click(cancel, page.current, None, show_progress="hidden", queue=False)
    page.timer.tick(tick, page.current, page.shown, show_progress="hidden", queue=False)
