"""What the sections share: every component, and how an open session is shown in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

import ui.page.sections.background as background
import ui.page.sections.edges as edges
import ui.page.sections.preview as preview
import ui.page.sections.result as result
import ui.page.sections.sessions as sessions
import ui.page.sections.subject as subject
import ui.page.sections.video as video
from pipeline import formats, models
from ui.addresses import media_address
from ui.page.handlers import Updates, user_id_of
from ui.sessions import overlay
from ui.sessions.service import SessionService
from ui.sessions.session import Session


@dataclass(frozen=True)
class Page:
    actions: SessionService
    current: gr.Textbox
    """The id of the session on the stage, or nothing."""
    stage: gr.HTML
    editor: gr.Column
    side: gr.Column
    tabs: gr.Tabs
    cut_tab: gr.Tab
    sessions_tab: gr.Tab
    timer: gr.Timer
    """Ticks while the session is queued or running."""
    video: video.Section
    subject: subject.Section
    background: background.Section
    edges: edges.Section
    result: result.Section
    preview: preview.Section
    sessions: sessions.Section

    @property
    def shown(self) -> list[Any]:
        """The outputs of a handler that returns `show(...)`."""
        sections = (self.video, self.subject, self.background, self.edges, self.result, self.preview)
        parts = [part for section in sections for part in vars(section).values()]
        return [self.current, self.stage, self.editor, self.side, self.timer, *parts]

    def mine(self, request: gr.Request) -> SessionService:
        """What who asks may do."""
        return self.actions.for_owner(user_id_of(request))

    def show(self, found: Session, language: str, edit: dict[str, Any] | None = None) -> Updates:
        """Everything that the page says of a session; `edit` is what the stage sent, where it asked."""
        return {
            self.current: found.id,
            self.stage: self.on_stage(found, edit),
            self.editor: gr.Column(visible=True),
            self.side: gr.Column(visible=True),
            self.timer: gr.Timer(active=found.running or subject.waiting(self.actions.downloads, found)),
            **video.show(self.video, found, language),
            **subject.show(self.subject, self.actions, found, language),
            **background.show(self.background, found),
            **edges.show(self.edges, found),
            **result.show(self.result, self.actions.for_owner(found.row.owner_id), found, language),
            **preview.show(self.preview, self.actions.frames, found, language),
        }

    def nothing(self) -> Updates:
        """The page before there is a video."""
        return {
            self.current: "",
            self.stage: None,
            self.editor: gr.Column(visible=False),
            self.side: gr.Column(visible=False),
            self.timer: gr.Timer(active=False),
            # Its value is left alone: on arrival somebody may be quicker than this with an upload.
            self.video.drop: gr.File(visible=True),
            self.video.sample: gr.Button(visible=True),
        }

    def on_stage(
        self, found: Session, edit: dict[str, Any] | None = None, message: str | None = None
    ) -> dict[str, Any]:
        """The stage's value; see `ui.page.stage`."""
        card = models.card(found.job.model)
        newest = found.row.results[0] if found.row.results else None
        shown: dict[str, Any] | None = None
        if newest is not None and not found.running:
            form = formats.by_key(newest.format)
            shown = {
                "url": f"{media_address(found.id)}/results/{newest.id}",
                "type": form.mime,
                "plays": form.plays_in_browsers,
                "transparent": newest.background == "transparent",
                "outdated": found.outdated,
            }
        return {
            "media": media_address(found.id),
            "width": found.clip.width,
            "height": found.clip.height,
            "frames": found.clip.frames,
            "duration": found.clip.duration,
            "start": found.job.start,
            "end": found.job.end,
            "prompts": [prompt.to_json() for prompt in found.job.prompts],
            "objects": [thing.to_json() for thing in found.job.objects],
            "palette": list(overlay.PALETTE),
            "rev": self.actions.frames.revision(found),
            "model": card.key,
            "can_point": card.points,
            "can_box": card.box,
            "candidates": card.candidates,
            "reads": card.slow_encoder,
            "checks": found.review_times,
            "result": shown,
            "message": message,
            "version": found.fingerprint,
            "seq": _number(edit.get("seq")) if edit else None,
        }


def _number(value: Any) -> int | None:
    """A number that JavaScript made, and that can be told to it again."""
    return value if isinstance(value, int) and abs(value) < 2**53 else None
