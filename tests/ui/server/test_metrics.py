"""Health, metrics, the administrators' page, and the status behind them."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from starlette.requests import HTTPConnection
from starlette.testclient import TestClient

from db import repository, users
from db.engine import Database
from db.errors import DatabaseAway, NotFound
from db.models import State
from pipeline.job import Progress
from pipeline.jobs.events import MatteChecked, RunFinished
from pipeline.jobs.runner import ExecutorState
from pipeline.languages.messages import Message
from tests.waiting import DEADLINE, until
from ui.server import admin, health, metrics
from ui.server.metrics import ErrorCounter, MeteredSink, Metrics
from ui.server.middleware.access import AccessMiddleware
from ui.server.status import Account, Run, ServerStatus, count_by_state
from ui.server.visitors import LOCAL, Visitor

ADMIN = Visitor(uuid4(), "Ana", admin=True)
OTHER = Visitor(uuid4(), "Ben")
SESSION = "0f8fad5b-d9cb-469f-a165-70867728950e"


class FakeStatus:
    def __init__(self) -> None:
        self.away = False
        self.works = True
        self.asked = 0
        self.cancelled: list[str] = []
        since = datetime.now(UTC) - timedelta(minutes=7)
        self.under_way = [
            Run(SESSION, "<b>Ben</b>", "running", "recorte", since, 0, 30, 120, 12.34),
            Run(str(uuid4()), "", "queued", "sam2-tiny", since, 1),
        ]

    def check(self) -> None:
        self.asked += 1
        if self.away:
            raise DatabaseAway("database.away", name="geheim", host="host", reason="off")

    def worker(self) -> bool:
        return self.works

    def states(self) -> Mapping[str, int]:
        self.check()
        return {"queued": 3, "running": 1, "done": 9}

    def runs(self) -> Sequence[Run]:
        self.check()
        return self.under_way

    def accounts(self) -> Sequence[Account]:
        return [Account("Ana", True, 4, 1_234_567_890), Account("", False, 0, 0)]

    def cancel(self, session: str) -> None:
        if session != SESSION:
            raise NotFound("choices.no_such_session", id="1")
        self.cancelled.append(session)


class Somebody:
    def __init__(self) -> None:
        self.visitor: Visitor | None = LOCAL

    async def authenticate(self, request: HTTPConnection) -> Visitor | None:
        return self.visitor


class Server:
    def __init__(self, home: Path) -> None:
        self.status, self.who = FakeStatus(), Somebody()
        self.executors = [ExecutorState("cuda:0", SESSION), ExecutorState("cuda:1", None)]
        self.metrics = Metrics(self.status.states, home, lambda: self.executors)
        app = FastAPI()
        for routes in (
            health.router(self.status),
            metrics.router(self.metrics),
            admin.router(self.status, home),
        ):
            app.include_router(routes)
        self.app = AccessMiddleware(
            app,
            authenticator=self.who,
            hosts=["recorte.example.org"],
            on_response=self.metrics.count_response,
        )

    def client(self, host: str = "localhost", address: str = "127.0.0.1", language: str = "en") -> TestClient:
        return TestClient(
            self.app,
            base_url=f"http://{host}",
            client=(address, 1),
            headers={"accept-language": language},
            follow_redirects=False,
        )

    def figure(self, name: str) -> float:
        (line,) = re.findall(rf"^{re.escape(name)} (\S+)$", self.client().get("/metrics").text, re.MULTILINE)
        return float(line)


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


# ---------------------------------------------------------------- health


def test_health_is_public_and_says_only_yes_or_no(server: Server) -> None:
    server.who.visitor = None
    answer = server.client("recorte.example.org", "9.9.9.9").get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"database": True, "worker": True})
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("what", ["away", "works"])
def test_an_unhealthy_part_gives_503(server: Server, what: str) -> None:
    setattr(server.status, what, what == "away")
    answer = server.client().get("/healthz")
    assert answer.status_code == 503
    assert answer.json() == {"database": what != "away", "worker": what != "works"}
    assert "geheim" not in answer.text


@pytest.mark.parametrize("what", ["check", "worker"])
def test_health_answers_while_a_check_hangs(
    server: Server, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    answers, asked = threading.Event(), []

    def hang() -> bool:
        asked.append(what)
        return answers.wait(DEADLINE)

    monkeypatch.setattr(server.status, what, hang)
    try:
        for _ in range(3):
            began = time.monotonic()
            answer = server.client().get("/healthz")
            assert answer.status_code == 503 and time.monotonic() - began < 4
            assert answer.json() == {"database": what != "check", "worker": what != "worker"}
        assert len(asked) == 1
    finally:
        answers.set()
    until(lambda: server.client().get("/healthz").status_code == 200)


def test_health_checks_of_the_database_are_cached(server: Server) -> None:
    client = server.client()
    for _ in range(50):
        client.get("/healthz")
    assert server.status.asked == 1


# ---------------------------------------------------------------- metrics


def test_metrics_are_for_this_machine_and_admins(server: Server) -> None:
    def asked(visitor: Visitor | None, host: str, address: str) -> int:
        server.who.visitor = visitor
        return server.client(host, address).get("/metrics").status_code

    assert asked(None, "localhost", "127.0.0.1") == 200
    assert asked(None, "localhost", "::1") == 200
    assert asked(ADMIN, "recorte.example.org", "9.9.9.9") == 200
    assert asked(None, "recorte.example.org", "9.9.9.9") == 404
    assert asked(OTHER, "recorte.example.org", "9.9.9.9") == 404
    assert asked(None, "recorte.example.org", "127.0.0.1") == 404  # what a proxy here passes on
    assert asked(None, "localhost", "9.9.9.9") == 404


def test_the_metrics_have_current_values(server: Server) -> None:
    assert server.figure("recorte_queue_length") == 3
    assert server.figure('recorte_runs{state="running"}') == 1
    assert server.figure("recorte_database_up") == 1
    assert server.figure('recorte_resident_memory_bytes{process="server"}') > 10**6
    assert server.figure('recorte_disk_bytes{use="free"}') > 0
    assert server.figure('recorte_runs_ended_total{state="done"}') == 0
    said = server.client().get("/metrics")
    assert said.headers["content-type"].startswith("text/plain")
    assert "python_info" not in said.text  # a registry of its own


def test_metrics_without_a_database(server: Server) -> None:
    server.status.away = True
    assert server.figure("recorte_database_up") == 0
    assert server.figure("recorte_queue_length") != server.figure("recorte_queue_length")  # not a number


def test_responses_are_counted_by_status_class(server: Server) -> None:
    client = server.client()
    client.get("/healthz"), client.get("/nowhere"), client.get("/nowhere")
    assert server.figure('recorte_requests_total{status="4xx"}') == 2
    assert server.figure('recorte_requests_total{status="2xx"}') >= 1


def test_executors_are_told_apart(server: Server) -> None:
    assert server.figure('recorte_executor_busy{executor="cuda:0"}') == 1
    assert server.figure('recorte_executor_busy{executor="cuda:1"}') == 0


def test_jobs_of_a_cluster_are_counted_by_state_and_node(server: Server) -> None:
    assert "recorte_cluster_jobs" not in server.client().get("/metrics").text
    nodes = ("gpu-1", "gpu-2", "gpu-1", "", "")
    server.executors = [ExecutorState(f"ray:{n}", str(n), node) for n, node in enumerate(nodes)]
    server.executors.append(ExecutorState("ray:5", None, ""))
    assert server.figure('recorte_cluster_jobs{node="gpu-1",state="running"}') == 2
    assert server.figure('recorte_cluster_jobs{node="gpu-2",state="running"}') == 1
    assert server.figure('recorte_cluster_jobs{node="",state="waiting"}') == 2
    assert server.figure('recorte_executor_busy{executor="ray:5"}') == 0


def test_administrators_see_what_a_run_waits_for(server: Server) -> None:
    server.who.visitor = ADMIN
    since = datetime.now(UTC)
    waits_for = Message("cluster.waiting_node")
    server.status.under_way = [Run(SESSION, "", "running", "recorte", since, 0, waits_for=waits_for)]
    assert "Waiting for a free node of the Ray cluster." in server.client().get("/admin").text
    assert "freien Knoten" in server.client(language="de").get("/admin").text


def test_the_rate_is_that_of_all_runs(server: Server) -> None:
    told: Any = Told()
    sink = MeteredSink(told, server.metrics)
    for key, rate in (("a", 24.5), ("b", 10.0)):
        sink.started(key)
        sink.progressed(key, Progress("matte", 3, 120, rate=rate, left=None))
    assert server.figure("recorte_frames_per_second") == 34.5
    sink.cancelled("a")
    assert server.figure("recorte_frames_per_second") == 10
    sink.cancelled("b")
    assert server.figure("recorte_frames_per_second") == 0


class Told:
    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *what: self.calls.append((name, *what))


def test_runs_are_counted_logged_and_forwarded(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    told: Any = Told()
    sink = MeteredSink(told, server.metrics)
    with caplog.at_level(logging.INFO, "ui"):
        sink.started("a")
        sink.progressed("a", Progress("matte", 3, 120, rate=24.5, left=None))
        assert server.figure("recorte_frames_per_second") == 24.5
        sink.checked("a", MatteChecked("key", []))
        result = RunFinished("mp4", "#00ff00", "recorte", "geheim.mp4", bytes=7, frames=120, seconds=1.0)
        sink.finished("a", result)
        for key, end in (("b", "failed"), ("c", "interrupted")):
            sink.started(key)
            getattr(sink, end)(key, "geheim.mp4: this cannot be.")
        sink.cancelled("d")
    assert [call[:2] for call in told.calls] == [
        ("started", "a"),
        ("progressed", "a"),
        ("checked", "a"),
        ("finished", "a"),
        ("started", "b"),
        ("failed", "b"),
        ("started", "c"),
        ("interrupted", "c"),
        ("cancelled", "d"),
    ]
    assert told.calls[5][2] == "geheim.mp4: this cannot be."
    for state in ("done", "failed", "interrupted", "cancelled"):
        assert server.figure(f'recorte_runs_ended_total{{state="{state}"}}') == 1
    assert server.figure("recorte_frames_total") == 120
    assert server.figure("recorte_frames_per_second") == 0
    ended = [record for record in caplog.records if record.msg == "run ended"]
    assert [(vars(r)["session"], vars(r)["state"]) for r in ended] == [
        ("a", "done"),
        ("b", "failed"),
        ("c", "interrupted"),
        ("d", "cancelled"),
    ]
    assert vars(ended[0])["frames"] == 120 and vars(ended[0])["seconds"] >= 0
    assert "geheim" not in str([vars(record) for record in caplog.records])


def test_errors_are_counted_by_kind(server: Server) -> None:
    log = logging.Logger("somewhere")
    log.addHandler(ErrorCounter(server.metrics))
    log.info("nothing happened")
    log.warning("nor here")
    log.error("something did")
    log.info("refused", extra={"kind": "VideoError"})
    for error in (KeyError("x"), DatabaseAway("database.silent"), KeyError("y")):
        log.error("it failed", exc_info=error)
    assert server.figure('recorte_errors_total{kind="somewhere"}') == 1
    assert server.figure('recorte_errors_total{kind="VideoError"}') == 1
    assert server.figure('recorte_errors_total{kind="KeyError"}') == 2
    assert server.figure('recorte_errors_total{kind="DatabaseAway"}') == 1


# ---------------------------------------------------------------- the admins' page


def test_the_admin_page_is_not_found_by_others(server: Server) -> None:
    server.who.visitor = OTHER
    client = server.client()
    for answer in (client.get("/admin"), client.post(f"/admin/cancel/{SESSION}"), client.get("/nowhere")):
        assert answer.status_code == 404
        assert answer.json() == {"error": "There is nothing at this address."}
    assert server.status.cancelled == []


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ["Queue", "waiting", "7 min", "1.2 GB", "12.3/s"]),
        ("es", ["Cola", "en espera", "7 min", "1,2 GB", "12,3/s"]),
    ],
)
def test_an_admin_sees_users_disk_and_queue(server: Server, language: str, words: list[str]) -> None:
    server.who.visitor = ADMIN
    page = server.client(language=language).get("/admin")
    assert page.status_code == 200 and f'lang="{language}"' in page.text
    for said in (*words, "30 ", "sam2-tiny", "&lt;b&gt;Ben"):
        assert said in page.text, said
    assert "<b>" not in page.text and "<script" not in page.text
    assert page.headers["cache-control"] == "no-store"


def test_an_admin_cancels_a_run(server: Server) -> None:
    server.who.visitor = ADMIN
    client = server.client()
    assert f'action="/admin/cancel/{SESSION}"' in client.get("/admin").text
    answer = client.post(f"/admin/cancel/{SESSION}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin")
    assert client.post(f"/admin/cancel/{uuid4()}").status_code == 303
    assert client.post(f"/admin/cancel/{SESSION}", headers={"origin": "http://evil"}).status_code == 403
    assert server.status.cancelled == [SESSION]


def test_the_admin_page_reports_a_missing_database(server: Server) -> None:
    server.who.visitor, server.status.away = ADMIN, True
    page = server.client().get("/admin")
    assert page.status_code == 503 and "does not answer" in page.text and "geheim" not in page.text


# ---------------------------------------------------------------- where it is read from


@pytest.fixture
def ana(database: Database) -> Iterator[UUID]:
    with database.begin() as tx:
        id = users.add(tx, name="Ana", password="password of ana", admin=True).id
    yield id
    with database.begin() as tx:
        users.remove(tx, name="Ana")


class Mine:
    """The part of the session service that the status reads."""

    def __init__(self) -> None:
        self.owner: UUID | None = None
        self.cancelled: list[tuple[UUID | None, str]] = []

    def for_owner(self, owner: UUID | None) -> Mine:
        theirs = Mine()
        theirs.owner, theirs.cancelled = owner, self.cancelled
        return theirs

    def used_bytes(self) -> int:
        return 1000 if self.owner else 10

    def queue_position(self, id: str) -> int | None:
        return 0

    def progress(self, id: str) -> None:
        return None

    def cancel(self, id: str) -> None:
        self.cancelled.append((self.owner, id))


class Process:
    pid: int | None = 1
    starts = 0

    def start(self) -> None:
        self.starts += 1
        self.pid = 2


class Queue:
    """A runner that is alive or not."""

    alive = False
    states: Sequence[ExecutorState] = ()

    def is_alive(self) -> bool:
        return self.alive

    def executors(self) -> Sequence[ExecutorState]:
        return self.states


def test_a_lost_worker_process_is_reported_once_and_restarted(database: Database) -> None:
    process, queue = Process(), Queue()
    service: Any = Mine()
    status = ServerStatus(database, process, queue, service)
    assert not status.worker()
    queue.alive = True
    assert status.worker() and process.starts == 0
    process.pid = None
    assert not status.worker() and status.worker() and process.starts == 1


def test_the_status_covers_runs_and_files_of_all_users(database: Database, ana: UUID) -> None:
    mine = Mine()
    service: Any = mine
    status = ServerStatus(database, Process(), Queue(), service)
    with database.begin() as tx:
        row = repository.create(
            tx, name="geheim.mp4", source="source.mp4", clip={}, job={"model": "recorte"}, owner=ana
        )
        repository.change_state(tx, id=row.id, state=State.QUEUED)
    status.check()
    assert count_by_state(database)["queued"] == 1
    (run,) = status.runs()
    assert (run.session, run.user, run.state, run.model, run.position) == (
        str(row.id),
        "Ana",
        "queued",
        "recorte",
        0,
    )
    assert "geheim" not in repr(run)
    assert Account("Ana", True, 1, 1000) in status.accounts()
    status.cancel(str(row.id))
    assert mine.cancelled == [(ana, str(row.id))]
    with pytest.raises(NotFound):
        status.cancel(str(uuid4()))
