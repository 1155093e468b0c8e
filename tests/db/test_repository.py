from datetime import UTC, datetime, timedelta
from inspect import isfunction, signature
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event, inspect, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db import repository
from db.errors import NotFound
from db.models import Result, SessionRow, State, User
from pipeline.job import Progress
from pipeline.jobs.events import MatteChecked, RunFinished
from pipeline.languages.messages import Message

JOB = {"model": "robust", "prompts": [], "background": "#00ff00", "format": "mp4"}
FINISHED = ("done", "failed", "cancelled", "interrupted")
ALLOWED = {
    ("ready", "queued"),
    *product(FINISHED, ["queued"]),
    *product(["queued"], ["running", "cancelled", "failed", "interrupted"]),
    *product(["running"], FINISHED),
}
WAY = {  # how a session comes to a state
    "ready": [],
    "queued": ["queued"],
    "running": ["queued", "running"],
    **{state: ["queued", "running", state] for state in FINISHED},
}


def make(tx: Session, name: str = "Beach", **more: Any) -> SessionRow:
    return repository.create(tx, name=name, source="beach.mp4", clip={"frames": 90}, job=JOB, **more)


def make_aged(tx: Session, minutes: int, name: str = "Beach", **more: Any) -> SessionRow:
    row = make(tx, name, **more)
    row.created_at = datetime(2030, 1, 1, tzinfo=UTC) - timedelta(minutes=minutes)
    tx.flush()
    return row


FULL = Message("writing.disk_full", {"name": "a.mp4"})
NOTE = Message("notes.no_gpu")


def make_result(tx: Session, id: UUID | str, file: str = "a.mp4", **more: Any) -> Result:
    result = RunFinished(
        format="mp4",
        background="#00ff00",
        model="robust",
        file=file,
        bytes=5_000_000_000,
        frames=90,
        seconds=1.5,
        **more,
    )
    return repository.add_result(tx, id=id, result=result)


def go(tx: Session, id: UUID, state: str) -> SessionRow:
    for step in WAY[state]:
        repository.change_state(tx, id=id, state=State(step))
    return repository.get(tx, id=id)


def progress_of(frames: int) -> Progress:
    return Progress("matte", frames, 90, rate=1.0, left=None)


def test_a_new_session_has_its_defaults(tx: Session) -> None:
    id = make(tx).id
    tx.expire_all()
    row = repository.get(tx, id=str(id))
    assert (row.name, row.source, row.clip, row.job) == ("Beach", "beach.mp4", {"frames": 90}, JOB)
    assert (row.state, row.starred, row.results) == (State.READY, False, [])
    assert (row.progress, row.error, row.queued_at, row.finished_at) == (None, None, None, None)
    assert row.created_at.tzinfo and row.updated_at == row.created_at


def test_a_caller_may_choose_the_id(tx: Session) -> None:
    id = uuid4()
    assert make(tx, id=id).id == id
    assert make(tx, id="5f0c0f0e-0000-4000-8000-000000000001").id.hex.startswith("5f0c")
    with pytest.raises(ValueError):
        make(tx, id="../../etc")


def test_rows_are_readable_after_their_transaction(tx: Session) -> None:
    made = make(tx)
    result = make_result(tx, made.id)
    changed = repository.change_state(tx, id=made.id, state=State.QUEUED)
    tx.commit()
    tx.close()
    assert changed.queued_at == changed.updated_at
    assert [one.file for one in changed.results] == ["a.mp4"]
    assert result.session_id == made.id and result.created_at == made.created_at


def test_no_progress_is_null_not_json_null(tx: Session) -> None:
    id = make(tx).id
    repository.save_progress(tx, id=id, progress=Progress("matte", 3, 90, rate=1.0, left=None))
    assert repository.get(tx, id=id).progress == {
        "stage": "matte", "done": 3, "total": 90, "rate": 1.0, "left": None, "frames": 0, "checks": [],
        "notes": [],
    }  # fmt: skip
    repository.save_progress(tx, id=id, progress=None)
    asked = text("SELECT progress IS NULL FROM sessions WHERE id = :id")
    assert tx.scalar(asked, {"id": id}) is True


def test_rename_star_and_job(tx: Session) -> None:
    id = make(tx).id
    repository.rename(tx, id=id, name="Praia")
    repository.star(tx, id=id, starred=True)
    repository.save_job(tx, id=id, job={"model": "other"})
    tx.expire_all()
    row = repository.get(tx, id=id)
    assert (row.name, row.starred, row.job) == ("Praia", True, {"model": "other"})


def test_changes_set_the_modification_time(tx: Session) -> None:
    row = make(tx)
    tx.execute(text("UPDATE sessions SET updated_at = '2001-01-01Z'"))
    tx.refresh(row)
    assert row.updated_at.year == 2001
    assert repository.rename(tx, id=row.id, name="Praia").updated_at == row.created_at


@pytest.mark.parametrize("id", [uuid4(), "no id", "", "'; DROP TABLE sessions", "\x00", "é" * 36])
def test_unknown_sessions_raise_not_found(tx: Session, id: UUID | str) -> None:
    for call in (
        lambda: repository.get(tx, id=id),
        lambda: repository.rename(tx, id=id, name="x"),
        lambda: repository.star(tx, id=id, starred=True),
        lambda: repository.save_job(tx, id=id, job={}),
        lambda: repository.save_progress(tx, id=id, progress=progress_of(0)),
        lambda: repository.change_state(tx, id=id, state=State.QUEUED),
        lambda: make_result(tx, id),
        lambda: repository.delete(tx, id=id),
    ):
        with pytest.raises(NotFound, match="There is no session"):
            call()


@pytest.mark.parametrize(("before", "after"), [*product(WAY, WAY)])
def test_only_valid_state_transitions_are_allowed(tx: Session, before: str, after: str) -> None:
    id = go(tx, make(tx).id, before).id
    if (before, after) in ALLOWED:
        assert repository.change_state(tx, id=id, state=State(after)).state is State(after)
    else:
        with pytest.raises(ValueError, match=f"{before} cannot become {after}"):
            repository.change_state(tx, id=id, state=State(after))
        assert repository.get(tx, id=id).state is State(before)


def test_progress_is_saved_by_one_statement(tx: Session) -> None:
    """With a second one the row would be the transaction's own, and its user be asked for and waited for."""
    id = make(tx).id
    tx.commit()
    updates: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        updates.extend([statement] if statement.startswith("UPDATE") else [])

    event.listen(tx.connection(), "before_cursor_execute", note)
    repository.save_progress(tx, id=id, progress=progress_of(3))
    assert len(updates) == 1 and "beat_at" in updates[0]


def test_a_new_run_resets_times_progress_and_error(tx: Session) -> None:
    id = make(tx).id
    row = go(tx, id, "queued")
    assert row.queued_at and row.started_at is None and row.finished_at is None
    row = repository.change_state(tx, id=id, state=State.RUNNING)
    assert row.started_at and row.finished_at is None
    repository.save_progress(tx, id=id, progress=progress_of(40))
    row = repository.change_state(tx, id=id, state=State.FAILED, error=FULL)
    assert (row.error, row.progress) == (str(FULL), progress_of(40).to_json())
    assert row.error_message == FULL.to_json()
    assert row.finished_at
    row = repository.change_state(tx, id=id, state=State.QUEUED)
    assert (row.error, row.progress, row.started_at, row.finished_at) == (None, None, None, None)
    assert row.error_message is None
    repository.change_state(tx, id=id, state=State.RUNNING)
    repository.save_progress(tx, id=id, progress=progress_of(90))
    row = repository.change_state(tx, id=id, state=State.DONE)
    assert (row.progress, row.error) == (None, None)


def test_the_table_refuses_unknown_states(tx: Session) -> None:
    make(tx)
    with pytest.raises(IntegrityError, match="ck_sessions_state"):
        tx.execute(text("UPDATE sessions SET state = 'lost'"))


def test_pages_are_ordered_newest_first(tx: Session) -> None:
    """Two of one instant are told apart: none is shown twice, none is left out."""
    ages = [3, 0, 2, 2, 2, 1, 4]
    rows = [make_aged(tx, age) for age in ages]
    newest = sorted(rows, key=lambda row: (row.created_at, row.id), reverse=True)
    seen: list[UUID] = []
    before = None
    while shown := repository.list_page(tx, limit=2, before=before):
        seen += [row.id for row in shown]
        before = (shown[-1].created_at, shown[-1].id)
    assert seen == [row.id for row in newest]


def test_the_newest_change_of_a_job_state_or_result_comes_first(tx: Session) -> None:
    ids = [make(tx).id for _ in range(5)]

    def age() -> None:
        """Put all changes a day back: within a transaction the time stands still."""
        tx.execute(text("UPDATE sessions SET changed_at = changed_at - interval '1 day'"))
        tx.expire_all()

    changes = [
        lambda id: repository.save_job(tx, id=id, job={"model": "other"}),
        lambda id: repository.queue(tx, id=id),
        lambda id: make_result(tx, id),
    ]
    for id, change in zip((ids[3], ids[0], ids[2]), changes, strict=True):
        age()
        change(id)
    age()
    repository.rename(tx, id=ids[1], name="Praia")
    repository.star(tx, id=ids[1], starred=True)
    repository.save_progress(tx, id=ids[4], progress=progress_of(1))
    listed = [row.id for row in repository.list_changed(tx)]
    assert listed[:3] == [ids[2], ids[0], ids[3]] and set(listed[3:]) == {ids[1], ids[4]}
    assert [row.id for row in repository.list_changed(tx, limit=1)] == [ids[2]]
    assert [row.id for row in repository.list_changed(tx, search="PRAIA")] == [ids[1]]


def test_a_page_contains_the_results_of_its_sessions(tx: Session) -> None:
    for minutes in range(3):
        row = make_aged(tx, minutes)
        for hour, file in enumerate(["old", "new"]):
            make_result(tx, row.id, file).created_at = datetime(2031, 1, 1, hour, tzinfo=UTC)
    tx.flush()
    tx.expunge_all()
    shown = repository.list_page(tx)
    assert all("results" not in inspect(row).unloaded for row in shown)
    assert [[result.file for result in row.results] for row in shown] == [["new", "old"]] * 3
    assert shown[0].results[0].bytes == 5_000_000_000


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("100%", {"100% wool"}),
        ("_", {"take_2"}),
        ("/", {"a/b"}),
        ("\\", {"c:\\clips"}),
        ("'", {"it's"}),
        ("ЁЖ ÑAN", {"Ёж ñandú"}),
        ("", {"100% wool", "1000 wools", "take_2", "take 2", "a/b", "c:\\clips", "it's", "Ёж ñandú"}),
        ("nothing", set()),
    ],
)
def test_search_escapes_wildcards(tx: Session, search: str, expected: set[str]) -> None:
    for name in ("100% wool", "1000 wools", "take_2", "take 2", "a/b", "c:\\clips", "it's", "Ёж ñandú"):
        make(tx, name)
    assert {row.name for row in repository.list_page(tx, search=search)} == expected


def test_a_result_has_its_key_and_notes(tx: Session) -> None:
    id = make(tx).id
    assert (make_result(tx, id).key, make_result(tx, id).notes) == (None, [])
    kept = make_result(tx, id, key="ab12", notes=(NOTE,))
    tx.expire_all()
    assert (kept.key, kept.notes, kept.note_messages) == ("ab12", [str(NOTE)], [NOTE.to_json()])


def test_delete_deletes_the_results(tx: Session) -> None:
    kept, gone = make(tx), make(tx)
    for row in (kept, gone):
        make_result(tx, row.id)
    tx.expunge_all()
    repository.delete(tx, id=gone.id)
    assert [row.id for row in repository.list_page(tx)] == [kept.id]
    assert tx.scalar(text("SELECT count(*) FROM results")) == 1


def test_running_sessions_are_interrupted_at_start_up(tx: Session) -> None:
    ids = {state: go(tx, make(tx).id, state).id for state in WAY}
    repository.save_progress(tx, id=ids["running"], progress=progress_of(40))
    assert repository.interrupt_running(tx) == [ids["running"]]
    tx.expire_all()
    row = repository.get(tx, id=ids["running"])
    assert (row.state, row.error) == (State.INTERRUPTED, str(repository.INTERRUPTED))
    assert row.finished_at and row.progress == progress_of(40).to_json()
    for state in WAY:
        assert state == "running" or repository.get(tx, id=ids[state]).state is State(state)
    assert repository.interrupt_running(tx) == []


def test_review_times_are_stored(tx: Session) -> None:
    row = make(tx)
    assert row.checks is None
    repository.save_review_points(tx, id=row.id, points=MatteChecked("key", [0.5, 2.25]))
    tx.expire_all()
    assert repository.get(tx, id=row.id).checks == {"matte": "key", "times": [0.5, 2.25]}


# ---------------------------------------------------------------- whose a session is


@pytest.fixture
def owners(tx: Session) -> list[UUID]:
    rows = [User(name=name, password="") for name in ("Ana", "Eva")]
    tx.add_all(rows)
    tx.flush()
    return [row.id for row in rows]


FOR_AN_OWNER: dict[str, Any] = {
    "get": {},
    "rename": {"name": "x"},
    "star": {"starred": True},
    "save_job": {"job": {}},
    "queue": {},
    "leave_queue": {},
    "delete": {},
}


def test_every_function_with_an_owner_is_tested_below() -> None:
    told = {
        name
        for name, function in vars(repository).items()
        if public(function) and "owner" in signature(function).parameters
    }
    assert told == {*FOR_AN_OWNER, "create", "list_page", "list_changed", "list_ids", "list_unfinished"}


def public(value: Any) -> bool:
    return isfunction(value) and not value.__name__.startswith("_")


@pytest.mark.parametrize("name", FOR_AN_OWNER)
def test_sessions_of_other_users_raise_not_found(tx: Session, owners: list[UUID], name: str) -> None:
    call = getattr(repository, name)
    everybody = [None, *owners]
    for owner in everybody:
        row = make(tx, owner=owner)
        for other in everybody:
            if other != owner:
                with pytest.raises(NotFound, match=f"^There is no session {row.id}\\.$"):
                    call(tx, id=row.id, owner=other, **FOR_AN_OWNER[name])
        tx.expire_all()
        assert repository.get(tx, id=row.id, owner=owner).name == "Beach"
        call(tx, id=row.id, owner=owner, **FOR_AN_OWNER[name])


def test_users_list_only_their_own_sessions(tx: Session, owners: list[UUID]) -> None:
    theirs = {owner: [make_aged(tx, age, owner=owner).id for age in (2, 1)] for owner in (None, *owners)}
    for owner, ids in theirs.items():
        assert [row.id for row in repository.list_page(tx, owner=owner)] == ids[::-1]
        assert [row.id for row in repository.list_page(tx, owner=owner, search="BEACH", limit=1)] == ids[1:]
        assert {row.id for row in repository.list_changed(tx, owner=owner)} == set(ids)
        assert repository.list_ids(tx, owner=owner) == ids
    assert repository.list_page(tx, owner=uuid4()) == []


def test_administrators_see_all_active_sessions(tx: Session, owners: list[UUID]) -> None:
    ages = {owner: age for age, owner in enumerate((None, *owners))}
    rows = {owner: make_aged(tx, age, owner=owner) for owner, age in ages.items()}
    for owner in (None, owners[1]):
        repository.queue(tx, id=rows[owner].id, owner=owner)
    seen = repository.list_active(tx)
    assert {(one.row.owner_id, one.owner) for one in seen} == {(None, None), (owners[1], "Eva")}
    assert repository.count_by_state(tx) == dict.fromkeys(State, 0) | {State.READY: 1, State.QUEUED: 2}
    assert {row.id for row in repository.list_all(tx)} == {row.id for row in rows.values()}


# ---------------------------------------------------------------- the line, and signs of life


def test_a_queued_or_running_session_is_not_queued_again(tx: Session) -> None:
    for before in WAY:
        id = go(tx, make(tx).id, before).id
        assert repository.queue(tx, id=id) == (before not in ("queued", "running"))
        assert repository.get(tx, id=id).state is State("running" if before == "running" else "queued")


def test_only_a_queued_session_leaves_the_queue(tx: Session) -> None:
    for before in WAY:
        id = go(tx, make(tx).id, before).id
        assert repository.leave_queue(tx, id=id) == (before == "queued")
        assert repository.get(tx, id=id).state is State("cancelled" if before == "queued" else before)


def test_the_queue_is_ordered_by_the_time_of_queueing(tx: Session, owners: list[UUID]) -> None:
    rows = [make(tx, owner=owner) for owner in (owners[0], None, owners[1], None)]
    for minute, place in enumerate((2, 0, 3)):
        repository.queue(tx, id=rows[place].id, owner=rows[place].owner_id)
        rows[place].queued_at = datetime(2030, 1, 1, 0, minute, tzinfo=UTC)
    tx.flush()
    assert [row.id for row in repository.list_queued(tx)] == [rows[place].id for place in (2, 0, 3)]


def test_a_run_updates_its_heartbeat(tx: Session) -> None:
    ids = {state: go(tx, make(tx).id, state).id for state in WAY}
    assert {state for state, id in ids.items() if repository.get(tx, id=id).beat_at} == {
        "running",
        *FINISHED,  # when they last gave one
    }
    tx.execute(text("UPDATE sessions SET beat_at = '2001-01-01Z', updated_at = '2001-01-01Z'"))
    repository.record_heartbeats(tx, ids=[str(ids["running"]), ids["done"], uuid4()])
    tx.expire_all()
    years = {state: repository.get(tx, id=id).beat_at.year for state, id in ids.items()}  # type: ignore[union-attr]
    assert years.pop("running") >= 2024 and set(years.values()) == {2001}
    assert repository.get(tx, id=ids["running"]).updated_at.year == 2001  # nothing has changed
    repository.save_progress(tx, id=ids["failed"], progress=progress_of(1))
    assert repository.get(tx, id=ids["failed"]).beat_at == repository.now(tx)
    repository.queue(tx, id=ids["failed"])
    assert repository.get(tx, id=ids["failed"]).beat_at is None
    repository.record_heartbeats(tx, ids=[])


# ---------------------------------------------------------------- what nobody needs any more


def test_sessions_unchanged_for_long_are_expired(tx: Session, owners: list[UUID]) -> None:
    ids = {state: go(tx, make(tx, owner=None).id, state).id for state in WAY}
    starred, young, theirs = make(tx), make(tx), make(tx, owner=owners[0])
    repository.star(tx, id=starred.id, starred=True)
    now = repository.now(tx)
    tx.execute(text("UPDATE sessions SET updated_at = now() - interval '3 days'"))
    repository.rename(tx, id=young.id, name="needed")
    expected = {id for state, id in ids.items() if state not in ("queued", "running")} | {theirs.id}
    assert set(repository.list_expired(tx, before=now - timedelta(days=2))) == expected
    assert repository.list_expired(tx, before=now - timedelta(days=4)) == []
    for id in (starred.id, young.id, ids["queued"], ids["running"], uuid4()):
        with pytest.raises(NotFound):
            repository.delete_expired(tx, id=id, before=now - timedelta(days=2))
    for id in expected:
        repository.delete_expired(tx, id=id, before=now - timedelta(days=2))
    assert {row.id for row in repository.list_all(tx)} == {
        starred.id,
        young.id,
        ids["queued"],
        ids["running"],
    }


def test_rows_of_lost_sessions_are_deleted(tx: Session, owners: list[UUID]) -> None:
    row = make(tx, owner=owners[0])
    gone, kept = (make_result(tx, row.id, file) for file in "ab")
    repository.delete_results(tx, ids=[gone.id, uuid4()])
    tx.expire_all()
    assert [result.id for result in repository.get_any(tx, id=row.id).results] == [kept.id]
    repository.delete_any(tx, id=row.id)
    with pytest.raises(NotFound):
        repository.delete_any(tx, id=row.id)
