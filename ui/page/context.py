"""Base classes of the page's sections, and the components and operations that all of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import gradio as gr

from pipeline.models import helpers
from pipeline.weights.locate import cached_lookups
from ui.page.handlers import Updates, user_id_of
from ui.page.stage import stage_value
from ui.sessions.service import SessionService
from ui.sessions.session import Session


class Components:
    """A frozen dataclass whose fields are components, or groups of them of this class."""

    @property
    def components(self) -> list[Any]:
        parts: list[Any] = []
        for part in vars(self).values():
            parts += part.components if isinstance(part, Components) else [part]
        return parts


class Section(Components, ABC):
    """A part of the page: a frozen dataclass whose fields are its components."""

    @classmethod
    @abstractmethod
    def render(cls) -> Self:
        """Create the components at this place of the page."""

    @abstractmethod
    def wire(self, context: Context) -> None:
        """Attach the events, once every section is rendered."""


class EditorSection(Section):
    """A section that shows something of the session in the editor."""

    @abstractmethod
    def show(self, session: Session, service: SessionService, language: str) -> Updates:
        """Return the values of all components for a session; `service` is that of its owner."""

    @property
    def cleared(self) -> list[Any]:
        """The components that `clear()` changes."""
        return []

    def clear(self) -> Updates:
        """Return what changes when no session is in the editor any more."""
        return {}


@dataclass(frozen=True)
class Context:
    """The components outside all sections, and the session in the editor."""

    service: SessionService
    current: gr.Textbox
    """The id of the session in the editor, or empty."""
    places: gr.HTML
    """The browser's history; its event `select` asks for the session of an entry."""
    stage: gr.HTML
    editor: gr.Column
    side: gr.Column
    tabs: gr.Tabs
    cut_tab: gr.Tab
    sessions_tab: gr.Tab
    timer: gr.Timer
    """Active while the session is queued or running, or its model's weights are being downloaded."""
    fit: gr.Radio
    """Choice of the fit of a background picture into the frame."""
    sections: Sequence[EditorSection]

    @property
    def shown(self) -> list[Any]:
        """The outputs of a handler that returns `show(...)`."""
        parts = [part for section in self.sections for part in section.components]
        return [*self._own, *parts]

    @property
    def cleared(self) -> list[Any]:
        """The outputs of a handler that returns `clear()`."""
        parts = [part for section in self.sections for part in section.cleared]
        return [*self._own, *parts]

    @property
    def _own(self) -> list[Any]:
        """The components that `show` and `clear` change outside the sections."""
        return [self.current, self.stage, self.editor, self.side, self.timer]

    def service_for(self, request: gr.Request) -> SessionService:
        """Return the service as the user who caused an event may use it."""
        return self.service.for_owner(user_id_of(request))

    @cached_lookups()
    def show(self, session: Session, language: str) -> Updates:
        """Show a session in the editor: everything, for another window may have changed any of it."""
        service = self.service.for_owner(session.row.owner_id)
        updates: Updates = {
            self.current: session.id,
            self.stage: stage_value(session, service.frames),
            self.editor: gr.Column(visible=True),
            self.side: gr.Column(visible=True),
            self.timer: gr.Timer(active=session.running or self.is_downloading(session)),
        }
        for section in self.sections:
            updates |= section.show(session, service, language)
        return updates

    def clear(self) -> Updates:
        """Show the page without a session."""
        updates: Updates = {
            self.current: "",
            self.stage: None,
            self.editor: gr.Column(visible=False),
            self.side: gr.Column(visible=False),
            self.timer: gr.Timer(active=False),
        }
        for section in self.sections:
            updates |= section.clear()
        return updates

    def is_downloading(self, session: Session) -> bool:
        """Return True while weights that a session needs, or may need, are being downloaded."""
        states = map(self.service.downloads.state, [session.job.model, *helpers.HELPERS])
        return any(download is not None and not download.error for download in states)
