"""Estimate of a run's time beside the button that starts it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from db.engine import Database
from db.models import State
from pipeline.jobs import speeds
from tests.ui import line
from ui.page.sections.result import ResultSection
from ui.sessions import estimates
from ui.sessions.rendering.protocol import CutState
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
    section = ResultSection(*map(str, range(len(fields(ResultSection)))))  # type: ignore[arg-type]
    return str(section.show_run(session, service, language)[section.estimate].value)


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


def test_what_is_cut_already_is_only_rendered(
    service: SessionService, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = service.open(make())  # 12 frames
    speeds.record(session.job.model, "cpu", (160, 90), 0.1)
    assert service.expected_seconds(session) == pytest.approx(120)
    stored = CutState([(0, 3), (5, 10)], [], 12)
    monkeypatch.setattr(service.frames, "read_cut", lambda session: stored)
    _, live = service.live_cut(str(session.id), 0, wanted=False)
    assert service.expected_seconds(session, live) == pytest.approx(40)
    monkeypatch.setattr(service.frames, "read_cut", None)  # the state is known
    assert service.expected_seconds(session) == pytest.approx(40)
    speeds.record(speeds.rendering_key("mp4"), "cpu", (160, 90), 0.5)
    assert service.expected_seconds(session) == pytest.approx(40 + 16)
    assert estimates.expected_seconds(session, stored, rate=2.0) == pytest.approx(2 + 16)  # of the live cut
    whole = CutState([(0, 12)], [], 12)
    assert estimates.expected_seconds(session, whole) == pytest.approx(24)
    gif = service.choices.choose_format(session.id, "gif")
    assert estimates.expected_seconds(gif, whole) is None  # nothing was measured of this format


def test_no_estimate_is_shown_for_what_is_made_or_cannot_be_made(
    service: SessionService, make: Any, own: Database, tmp_path: Path
) -> None:
    session = service.open(make())
    speeds.record(session.job.model, "cpu", (160, 90), 0.1)
    assert "will take" in said(service, session, "en")
    line.add_result(own, tmp_path, session.id)
    done = service.open(session.id)
    for state in (State.DONE, State.QUEUED, State.RUNNING):
        done.row.state = state
        assert "will take" not in said(service, done, "en")
    done.row.state = State.CANCELLED
    assert "will take" in said(service, done, "en")
