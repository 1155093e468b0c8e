"""The result: its format, the run that makes it, and its downloads."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self, get_args
from urllib.parse import quote

import gradio as gr

from db.errors import DatabaseError
from db.models import State
from pipeline import formats, models
from pipeline.compositing.aspect import ASPECTS
from pipeline.formats import QUALITIES
from pipeline.job import Sound
from ui import error_text, text
from ui.addresses import media_address
from ui.page import markup, scripts
from ui.page.context import Context, EditorSection
from ui.page.handlers import Updates, error_toast, language_of, with_error_toasts
from ui.page.i18n import localized
from ui.page.share_forms import share_forms
from ui.sessions.rendering.frames import FrameClient
from ui.sessions.service import SessionService
from ui.sessions.session import Session

_MAX_REVIEW_FRAMES = 6
"""Frames to check that are shown beside the status; the timeline has all of them."""

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

_CHOICES_SAVED_JS = "async (id) => { await window.recorte.settled(); return id; }"
"""Script for the browser before a run: it waits for choices that are being saved; see `assets/streams.js`."""

_NOTIFY = """
<label data-part="switch" hidden>
  <input type="checkbox" role="switch" data-part="toggle"> <span data-part="words"></span>
</label>
<p class="quiet" data-part="blocked" hidden></p>
"""
_NOTIFY_WORDS = {
    code: {key: table[key] for key in ("notify", "notify_blocked", "notify_done", "notify_failed")}
    for code, table in text.PAGE.items()
}

Change = Callable[[SessionService, str, Any], Session]
"""Changes an option of a session, given the session's id and the option's value."""


@dataclass(frozen=True)
class ResultSection(EditorSection):
    format: gr.Dropdown
    quality: gr.Radio
    crop: gr.Radio
    sound: gr.Checkbox
    whose: gr.Radio
    """The source of the sound, where there are several."""
    advanced: gr.Accordion
    rate: gr.Dropdown
    hardware: gr.Checkbox
    make: gr.Button
    progress: gr.HTML
    cancel: gr.Button
    downloads: gr.HTML
    shares: gr.HTML
    """Links to the results, where there are accounts."""
    estimate: gr.HTML
    notify: gr.HTML
    """Switch for a notification at the run's end; its value is as `assets/notify.js` says."""

    @classmethod
    def render(cls) -> Self:
        format = gr.Dropdown(
            _format_choices("en", still=False),
            label=localized("format"),
            show_label=False,
            container=False,
            filterable=False,
            elem_id="format",
            interactive=True,
        )
        quality = gr.Radio(
            [(localized(f"quality_{quality}"), quality) for quality in QUALITIES],
            label=localized("quality"),
            show_label=False,
            container=False,
            elem_id="quality",
            elem_classes="steps",
        )
        crop = gr.Radio(
            [(localized("crop_whole"), ""), *((name, name) for name in ASPECTS)],
            value="",
            label=localized("crop"),
            show_label=False,
            container=False,
            elem_id="crop",
            elem_classes="steps",
        )
        sound = gr.Checkbox(True, label=localized("sound"), container=False, elem_id="sound")
        whose = gr.Radio(
            _sound_choices("en", own=True),
            label=localized("whose"),
            container=False,
            visible=False,
            elem_id="whose",
            elem_classes="steps",
        )
        with gr.Accordion(
            localized("advanced"), open=False, elem_id="advanced", elem_classes="fold"
        ) as advanced:
            rate = gr.Dropdown(
                [(localized("rate_own"), ""), *_RATES.items()],
                value="",
                label=localized("rate_of"),
                filterable=False,
                elem_id="rate",
                interactive=True,
            )
            hardware = gr.Checkbox(
                False, label=localized("hardware"), container=False, visible=False, elem_id="hardware"
            )
        return cls(
            format,
            quality,
            crop,
            sound,
            whose,
            advanced,
            rate,
            hardware,
            make=gr.Button(localized("make"), variant="primary", elem_id="make", render=False),
            progress=gr.HTML(elem_id="progress", padding=False, visible=False, render=False),
            cancel=gr.Button(localized("cancel"), visible=False, elem_id="cancel", render=False),
            downloads=gr.HTML(elem_id="downloads", padding=False, render=False),
            shares=gr.HTML(elem_id="shares", padding=False, visible=False, render=False),
            estimate=gr.HTML(elem_id="estimate", padding=False, visible=False, render=False),
            notify=gr.HTML(
                html_template=_NOTIFY,
                js_on_load=scripts.script("notify.js", WORDS=_NOTIFY_WORDS),
                apply_default_css=False,
                elem_id="notify",
                padding=False,
                render=False,
            ),
        )

    def render_actions(self) -> None:
        """Put what starts, stops and ends a run at this place of the page: it stays in view."""
        status = self.progress, self.notify, self.downloads, self.shares, self.estimate
        for component in (*status, self.make, self.cancel):
            component.render()  # type: ignore[no-untyped-call]

    def show(self, session: Session, service: SessionService, language: str) -> Updates:
        job, form, own = session.job, formats.by_key(session.job.format), bool(session.clip.sound)
        audible, choice = form.sound_codec is not None, service.frames.has_sound(job.background)
        source = job.sound if own or job.sound != "own" else "none"
        hardware = service.frames.has_hardware_encoder(form)
        return {
            self.format: gr.Dropdown(
                _format_choices(language, still=session.clip.is_picture), value=form.key
            ),
            self.quality: gr.Radio(value=job.quality, visible=bool(form.qualities)),
            self.sound: gr.Checkbox(value=job.sound != "none", visible=audible and own and not choice),
            self.whose: gr.Radio(_sound_choices(language, own=own), value=source, visible=audible and choice),
            self.crop: job.crop or "",
            self.advanced: gr.Accordion(visible=not form.still),
            self.rate: "" if job.rate is None else str(job.rate),
            self.hardware: gr.Checkbox(value=job.hardware, visible=hardware),
            **self.show_downloads(session, language),
            self.shares: _share_forms(session, service, language),
            **self.show_run(session, service, language),
        }

    def show_run(self, session: Session, service: SessionService, language: str) -> Updates:
        """Show the state of the session's run, and the buttons that fit it."""
        status = _run_status(session, service, language)
        return {
            self.make: gr.Button(
                text.translate(language, _make_label(session)),
                visible=not session.running,
                interactive=session.running or _can_run(session, service.frames),
            ),
            self.cancel: gr.Button(visible=session.running),
            self.estimate: self._show_estimate(session, service, language),
            self.progress: gr.HTML(status, visible=bool(status)),
            self.notify: {
                "session": session.id,
                "name": session.row.name,
                "state": session.row.state.value,
            },
        }

    def _show_estimate(self, session: Session, service: SessionService, language: str) -> gr.HTML:
        """Show how long a run would take, where one would make something new.

        The page keeps it up to date while the live cut goes on; it is empty while unknown.
        """
        is_made = session.row.state is State.DONE and bool(session.row.results) and not session.outdated
        if session.running or is_made or not _can_run(session, service.frames):
            return gr.HTML(visible=False)
        seconds = service.expected_seconds(session)
        return gr.HTML(markup.paragraph(text.describe_expected(language, seconds)), visible=True)

    def show_failure(self, error: DatabaseError, language: str) -> Updates:
        """Show an error in place of the run's state."""
        return {self.progress: gr.HTML(markup.failure(error.message.render(language)), visible=True)}

    def show_downloads(self, session: Session, language: str) -> Updates:
        """Show a link for the newest result of each format, and whether it fits the present choices."""
        links = []
        for result in {result.format: result for result in reversed(session.row.results)}.values():
            form = formats.by_key(result.format)
            name = text.translate_format_name(language, form.key, form.label)
            size = text.format_size(result.bytes, language)
            label = html.escape(text.translate(language, "download", format=name, size=size))
            address = f"{media_address(session.id)}/results/{result.id}?download"
            links.append(f'<a class="download" href="{address}" download>{label}</a>')
        outdated = session.outdated and not session.running
        stale = markup.status(text.translate(language, "outdated")) if outdated else ""
        return {self.downloads: stale + "".join(links)}

    def wire(self, context: Context) -> None:
        @with_error_toasts
        def choose(id: str, key: str, request: gr.Request) -> Updates:
            return context.show(
                context.service_for(request).choices.choose_format(id, key), language_of(request)
            )

        @with_error_toasts
        def choose_crop(id: str, crop: str, request: gr.Request) -> Updates:
            session = context.service_for(request).choices.choose_crop(id, crop or None)
            return context.show(session, language_of(request))

        @with_error_toasts
        def make(id: str, request: gr.Request) -> Updates:
            service = context.service_for(request)
            if awaited := service.open(id).awaited_background:
                raise error_toast(request, f"{awaited}_first")
            service.run(id)
            return context.show(service.open(id), language_of(request))

        @with_error_toasts
        def cancel(id: str, request: gr.Request) -> None:
            context.service_for(request).cancel(id)

        self.format.input(choose, [context.current, self.format], context.shown, show_progress="hidden")
        self.crop.input(choose_crop, [context.current, self.crop], context.shown, show_progress="hidden")
        options: dict[Any, Change] = {
            self.quality: lambda service, id, quality: service.choices.choose_quality(id, quality),
            self.sound: lambda service, id, on: service.choices.choose_sound(id, "own" if on else "none"),
            self.whose: lambda service, id, source: service.choices.choose_sound(id, source),
            self.rate: lambda service, id, rate: service.choices.choose_rate(
                id, Fraction(rate) if rate else None
            ),
            self.hardware: lambda service, id, on: service.choices.choose_hardware(id, on),
        }
        for component, change in options.items():
            self._wire_option(component, change, context)
        self.make.click(make, context.current, context.shown, show_progress="hidden", js=_CHOICES_SAVED_JS)
        self.cancel.click(cancel, context.current, None, show_progress="hidden")

    def _wire_option(self, component: Any, change: Change, context: Context) -> None:
        """Attach a choice that changes nothing but how the result is rendered."""

        @with_error_toasts
        def choose(id: str, value: Any, request: gr.Request) -> Updates:
            session = change(context.service_for(request), id, value)
            return self.show_downloads(session, language_of(request))

        component.input(choose, [context.current, component], self.downloads, show_progress="hidden")


def _share_forms(session: Session, service: SessionService, language: str) -> gr.HTML:
    """Return the forms of links to the results; nothing where there are no accounts or no results."""
    if session.row.owner_id is None or not session.row.results:
        return gr.HTML("", visible=False)
    links = service.share_links.list_links(session.id)
    return gr.HTML(share_forms(session, links, language), visible=True)


def _format_choices(language: str, *, still: bool) -> list[tuple[str, str]]:
    """Return the formats of a picture ("still") or of a video."""
    fitting = (form for form in formats.FORMATS.values() if form.still == still)
    return [(text.translate_format_name(language, f.key, f.label), f.key) for f in fitting]


def _make_label(session: Session) -> str:
    """Return the key of the label of the button that starts a run."""
    if session.can_resume:
        return "continue"
    return "make_picture" if session.clip.is_picture else "make"


def _sound_choices(language: str, *, own: bool) -> list[tuple[str, str]]:
    """Return the choices of sound; `own`: whether the video has any."""
    sources = [source for source in get_args(Sound) if source != "own" or own]
    return [(text.translate(language, f"sound_{source}"), source) for source in sources]


def _can_run(session: Session, frames: FrameClient) -> bool:
    """Return True if the model has all that it needs and its licence is acknowledged, or if it is not run."""
    card = models.card(session.job.model)
    lacks_matte = card.given and session.job.matte_in is None
    return (card.present and session.licensed and not lacks_matte) or (
        session.effective_job.takes_kept_matte and frames.has_matte(session)
    )


def _run_status(session: Session, service: SessionService, language: str) -> str:
    """Return the state of the session's run as HTML; empty if there is nothing to say."""
    row = session.row
    if row.state is State.QUEUED and (position := service.queue_position(session.id)):
        queued = text.translate(language, "queued", place=position)
        seconds = service.eta(session.id)
        if seconds is not None:
            queued += " · " + text.translate(language, "expected", wait=text.format_estimate(seconds))
        return markup.status(queued)
    if session.running:
        return _progress_status(session, service, language)
    if row.state is State.DONE and row.results:
        return _done_status(session, service.frames, language)
    if not _can_run(session, service.frames):
        label = models.card(session.job.model).label
        return markup.status(text.translate(language, "not_ready", label=label))
    if row.state is State.CANCELLED:
        return markup.status(text.translate(language, "stopped" if session.can_resume else "cancelled"))
    return markup.failure(error_text.translate_error(language, row)) if row.error else ""


def _progress_status(session: Session, service: SessionService, language: str) -> str:
    progress = service.progress(session.id)
    if progress is None or not progress.total:
        waits_for = None if progress is None else progress.waits_for
        starting = text.translate(language, "starting")
        return markup.status(starting if waits_for is None else waits_for.render(language))
    parts = [
        text.translate(language, progress.stage, done=progress.done, total=progress.total),
        text.translate(language, "rate", rate=text.format_number(progress.rate, language)),
    ]
    if progress.left is not None:
        parts.append(text.translate(language, "left", left=text.format_duration(progress.left, language)))
    status = markup.status(" · ".join(parts)) + _notes(note.render(language) for note in progress.notes)
    return markup.progress_bar(progress.done, progress.total) + status


def _done_status(session: Session, frames: FrameClient, language: str) -> str:
    result, count = session.row.results[0], len(session.review_times)
    key = {0: "done", 1: "done_check"}.get(count, "done_checks")
    took = text.format_duration(result.seconds, language)
    status = markup.status(text.translate(language, key, seconds=took, count=count))
    status += _notes(error_text.translate_notes(language, result))
    return status + _review_frames(session, frames, language) if count else status


def _notes(notes: Iterable[str]) -> str:
    """Return what a run did otherwise than it was asked to."""
    return "".join(map(markup.notice, notes))


def _review_frames(session: Session, frames: FrameClient, language: str) -> str:
    """Return the frames where the cut may have slipped, each a button that moves the stage there."""
    revision = html.escape(quote(frames.revision(session), safe=""))
    times = frames.frame_times(session)
    size = markup.frame_size(session)
    buttons = []
    for seconds in session.review_times[:_MAX_REVIEW_FRAMES]:
        number = min(range(len(times)), key=lambda n: abs(times[n] - seconds))
        time = text.format_duration(seconds)
        label = html.escape(text.translate(language, "go_check", time=time))
        address = f"{media_address(session.id)}/frames/{number}?view=mask&rev={revision}"
        buttons.append(
            f'<button type="button" data-goto="{number}" title="{label}" aria-label="{label}">'
            f'<img src="{address}" {size} alt="" loading="lazy">'
            f"<span>{time}</span></button>"
        )
    more = len(session.review_times) - len(buttons)
    rest = f'<span class="quiet">{text.translate(language, "more", count=more)}</span>' if more > 0 else ""
    return f'<div class="places">{"".join(buttons)}{rest}</div>'
