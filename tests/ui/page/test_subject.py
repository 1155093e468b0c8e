"""Text about the model beside its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from db.engine import Database
from pipeline.jobs import speeds
from tests.ui import line
from ui.page.sections.subject import SubjectSection
from ui.sessions.service import SessionService
from ui.sessions.session import Session


@pytest.fixture
def make(own: Database, small_clip: Path, tmp_path: Path) -> Callable[..., str]:
    return line.session_maker(tmp_path, own, small_clip)


@pytest.fixture
def service(own: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SessionService:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return line.make_service(tmp_path, own, line.ManualRunner(None))


def said(service: SessionService, session: Session, language: str) -> str:
    section = SubjectSection(*map(str, range(len(fields(SubjectSection)))))  # type: ignore[arg-type]
    return str(section.show(session, service, language)[section.about])


def test_the_page_says_how_long_this_clip_will_take(
    service: SessionService, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = service.open(make())  # 12 frames of 160 × 90, half a second
    model = session.job.model
    assert "will take" not in said(service, session, "en")  # nobody knows
    speeds.record(model, "cpu", (320, 180), 0.1)  # another clip, four times as large
    assert "This clip will take about 30 s" in said(service, session, "en")
    assert "Este vídeo tardará unos 30 s" in said(service, session, "es")
    assert "320" not in said(service, session, "en")
    part = service.choices.trim(session.id, 0.0, session.clip.duration / 2)
    assert "will take about 15 s" in said(service, part, "en")
    monkeypatch.setattr(service.frames, "has_matte", lambda session: True)
    assert "will take" not in said(service, part, "en")  # the matte is there: it is only rendered
