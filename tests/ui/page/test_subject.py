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
def actions(own: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SessionService:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return line.make_service(tmp_path, own, line.ManualRunner(None))


def said(actions: SessionService, found: Session, language: str) -> str:
    section = SubjectSection(*map(str, range(len(fields(SubjectSection)))))  # type: ignore[arg-type]
    return str(section.show(found, actions, language)[section.about])


def test_the_page_says_how_long_this_clip_will_take(
    actions: SessionService, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = actions.open(make())  # 12 frames of 160 × 90, half a second
    model = found.job.model
    assert "will take" not in said(actions, found, "en")  # nobody knows
    speeds.record(model, "cpu", (320, 180), 0.1)  # another clip, four times as large
    assert "This clip will take about 30 s" in said(actions, found, "en")
    assert "Este vídeo tardará unos 30 s" in said(actions, found, "es")
    assert "320" not in said(actions, found, "en")
    part = actions.choices.trim(found.id, 0.0, found.clip.duration / 2)
    assert "will take about 15 s" in said(actions, part, "en")
    monkeypatch.setattr(actions.frames, "has_matte", lambda found: True)
    assert "will take" not in said(actions, part, "en")  # the matte is there: it is only rendered
