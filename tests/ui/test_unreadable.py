"""A row that cannot be read, and what would make one."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from fastapi import Request

from db import repository
from db.engine import Database
from db.ledger import Ledger
from db.models import State
from pipeline.errors import InputError, PromptError
from tests.ui import line
from ui.page import handlers
from ui.page.sections import sessions
from ui.server import media
from ui.sessions.queueing import RunQueue
from ui.sessions.session import Unreadable

Change = Callable[[dict[str, Any]], Any]

SPOILT: dict[str, tuple[str, Change]] = {
    "no job": ("job", lambda job: {}),
    "a list": ("job", lambda job: [1, 2]),
    "a choice that is not known": ("job", lambda job: job | {"smell": "roses"}),
    "marks that are none": ("job", lambda job: job | {"prompts": [{"time": 0, "points": 7}]}),
    "an object that no browser can be told of": (
        "job",
        lambda job: job | {"prompts": [{"time": 0, "box": [0, 0, 9, 9], "object": 10**18}]},
    ),
    "a background that is none": ("job", lambda job: job | {"background": "a smell"}),
    "a rate by nothing": ("job", lambda job: job | {"rate": "1/0"}),
    "a start that is no number": ("job", lambda job: job | {"start": "soon"}),
    "a clip of another kind": ("clip", lambda clip: {"width": 3}),
}


@pytest.fixture
def make(own: Database, small_clip: Path, tmp_path: Path) -> Callable[..., str]:
    return line.session_maker(tmp_path, own, small_clip)


def spoil(own: Database, id: str, column: str, change: Change) -> None:
    with own.begin() as tx:
        row = repository.get_any(tx, id=id)
        setattr(row, column, change(getattr(row, column)))


@pytest.mark.parametrize(("column", "change"), SPOILT.values(), ids=SPOILT.keys())
def test_an_unreadable_session_is_listed_and_can_be_deleted(
    own: Database, make: Callable[..., str], tmp_path: Path, column: str, change: Change
) -> None:
    before, spoilt, after = make(name="before.mp4"), make(name="spoilt.mp4"), make(name="after.mp4")
    for id in (before, spoilt, after):
        with own.begin() as tx:
            repository.queue(tx, id=id)
    line.add_result(own, tmp_path, spoilt)
    spoil(own, spoilt, column, change)
    with closing(Ledger(own)) as ledger:
        service = line.make_service(tmp_path, own, queue := line.ManualRunner(ledger))
        service.recover()
        service.requeue()
        assert queue.submitted == [before, after]
        listed = service.list_sessions()
        # The start has just marked it as failed, and the newest change is on top.
        assert [session.id for session in listed] == [spoilt, after, before]
        assert [isinstance(session, Unreadable) for session in listed] == [True, False, False]
        card = sessions.card(listed[0], "en")
        assert card["name"] == "spoilt.mp4" and card["results"] and card["state"] == State.FAILED
        assert card["error"].startswith("spoilt.mp4: this session was written by another version")
        with pytest.raises(
            InputError, match=r"^spoilt\.mp4: .* Update the program, or delete the session\.$"
        ):
            service.open(spoilt)
        assert service.find_unfinished() == after
        result = card["results"][0]["url"].rpartition("/")[2].removesuffix("?download")
        assert service.result(spoilt, result)[0].read_bytes() == b"result"
        service.cancel(spoilt)
        service.delete(spoilt)
        assert [session.id for session in service.list_sessions()] == [after, before]
        assert not (tmp_path / "sessions" / spoilt).exists()


def test_a_broken_session_does_not_prevent_the_start(
    own: Database, make: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [make() for _ in range(3)]
    for id in ids:
        with own.begin() as tx:
            repository.queue(tx, id=id)
    whole = RunQueue.plan

    def plan(self: RunQueue, session: Any) -> Any:
        if session.id == ids[1]:
            raise ZeroDivisionError
        return whole(self, session)

    monkeypatch.setattr(RunQueue, "plan", plan)
    with closing(Ledger(own)) as ledger:
        service = line.make_service(tmp_path, own, queue := line.ManualRunner(ledger))
        service.requeue()
        assert queue.submitted == [ids[0], ids[2]]
        assert service.open(ids[1]).row.state is State.FAILED


NUMBERS = {
    "an object": {"box": [0, 0, 9, 9], "object": 10**30},
    "an object below 1": {"box": [0, 0, 9, 9], "object": 0},
    "a time": {"time": 10**400, "box": [0, 0, 9, 9]},
    "no time": {"time": float("nan"), "box": [0, 0, 9, 9]},
    "a point": {"points": [{"x": 10**400, "y": 1}]},
    "no point": {"points": [{"x": float("nan"), "y": 1}]},
    "a box": {"box": [0, 0, float("inf"), 9]},
    "a candidate": {"points": [{"x": 1, "y": 1}], "candidate": 10**30},
}


@pytest.mark.parametrize("mark", NUMBERS.values(), ids=NUMBERS.keys())
def test_marks_have_no_numbers_unsafe_in_javascript(
    own: Database, make: Callable[..., str], tmp_path: Path, mark: dict[str, Any]
) -> None:
    service, id = line.make_service(tmp_path, own, line.ManualRunner(None)), make()
    with pytest.raises(PromptError):
        service.choices.save_marks(id, [{"time": 0.0} | mark])
    with pytest.raises(PromptError):
        service.choices.save_marks(id, [], [{"number": 10**30, "name": "a"}])
    for time in (10**400, float("nan"), float("-inf"), True, "0"):
        with pytest.raises(InputError):
            service.choices.trim(id, time, None)
    assert service.open(id).job.prompts == ()


def test_names_are_single_line_and_printable(
    own: Database, make: Callable[..., str], tmp_path: Path, small_clip: Path, at_once: None
) -> None:
    service, id = line.make_service(tmp_path, own, line.ManualRunner(None)), make()
    service.choices.save_marks(id, [], [{"number": 1, "name": "The\0 man\ud800\n  left"}])
    assert service.open(id).job.objects[0].name == "The man left"
    assert service.rename(id, "\0\ud800").row.name == "a.mp4"
    assert service.rename(id, "A\0 beach\t\x1b[31m 😀").row.name == "A beach [31m 😀"
    made = service.create(Path(shutil.copyfile(small_clip, tmp_path / "u.mp4")), "b\0\udfff.mp4")
    assert service.open(made).row.name == service.open(made).clip.name == "b.mp4"


@pytest.mark.parametrize("number", [10**30, -(2**60), 1.5, "7", None])
def test_the_count_of_an_edit_is_returned_only_if_javascript_holds_it_exactly(number: Any) -> None:
    from ui.page.stage import _edit_count

    assert _edit_count(number) is None and _edit_count(7) == 7


# ---------------------------------------------------------------- a full disk


def test_a_full_disk_is_reported_in_the_visitors_language(
    own: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = line.make_service(tmp_path, own, line.ManualRunner(None))

    def full(source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(gr.Error, match=r"disk is full\. .* try again\."):
        handlers.with_error_toasts(service.create_sample)()
    assert list((tmp_path / "sessions").iterdir()) == []
    asked = Request({"type": "http", "headers": [(b"accept-language", b"es-ES")]})
    answer = media._respond(asked, lambda: full(tmp_path, tmp_path / "x"))  # type: ignore[arg-type,return-value]
    assert answer.status_code == 507 and "está lleno" in bytes(answer.body).decode()
    with pytest.raises(OSError, match="other"):
        media._respond(asked, lambda: (_ for _ in ()).throw(OSError("other")))
