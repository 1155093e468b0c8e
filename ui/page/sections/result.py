"""The result: its format, the run, and what can be downloaded."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import quote

import gradio as gr

from db.errors import DatabaseAway, NotFound
from db.models import State
from pipeline import formats, models
from pipeline.formats import QUALITIES
from pipeline.job import Sound
from ui import error_text, text
from ui.addresses import media_address
from ui.page.handlers import Translate, Updates, error_toast, language_of, with_error_toasts
from ui.page.sections import subject
from ui.sessions.frames import FrameClient
from ui.sessions.service import SessionService
from ui.sessions.session import Session

if TYPE_CHECKING:
    from ui.page.context import Page

_MOST_PLACES = 6
"""So many frames are shown beside the word at most; the timeline has them all."""

_RATES = {
    "23.976": "24000/1001",
    "24": "24",
    "25": "25",
    "29.97": "30000/1001",
    "30": "30",
    "50": "50",
    "59.94": "60000/1001",
    "60": "60",
}


@dataclass(frozen=True)
class Section:
    format: gr.Dropdown
    quality: gr.Radio
    sound: gr.Checkbox
    whose: gr.Radio
    """Whose sound, where there is a choice."""
    rate: gr.Dropdown
    hardware: gr.Checkbox
    make: gr.Button
    progress: gr.HTML
    cancel: gr.Button
    downloads: gr.HTML


def render(say: Translate) -> Section:
    form = gr.Dropdown(
        _formats("en"),
        label=say("format"),
        show_label=False,
        container=False,
        filterable=False,
        elem_id="format",
        interactive=True,
    )
    quality = gr.Radio(
        [(say(f"quality_{quality}"), quality) for quality in QUALITIES],
        label=say("quality"),
        show_label=False,
        container=False,
        elem_id="quality",
        elem_classes="steps",
    )
    sound = gr.Checkbox(True, label=say("sound"), container=False, elem_id="sound")
    whose = gr.Radio(
        _voices("en", own=True),
        label=say("whose"),
        container=False,
        visible=False,
        elem_id="whose",
        elem_classes="steps",
    )
    with gr.Accordion(say("advanced"), open=False, elem_id="advanced", elem_classes="fold"):
        rate = gr.Dropdown(
            [(say("rate_own"), ""), *_RATES.items()],
            value="",
            label=say("rate_of"),
            filterable=False,
            elem_id="rate",
            interactive=True,
        )
        hardware = gr.Checkbox(
            False, label=say("hardware"), container=False, visible=False, elem_id="hardware"
        )
    return Section(
        form,
        quality,
        sound,
        whose,
        rate,
        hardware,
        make=gr.Button(say("make"), variant="primary", elem_id="make"),
        progress=gr.HTML(elem_id="progress", padding=False, visible=False),
        cancel=gr.Button(say("cancel"), visible=False, elem_id="cancel"),
        downloads=gr.HTML(elem_id="downloads", padding=False),
    )


def _formats(language: str) -> list[tuple[str, str]]:
    return [(text.translate_format_name(language, f.key, f.label), f.key) for f in formats.FORMATS.values()]


def _voices(language: str, *, own: bool) -> list[tuple[str, str]]:
    """The choices of sound; the video's own where it has any."""
    return [
        (text.translate(language, f"sound_{voice}"), voice)
        for voice in get_args(Sound)
        if voice != "own" or own
    ]


def show(section: Section, actions: SessionService, found: Session, language: str) -> Updates:
    job, form, own = found.job, formats.by_key(found.job.format), bool(found.clip.sound)
    heard, choice = form.sound_codec is not None, actions.frames.has_sound(found.job.background)
    voices = _voices(language, own=own)
    voice = job.sound if own or job.sound != "own" else "none"
    return {
        section.format: gr.Dropdown(_formats(language), value=form.key),
        section.quality: gr.Radio(value=job.quality, visible=bool(form.qualities)),
        section.sound: gr.Checkbox(value=job.sound != "none", visible=heard and own and not choice),
        section.whose: gr.Radio(voices, value=voice, visible=heard and choice),
        section.rate: "" if job.rate is None else str(job.rate),
        section.hardware: gr.Checkbox(value=job.hardware, visible=actions.frames.has_hardware_encoder(form)),
        section.downloads: downloads(found, language),
        **show_run(section, actions, found, language),
    }


def show_run(section: Section, actions: SessionService, found: Session, language: str) -> Updates:
    """How the session's run stands."""
    status = _status(actions, found, language)
    return {
        section.make: gr.Button(
            text.translate(language, "continue" if found.can_resume else "make"),
            visible=not found.running,
            interactive=found.running or _ready(actions, found),
        ),
        section.cancel: gr.Button(visible=found.running),
        section.progress: gr.HTML(status, visible=bool(status)),
    }


def _ready(actions: SessionService, found: Session) -> bool:
    """Return True if a run has its model's weights and the user's word, or there is a matte that serves."""
    card = models.card(found.job.model)
    return (card.present and found.licensed) or actions.frames.has_matte(found)


def _status(actions: SessionService, found: Session, language: str) -> str:
    row = found.row
    if row.state is State.QUEUED and (place := actions.queue_position(found.id)):
        said = text.translate(language, "queued", place=place)
        wait = actions.eta(found.id)
        if wait is not None:
            said += " · " + text.translate(language, "expected", wait=text.format_estimate(wait))
        return _said(said)
    if found.running:
        progress = actions.progress(found.id)
        if progress is None:
            return _said(text.translate(language, "starting"))
        parts = [
            text.translate(language, progress.stage, done=progress.done, total=progress.total),
            text.translate(language, "rate", rate=text.format_number(progress.rate, language)),
        ]
        if progress.left is not None:
            parts.append(text.translate(language, "left", left=text.format_duration(progress.left, language)))
        bar = f'<progress max="{progress.total}" value="{progress.done}"></progress>'
        return bar + _said(" · ".join(parts), *_notes(progress.notes, language))
    if row.state is State.DONE and row.results:
        newest = row.results[0]
        took = text.format_duration(newest.seconds, language)
        if not found.review_times:
            return _said(text.translate(language, "done", seconds=took), *_notes(newest.notes, language))
        key = "done_check" if len(found.review_times) == 1 else "done_checks"
        said = text.translate(language, key, seconds=took, count=len(found.review_times))
        return _said(said, *_notes(newest.notes, language)) + _places(actions.frames, found, language)
    if not _ready(actions, found):
        return _said(text.translate(language, "not_ready", label=models.card(found.job.model).label))
    if row.state is State.CANCELLED:
        return _said(text.translate(language, "stopped" if found.can_resume else "cancelled"))
    return _failed(row.error, language) if row.error else ""


def _places(looks: FrameClient, found: Session, language: str) -> str:
    """The frames where the cut may have slipped, each a button that leads there."""
    rev = html.escape(quote(looks.revision(found), safe=""))
    times = looks.frame_times(found)
    size = f'width="{found.clip.width}" height="{found.clip.height}"'  # its place before it has come
    shown = []
    for seconds in found.review_times[:_MOST_PLACES]:
        number = min(range(len(times)), key=lambda n: abs(times[n] - seconds))
        at = text.format_duration(seconds)
        label = html.escape(text.translate(language, "go_check", time=at))
        frame = f"{media_address(found.id)}/frames/{number}?view=mask&rev={rev}"
        shown.append(
            f'<button type="button" data-goto="{number}" title="{label}" aria-label="{label}">'
            f'<img src="{frame}" {size} alt="" loading="lazy">'
            f"<span>{at}</span></button>"
        )
    more = len(found.review_times) - len(shown)
    rest = f'<span class="quiet">{text.translate(language, "more", count=more)}</span>' if more > 0 else ""
    return f'<div class="places">{"".join(shown)}{rest}</div>'


def _failed(sentence: str, language: str) -> str:
    return f'<p class="failure" role="alert">{html.escape(error_text.translate(language, sentence))}</p>'


def _notes(notes: Iterable[str], language: str) -> list[str]:
    return [error_text.translate(language, note) for note in notes]


def _said(sentence: str, *notes: str) -> str:
    """How it stands, and what was done otherwise than asked."""
    noted = "".join(f'<p class="notice">{html.escape(note)}</p>' for note in notes)
    return f'<p class="quiet" role="status">{html.escape(sentence)}</p>{noted}'


def downloads(found: Session, language: str) -> str:
    """A link for the newest result of each format, and a word where it is not by the present choices."""
    links = []
    for result in {kept.format: kept for kept in reversed(found.row.results)}.values():
        form = formats.by_key(result.format)
        name = text.translate_format_name(language, form.key, form.label)
        label = text.translate(
            language, "download", format=name, size=text.format_size(result.bytes, language)
        )
        links.append(
            f'<a class="download" href="{media_address(found.id)}/results/{result.id}?download" download>'
            f"{html.escape(label)}</a>"
        )
    stale = _said(text.translate(language, "outdated")) if found.outdated and not found.running else ""
    return stale + "".join(links)


def wire(page: Page) -> None:
    section, actions = page.result, page.actions

    @with_error_toasts
    def choose(id: str, key: str, request: gr.Request) -> Updates:
        return page.show(page.mine(request).choices.choose_format(id, key), language_of(request))

    def rendered(change: Callable[[SessionService, str, Any], Session]) -> Callable[..., Updates]:
        """What follows a choice that only tells how the result is rendered."""

        @with_error_toasts
        def choose(id: str, value: Any, request: gr.Request) -> Updates:
            return {section.downloads: downloads(change(page.mine(request), id, value), language_of(request))}

        return choose

    @with_error_toasts
    def make(id: str, request: gr.Request) -> Updates:
        mine = page.mine(request)
        if awaited := mine.open(id).awaited_background:
            raise error_toast(request, f"{awaited}_first")
        mine.run(id)
        return page.show(mine.open(id), language_of(request))

    @with_error_toasts
    def cancel(id: str, request: gr.Request) -> None:
        page.mine(request).cancel(id)

    @with_error_toasts
    def tick(id: str, request: gr.Request) -> Updates:
        mine = page.mine(request)
        try:
            found = mine.open(id)
        except DatabaseAway as error:  # said once, in its place, until it is back
            return {section.progress: gr.HTML(_failed(str(error), language_of(request)), visible=True)}
        except NotFound:  # deleted meanwhile, from another window
            return page.nothing()
        fetching = subject.waiting(actions.downloads, found)
        if found.running or fetching:
            ready = subject.show_ready(page.subject, actions.downloads, found, language_of(request))
            return show_run(section, mine, found, language_of(request)) | ready
        return page.show(found, language_of(request))

    section.format.input(choose, [page.current, section.format], page.shown, show_progress="hidden")
    changes: dict[Any, Callable[[SessionService, str, Any], Session]] = {
        section.quality: lambda mine, id, quality: mine.choices.choose_quality(id, quality),
        section.sound: lambda mine, id, on: mine.choices.choose_sound(id, "own" if on else "none"),
        section.whose: lambda mine, id, sound: mine.choices.choose_sound(id, sound),
        section.rate: lambda mine, id, rate: mine.choices.choose_rate(id, Fraction(rate) if rate else None),
        section.hardware: lambda mine, id, on: mine.choices.choose_hardware(id, on),
    }
    for component, change in changes.items():
        inputs = [page.current, component]
        component.input(rendered(change), inputs, section.downloads, show_progress="hidden")
    section.make.click(make, page.current, page.shown, show_progress="hidden")
    section.cancel.click(cancel, page.current, None, show_progress="hidden")
    # Not by Gradio's queue: a tick that fails says nothing, and the next one comes soon.
    page.timer.tick(tick, page.current, page.shown, show_progress="hidden", queue=False)
