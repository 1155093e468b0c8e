"""Runs at the API, in a line that moves when a test says so."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import threading
from dataclasses import replace
from typing import Any

import httpx
import pytest

from db import repository, runs
from db.models import State
from tests.ui import line
from tests.ui.server.api.conftest import Api, check_problem
from tests.waiting import until
from ui.addresses import API_PREFIX
from ui.server.api import events
from ui.server.api.answers import describe_run
from ui.server.api.schemas import Progress

pytestmark = pytest.mark.usefixtures("at_once")

BOX = {"prompts": [{"box": [20, 15, 140, 80]}]}


@pytest.fixture
def session(team: Api) -> str:
    """A session of Ana's that can be run."""
    id: str = team.make(team.users["Ana"])
    team.service.for_owner(team.users["Ana"]).choices.save_marks(id, BOX["prompts"])
    return id


def read_events(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Return id and data of each event."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(part.partition(": ")[::2] for part in block.split("\n") if part)
        if "data" in fields:
            assert fields["event"] == "run"
            found.append((fields["id"], json.loads(fields["data"])))
    return found


def test_a_run_is_queued_read_and_done(team: Api, session: str) -> None:
    client = team.program("Ana")
    answer = client.post(f"/sessions/{session}/runs")
    assert answer.status_code == 202, answer.text
    run = answer.json()
    assert answer.headers["location"] == f"/api/v1/runs/{run['id']}"
    assert (run["session"], run["state"], run["queue_position"]) == (session, "queued", 1)
    assert client.post(f"/sessions/{session}/runs").json()["id"] == run["id"]  # as two presses of the button
    team.line.step()
    until(lambda: client.get(f"/runs/{run['id']}").json()["state"] == "done")
    done = client.get(f"/runs/{run['id']}").json()
    assert len(done["results"]) == 1 and done["finished_at"] and done["queue_position"] is None
    second = client.post(f"/sessions/{session}/runs").json()
    assert second["id"] != run["id"]
    assert client.delete(f"/runs/{second['id']}").status_code == 204
    until(lambda: client.get(f"/runs/{second['id']}").json()["state"] == "cancelled")
    assert client.delete(f"/runs/{second['id']}").status_code == 204
    # The first one is as it was.
    assert client.get(f"/runs/{run['id']}").json() == done
    assert client.delete(f"/runs/{run['id']}").status_code == 204
    assert client.get(f"/sessions/{session}").json()["state"] == "cancelled"


def test_a_run_that_the_page_started_is_found(team: Api, session: str) -> None:
    team.service.for_owner(team.users["Ana"]).run(session)
    run = team.program("Ana").post(f"/sessions/{session}/runs").json()
    assert run["state"] == "queued" and team.line.submitted == [session]
    assert team.program("Ana").get(f"/runs/{run['id']}").json() == run


def test_what_cannot_be_run_is_refused(team: Api) -> None:
    id = team.make(team.users["Ana"])
    client = team.program("Ana")
    team.service.for_owner(team.users["Ana"]).choices.await_background(id, "picture")
    check_problem(client.post(f"/sessions/{id}/runs"), 422, code="background.choose_picture")
    assert client.get(f"/sessions/{id}").json()["state"] == "ready"


def test_twenty_requests_with_one_key_make_one_run(team: Api, session: str) -> None:
    headers = {"authorization": f"Bearer {team.token('Ana').token}", "idempotency-key": "the same"}

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(team.app)
        async with httpx.AsyncClient(
            transport=transport, base_url=f"http://127.0.0.1:7860{API_PREFIX}", headers=headers
        ) as client:
            requests = (client.post(f"/sessions/{session}/runs") for _ in range(20))
            return await asyncio.gather(*requests)

    answers = asyncio.run(ask())
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert team.line.submitted == [session]


def test_a_request_that_comes_while_another_with_its_key_is_committed_gets_its_run(
    team: Api, session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = team.program("Ana", idempotency_key="the same")
    run = client.post(f"/sessions/{session}/runs").json()
    monkeypatch.setattr(runs, "find_by_hash", lambda tx, hashed: None)
    assert client.post(f"/sessions/{session}/runs").json()["id"] == run["id"]
    assert team.line.submitted == [session]


def test_a_key_is_known_after_the_run(team: Api, session: str) -> None:
    client = team.program("Ana", idempotency_key="mine")
    run = client.post(f"/sessions/{session}/runs").json()
    team.line.step()
    until(lambda: client.get(f"/runs/{run['id']}").json()["state"] == "done")
    # Even if it could not be run any more.
    team.program("Ana").put(f"/sessions/{session}/prompts", json={"prompts": []})
    assert client.post(f"/sessions/{session}/runs").json()["id"] == run["id"]
    assert team.line.submitted == [session]


def test_a_key_is_of_one_session_and_one_user(team: Api, session: str) -> None:
    client = team.program("Ana", idempotency_key="mine")
    run = client.post(f"/sessions/{session}/runs").json()
    other = team.make(team.users["Ana"])
    check_problem(client.post(f"/sessions/{other}/runs"), 422, code="choices.key_taken")
    theirs = team.make(team.users["Ben"])
    team.service.for_owner(team.users["Ben"]).choices.save_marks(theirs, BOX["prompts"])
    ben = team.program("Ben", idempotency_key="mine")
    assert ben.post(f"/sessions/{theirs}/runs").json()["id"] != run["id"]
    check_problem(ben.post(f"/sessions/{session}/runs"), 404, code="choices.no_such_session")
    another = team.program("Ana", idempotency_key="another")
    told = check_problem(another.post(f"/sessions/{session}/runs"), 409, code="choices.already_running")
    assert run["id"] in told["detail"]


def test_runs_and_results_of_others_do_not_exist(team: Api, session: str) -> None:
    ana, ben = team.program("Ana"), team.program("Ben")
    run = ana.post(f"/sessions/{session}/runs").json()["id"]
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/events")):
        check_problem(ben.request(method, f"/runs/{run}{path}"), 404, code="choices.no_such_run")
    assert ana.get(f"/runs/{run}").json()["state"] == "queued"
    ana.delete(f"/sessions/{session}")
    check_problem(ana.get(f"/runs/{run}"), 404, code="choices.no_such_run")


# ---------------------------------------------------------------- events


def test_a_run_is_followed_to_its_end(team: Api, session: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "POLL_SECONDS", 0.01)
    client = team.program("Ana")
    run = client.post(f"/sessions/{session}/runs").json()["id"]
    seen: list[str] = []

    def follow() -> None:
        seen.append(team.program("Ana").get(f"/runs/{run}/events").text)

    follower = threading.Thread(target=follow)
    follower.start()
    team.line.step()
    follower.join()
    told = read_events(seen[0])
    assert told[-1][1]["state"] == "done" and len(told[-1][1]["results"]) == 1
    assert len({id for id, _ in told}) == len(told)
    # Whoever has seen the end is told that there is no more; others get it.
    again = client.get(f"/runs/{run}/events", headers={"last-event-id": told[-1][0]})
    assert (again.status_code, again.content) == (204, b"")
    answer = client.get(f"/runs/{run}/events", headers={"last-event-id": "queued-1"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert read_events(answer.text) == [told[-1]]


async def collect(runs: list[Any], last: str | None = None) -> str:
    """Return the stream of a run that is read as each of these, one after the other."""
    pending = iter(runs[1:])

    async def read() -> Any:
        return next(pending)

    return "".join([part async for part in events._events(runs[0], read, last)])


def described(team: Api, run: str, **changes: Any) -> Any:
    theirs = team.service.for_owner(team.users["Ana"])
    return describe_run(theirs.runs.read(run), "en").model_copy(update=changes)


@pytest.mark.parametrize("last", [None, "running-matte-4", "running-matte-3"])
def test_events_are_told_once_and_resumed_after_the_last(
    team: Api, session: str, monkeypatch: pytest.MonkeyPatch, last: str | None
) -> None:
    monkeypatch.setattr(events, "POLL_SECONDS", 0.0)
    run = team.program("Ana").post(f"/sessions/{session}/runs").json()["id"]

    def at(frames: int) -> Any:
        progress = Progress(stage="matte", done=frames, total=12, rate=1, left=None, checks=[])
        return described(team, run, state=State.RUNNING, progress=progress, queue_position=0)

    told = read_events(
        asyncio.run(collect([at(4), at(4), at(5), described(team, run, state=State.FAILED)], last))
    )
    ids = ["running-matte-4", "running-matte-5", "failed-1"]
    assert [id for id, _ in told] == (ids[1:] if last == ids[0] else ids)


def test_a_silent_stream_is_kept_alive(team: Api, session: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(events, "KEEP_ALIVE_SECONDS", 0.0)
    run = team.program("Ana").post(f"/sessions/{session}/runs").json()["id"]
    queued = described(team, run)
    text = asyncio.run(collect([queued, queued, queued, described(team, run, state=State.DONE)]))
    assert text.count(": still here") == 2 and len(read_events(text)) == 2


def test_a_long_stream_ends_so_that_its_client_is_authenticated_anew(
    team: Api, session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "LONGEST_STREAM_SECONDS", 0.0)
    run = team.program("Ana").post(f"/sessions/{session}/runs").json()["id"]
    told = read_events(team.program("Ana").get(f"/runs/{run}/events").text)
    assert [id for id, _ in told] == ["queued-1"]


def test_a_user_may_open_so_many_streams(team: Api, session: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_STREAMS", 0)
    run = team.program("Ana").post(f"/sessions/{session}/runs").json()["id"]
    answer = team.program("Ana").get(f"/runs/{run}/events")
    check_problem(answer, 429)
    assert int(answer.headers["retry-after"]) > 0


# ---------------------------------------------------------------- results


def test_a_result_is_sent_whole_and_in_parts(team: Api, session: str) -> None:
    ana, ben = team.program("Ana"), team.program("Ben")
    result = line.add_result(team.database, team.home, session)
    address = f"/results/{result}"
    whole = ana.get(address, headers={"want-repr-digest": "sha-256=1"})
    assert (whole.status_code, whole.content) == (200, b"result")
    assert whole.headers["content-type"] == "video/mp4" and whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["content-disposition"] == 'attachment; filename="a-recorte.mp4"'
    digest = base64.b64encode(hashlib.sha256(b"result").digest()).decode()
    assert whole.headers["repr-digest"] == f"sha-256=:{digest}:"
    head = ana.head(address)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "6")
    part = ana.get(address, headers={"range": "bytes=2-3"})
    assert (part.status_code, part.content) == (206, b"su")
    assert part.headers["content-range"] == "bytes 2-3/6"
    etag = whole.headers["etag"]
    assert ana.get(address, headers={"range": "bytes=2-", "if-range": etag}).content == b"sult"
    assert ana.get(address, headers={"range": "bytes=2-", "if-range": '"another"'}).content == b"result"
    unchanged = ana.get(address, headers={"if-none-match": f'"another", {etag}'})
    assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", etag)
    for range in ("bytes=6-", "bytes=9-12", "lines=1-2", "bytes=x"):
        refused = ana.get(address, headers={"range": range})
        check_problem(refused, 416)
        assert refused.headers["content-range"] == "bytes */6"
    check_problem(ben.get(address), 404, code="choices.no_such_result")
    assert ben.head(address).status_code == 404
    (team.home / "sessions" / session / "result-1.mp4").unlink()
    check_problem(ana.get(address), 404, code="choices.gone")
    with team.database.begin() as tx:
        repository.delete(tx, id=session, owner=team.users["Ana"])
    check_problem(ana.get(address), 404, code="choices.no_such_result")


def test_a_matte_is_there_after_a_run(team: Api, session: str) -> None:
    client = team.program("Ana")
    check_problem(client.get(f"/sessions/{session}/matte"), 404, code="choices.no_matte")
    theirs = team.service.for_owner(team.users["Ana"])
    job = theirs.open(session).effective_job
    for _ in team.service.frames._inference.process(
        replace(job, output=job.output.with_name("result-2.mp4"))
    ):
        pass
    answer = client.get(f"/sessions/{session}/matte")
    assert answer.status_code == 200 and answer.headers["content-type"] == "video/x-matroska"
    assert answer.headers["content-disposition"] == 'attachment; filename="a-matte.mkv"'
    assert answer.content == (team.home / "sessions" / session / "matte.mkv").read_bytes()
    assert client.head(f"/sessions/{session}/matte").headers["content-length"] == str(len(answer.content))
    client.put(f"/sessions/{session}/prompts", json={"prompts": []})
    check_problem(client.get(f"/sessions/{session}/matte"), 404, code="choices.no_matte")
