"""Sessions of others do not exist: in every action, every route and every handler of the page."""

from __future__ import annotations

import asyncio
import inspect
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from fractions import Fraction
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import gradio as gr
import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from PIL import Image
from starlette.types import ASGIApp, Receive, Scope, Send

from db import repository
from db.engine import Database
from db.errors import NotFound
from db.ledger import Ledger
from db.models import State, User
from pipeline.compositing.background import Picture
from pipeline.compositing.edges import Edges
from pipeline.compositing.light import Light
from pipeline.generation.backgrounds import picture_name
from tests.ui import line
from tests.waiting import until
from ui import visitor
from ui.addresses import MEDIA_PREFIX
from ui.page import blocks, handlers
from ui.server import media
from ui.sessions.choices import Choices
from ui.sessions.library import drawn_backgrounds, stock_backgrounds
from ui.sessions.library.word_backgrounds import WordBackgrounds
from ui.sessions.runs import Runs
from ui.sessions.service import SessionService
from ui.sessions.sharing.share_links import ShareLinks
from ui.sessions.webhooks.service import Webhooks


class Visitor(NamedTuple):
    """As the gate leaves one."""

    id: UUID | None
    name: str = ""
    admin: bool = False


class Gate:
    """Believes a header: `x-user` is an id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            name = dict(scope["headers"]).get(b"x-user")
            scope.setdefault("state", {})["user"] = Visitor(UUID(name.decode()) if name else None)
        await self._app(scope, receive, send)


class House(NamedTuple):
    """Actions with one session for each of two users and the local one, each with a result."""

    service: SessionService
    line: line.ManualRunner
    home: Path
    ids: dict[UUID | None, str]
    results: dict[UUID | None, str]

    @property
    def strangers(self) -> list[tuple[UUID | None, str]]:
        """Everybody with every session that is not theirs."""
        return [(who, id) for who in self.ids for whose, id in self.ids.items() if who != whose]


def built(make: Callable[[], Any]) -> Any:
    """Give a page an event loop while it is built: Gradio makes some that nobody closes otherwise."""

    async def inside() -> Any:
        return make()

    return asyncio.run(inside())


pytestmark = pytest.mark.usefixtures("at_once")


@pytest.fixture(scope="module")
def users(database: Database) -> Iterator[list[UUID]]:
    with database.begin() as tx:
        rows = [User(name=f"owner {n}", password="") for n in range(2)]
        tx.add_all(rows)
        tx.flush()
        ids = [row.id for row in rows]
    yield ids
    with database.begin() as tx:
        for id in ids:
            tx.delete(tx.get_one(User, id))


@pytest.fixture(scope="module")
def house(
    database: Database, users: list[UUID], clip: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    home = tmp_path_factory.mktemp("home")
    with closing(Ledger(database)) as ledger:
        queue = line.ManualRunner(ledger)
        service = line.make_service(home, database, queue)
        make = line.session_maker(home, database, clip)
        ids = {owner: make(owner) for owner in (None, *users)}
        results = {owner: line.add_result(database, home, id) for owner, id in ids.items()}
        yield House(service, queue, home, ids, results)
        for owner, id in ids.items():
            with suppress(NotFound):
                service.for_owner(owner).delete(id)


# ---------------------------------------------------------------- service

PICTURE = object()
VIDEO = object()
ACTIONS: dict[str, tuple[Any, ...]] = {
    "open": (),
    "read": (),
    "open_for_picture": ("revision",),
    "rename": ("Mine",),
    "star": (True,),
    "delete": (),
    "delete_later": (),
    "undelete": (),
    "choices.await_background": ("picture",),
    "choices.save_marks": ([],),
    "choices.edit": ({"prompts": [], "objects": [], "start": 0.1, "end": 0.3},),
    "choices.trim": (0.1, 0.3),
    "choices.choose_model": ("recorte",),
    "choices.choose_background": ("#102030",),
    "choices.choose_picture": (PICTURE, "a.png"),
    "choices.choose_video": (VIDEO, "a.mp4"),
    "choices.choose_stock_background": (stock_backgrounds.NAMES[0],),
    "choices.set_file_background": (Picture(Path("a.png")),),
    "choices.fit_background": ("fit",),
    "choices.enlarge_background": (True,),
    "choices.choose_matte": (VIDEO, "a.mp4"),
    "choices.read_matte": (True, False),
    "choices.add_mask": (PICTURE, "a.png", 0.1),
    "choices.invert_masks": (True,),
    "choices.choose_classes": (["dog"],),
    "choices.choose_hair": (True,),
    "choices.choose_edges": (Edges(grow=3),),
    "choices.choose_light": (Light(wrap=0.5),),
    "choices.choose_format": ("webm",),
    "choices.choose_quality": ("best",),
    "choices.choose_sound": ("none",),
    "choices.choose_rate": (Fraction(25),),
    "choices.choose_hardware": (True,),
    "choices.choose_crop": ("9:16",),
    "choices.change": ({"hair": True},),
    "run": (),
    "runs.start": (),
    "matte": (),
    "cancel": (),
    "live_cut": (0,),
    "result": ("any",),
    "share_links.create": ("any", 7),
    "share_links.list_links": (),
    "share_links.revoke": ("any",),
    "sound": (),
    "word_backgrounds.cancel": (),
    "word_backgrounds.picture": (7,),
    "word_backgrounds.choose": (7,),
}
SILENT = {"queue_position": None, "eta": None, "progress": None}
"""These tell nothing."""
NO_SESSION = {
    "word_backgrounds.propose",  # a generator, called by the page's handler below
    "word_backgrounds.fill",  # so is this one, called in tests/ui/server/api/test_photography.py
    "create",
    "create_sample",
    "create_example",
    "expected_seconds",
    "list_sessions",
    "list_page",
    "find_unfinished",
    "used_bytes",
    "acknowledge",
    "has_acknowledged",
    "for_owner",
    "share_links.find",
    "find_result",
    "runs.read",
    "runs.cancel",
    "start_download",
    "cancel_download",
    "webhooks.create",
    "webhooks.list_webhooks",
    "webhooks.read",
    "webhooks.remove",
}
SERVERS = {"delete_expired", "recover", "purge", "close", "requeue"}
"""Actions of the server itself."""


def test_every_service_method_is_tested_below() -> None:
    public = {
        prefix + name
        for prefix, owner in (
            ("", SessionService),
            ("choices.", Choices),
            ("share_links.", ShareLinks),
            ("runs.", Runs),
            ("word_backgrounds.", WordBackgrounds),
            ("webhooks.", Webhooks),
        )
        for name, _ in inspect.getmembers(owner, inspect.isfunction)
        if not name.startswith("_")
    }
    assert public == {*ACTIONS, *SILENT, *NO_SESSION, *SERVERS}


def state_of(house: House, database: Database) -> Any:
    """All that is kept of all sessions."""
    with database.begin() as tx:
        rows = [
            {key: value for key, value in vars(row).items() if not key.startswith("_") and key != "results"}
            for row in repository.list_all(tx)
            if str(row.id) in house.ids.values()
        ]
    files = sorted(str(path) for path in house.home.rglob("*"))
    return rows, files, list(house.line.jobs)


@pytest.mark.parametrize("name", ACTIONS)
def test_methods_do_not_find_sessions_of_other_users(
    house: House, database: Database, small_clip: Path, tmp_path: Path, name: str
) -> None:
    before = state_of(house, database)
    for who, id in house.strangers:
        arguments = []
        for argument in ACTIONS[name]:
            if argument is PICTURE:
                Image.new("RGB", (8, 8)).save(argument := tmp_path / "a.png")
            elif argument is VIDEO:
                argument = shutil.copyfile(small_clip, tmp_path / "a.mp4")
            arguments.append(argument)
        with pytest.raises(NotFound, match=f"^There is no session {id}\\.$"):
            attrgetter(name)(house.service.for_owner(who))(id, *arguments)
        assert not list(tmp_path.iterdir())
    assert state_of(house, database) == before


def test_runs_of_other_users_are_hidden(house: House, database: Database, users: list[UUID]) -> None:
    for owner, id in house.ids.items():
        house.service.for_owner(owner).run(id)
    assert [house.service.for_owner(owner).queue_position(id) for owner, id in house.ids.items()] == [1, 2, 3]
    assert [house.service.for_owner(owner).eta(id) for owner, id in house.ids.items()] == [90, 180, 270]
    for who, id in house.strangers:
        theirs = house.service.for_owner(who)
        assert all(getattr(theirs, name)(id) is told for name, told in SILENT.items())
        with pytest.raises(NotFound):
            theirs.cancel(id)
        assert theirs.find_unfinished() == house.ids[who]
    assert len(house.line.jobs) == 3
    for owner, id in house.ids.items():
        house.service.for_owner(owner).cancel(id)
        until(lambda owner=owner, id=id: house.service.for_owner(owner).open(id).row.state is State.CANCELLED)
    assert house.service.for_owner(users[0]).find_unfinished() is None


def test_users_see_only_their_own_sessions(house: House) -> None:
    for owner, id in house.ids.items():
        mine = house.service.for_owner(owner)
        assert (
            [session.id for session in mine.list_sessions()]
            == [id]
            == [session.id for session in mine.list_sessions("A.M")]
        )
        path, _mime, _name = mine.result(id, house.results[owner])
        assert path.parent.name == id
        assert mine.used_bytes() == sum(p.stat().st_size for p in path.parent.iterdir())


def test_uploads_belong_to_their_user(
    house: House, small_clip: Path, users: list[UUID], tmp_path: Path
) -> None:
    mine = house.service.for_owner(users[0])
    id = mine.create(shutil.copyfile(small_clip, tmp_path / "b.mp4"), "b.mp4")
    assert mine.open(id).row.owner_id == users[0]
    for other in (None, users[1]):
        assert id not in [session.id for session in house.service.for_owner(other).list_sessions()]
    mine.delete(id)


# ---------------------------------------------------------------- over HTTP


@pytest.fixture(scope="module")
def server(house: House) -> Iterator[TestClient]:
    """The pictures and results, behind a gate that believes a header."""
    served = FastAPI()
    served.include_router(media.router(house.service))
    served.add_middleware(Gate)
    with TestClient(served) as client:
        yield client


def routes() -> list[str]:
    """Every address under which something of a session is served."""
    table: dict[str, str] = {
        "/{id}/times": "",
        "/{id}/strip": "",
        "/{id}/poster": "?at=5",
        "/{id}/crop": "",
        "/{id}/frames/{index}": "?view=original",
        "/{id}/frames/{index}/candidates": "?object=1",
        "/{id}/frames/{index}/thing": "?x=1&y=1",
        "/{id}/words": "?q=dog",
        "/{id}/proposals/{seed}": "",
        "/{id}/results/{result}": "?download",
        "/{id}/sound": "",
    }
    served = media.router(service_without_frames()).routes
    known = {route.path.removeprefix(MEDIA_PREFIX) for route in served}  # type: ignore[attr-defined]
    assert (
        known - {"/scenes/{name}", "/examples/{name}", "/{id}/version", "/{id}/cut"} == table.keys()
    )  # version and cut are null for who may not see them, below
    return [MEDIA_PREFIX + path + query for path, query in table.items()]


def service_without_frames() -> Any:
    class Bare:
        frames = None

    return Bare()


@contextmanager
def proposed(house: House, id: str) -> Iterator[None]:
    """Have a session a picture of words to choose from, for as long as the block lasts."""
    folder, proposals = house.home / "sessions" / id, drawn_backgrounds.Proposals("a loft", (7,))
    session = house.service.for_owner(next(who for who, own in house.ids.items() if own == id)).open(id)
    name = picture_name(proposals.words(7), session.clip.width, session.clip.height)
    drawn_backgrounds.save(folder, proposals)
    Image.new("RGB", (8, 8)).save(folder / drawn_backgrounds.FOLDER / name)
    yield
    shutil.rmtree(folder / drawn_backgrounds.FOLDER)


@pytest.mark.parametrize("address", routes())
def test_every_route_returns_404_for_sessions_of_other_users(
    house: House, server: TestClient, address: str
) -> None:
    def ask(who: UUID | None, whose: UUID | None, id: str) -> Any:
        url = address.format(id=id, index=0, seed=7, result=house.results[whose])
        return server.get(url, headers={"x-user": str(who)} if who else {})

    for whose, id in house.ids.items():
        with proposed(house, id):
            assert ask(whose, whose, id).status_code == 200
        for who in house.ids.keys() - {whose}:
            answer = ask(who, whose, id)
            nobodys = ask(who, whose, nothing := "00000000-0000-4000-8000-000000000000")
            assert answer.status_code == nobodys.status_code == 404
            assert answer.text.replace(id, nothing) == nobodys.text


@pytest.mark.parametrize("what", ["version", "cut", "cut?at=0&on=1"])
def test_other_users_sessions_equal_unknown_ones_in_what_is_polled(
    house: House, server: TestClient, what: str
) -> None:
    nothing = "00000000-0000-4000-8000-000000000000"
    for who, id in house.strangers:
        headers = {"x-user": str(who)} if who else {}
        for asked in (id, nothing):
            answer = server.get(f"{MEDIA_PREFIX}/{asked}/{what}", headers=headers)
            assert answer.status_code == 200 and answer.json() is None


def test_results_of_other_sessions_are_not_found_through_ones_own(house: House, server: TestClient) -> None:
    for who, own in house.ids.items():
        for whose in house.ids.keys() - {who}:
            url = f"{MEDIA_PREFIX}/{own}/results/{house.results[whose]}"
            assert server.get(url, headers={"x-user": str(who)} if who else {}).status_code == 422


# ---------------------------------------------------------------- handlers


def asking(who: UUID | None, **query: str) -> gr.Request:
    scope: dict[str, Any] = {
        "type": "http",
        "headers": [],
        "query_string": "&".join(f"{key}={value}" for key, value in query.items()).encode(),
        "state": {"user": Visitor(who)},
    }
    return gr.Request(Request(scope))


def given(handler: Callable[..., Any], id: str, request: gr.Request, file: Path) -> list[Any]:
    """Return a handler's arguments from a browser that names this session; a KeyError for what is new."""
    section = handler.__module__.rpartition(".")[2]
    values = {
        "id": id,
        "current": id,
        "event": gr.EventData(None, {"id": id, "starred": True, "name": "Mine"}),
        "request": request,
        "value": "25" if section == "result" else {"prompts": [], "objects": [], "start": 0.1, "end": 0.3},
        "key": "webm" if section == "result" else "recorte",
        "agreed": True,
        "search": "",
        "kind": "picture",
        "file": str(file),
        "colour": "#102030",
        "depth": True,
        "radius": 9.0,
        "fit": "fit",
        "ending": "held",
        "crop": "9:16",
        "clean": True,
        "grow": 1.0,
        "feather": 1.0,
        "drawn": True,
        "angle": 60.0,
        "length": 0.5,
        "softness": 0.5,
        "strength": 0.5,
        "wrap": 0.5,
        "keep": 0.5,
        "match": 0.5,
        "match_to": "subject",
        "despill": "none",
        "name": "Mine",
        "classes": ["dog"],
        "hair": True,
        "scale": 2,
        "enlarge": True,
        "invert": True,
        "unpremultiply": False,
        "inverted": True,
        "words": "a loft",
        "picked": {"chosen": 7},
        "place": '{"time": 0.1, "object": 1}',
    }
    parameters = inspect.signature(handler).parameters.values()
    return [values[one.name] for one in parameters if one.default is one.empty]


def test_every_handler_opens_sessions_of_the_visitor_only(
    house: House, database: Database, small_clip: Path, tmp_path: Path
) -> None:
    """Called with somebody else's session, each refuses, or shows nothing of it."""
    page = built(lambda: blocks.build(house.service))
    functions = [function.fn for function in page.fns.values() if function.fn is not None]
    before = state_of(house, database)
    for who, id in house.strangers:
        refused = []
        for handler in functions:
            if handler.__name__ in ("upload", "drop", "sample", "example"):
                continue  # these make one of one's own
            (folder := tmp_path / "upload").mkdir()
            file = Path(shutil.copyfile(small_clip, folder / "a.mp4"))
            try:
                told = handler(*given(handler, id, asking(who, session=id), file))
                told = dict(told or {}) if not inspect.isgenerator(told) else list(told)
            except gr.Error as error:
                assert error.message == f"There is no session {id}."
                refused.append(handler.__name__)
            else:
                assert handler.__name__ in ("arrive", "refresh", "tick", "clear", "rest", "follow", "go_to")
                assert id not in repr([*map(shown, told.values())])
            shutil.rmtree(folder, ignore_errors=True)
        assert len(refused) > 20 and {"mark", "make", "cancel", "delete", "star", "reopen", "stop"} <= {
            *refused
        }
    assert state_of(house, database) == before


def shown(value: Any) -> Any:
    """Return what an update says."""
    return value if not isinstance(value, gr.blocks.Block) else vars(value).get("_constructor_args")


def test_handlers_of_queued_events_have_the_visitor(users: list[UUID]) -> None:
    def once(request: gr.Request) -> str:
        return str(handlers.user_id_of(request))

    def steps(request: gr.Request) -> Iterator[str]:
        for _ in range(2):
            yield str(handlers.user_id_of(request))

    def served() -> FastAPI:
        server = FastAPI()
        with gr.Blocks() as page:
            told = gr.Textbox()
            gr.Button().click(once, None, told, api_name="queued")
            gr.Button().click(once, None, told, api_name="direct", queue=False)
            gr.Button().click(steps, None, told, api_name="steps")
        gr.mount_gradio_app(server, page, path="/", ssr_mode=False)
        server.add_middleware(Gate)
        return server

    server = built(served)
    with TestClient(server) as client:
        for who in (None, *users):
            headers = {"x-user": str(who)} if who else {}
            for number, name in ((0, "queued"), (2, "steps")):
                body = {"data": [], "fn_index": number, "session_hash": f"{name}{who}"}
                assert client.post("/gradio_api/queue/join", json=body, headers=headers).status_code == 200
                # The stream of answers may be asked for by anybody: it is the event that counts.
                answers = client.get(f"/gradio_api/queue/data?session_hash={name}{who}").text
                outputs = [
                    message["output"]["data"]
                    for text in answers.split("data: ")[1:]
                    if (message := json.loads(text))["msg"] == "process_completed"
                ]
                assert outputs == [[str(who)]], answers
            answer = client.post("/gradio_api/run/direct", json={"data": []}, headers=headers)
            assert answer.json()["data"] == [str(who)]
    assert handlers.user_id_of(gr.Request()) is None
    assert visitor.user_id_of(Request({"type": "http", "headers": []})) is None


# ---------------------------------------------------------------- the line


def test_twenty_queued_sessions_of_two_users_with_five_cancelled(
    database: Database, users: list[UUID], small_clip: Path, tmp_path: Path
) -> None:
    with closing(Ledger(database)) as ledger:
        queue = line.ManualRunner(ledger)
        service = line.make_service(tmp_path, database, queue)
        make = line.session_maker(tmp_path, database, small_clip)
        owners = {make(users[n % 2], f"{n}.mp4"): users[n % 2] for n in range(20)}
        # Both press at once, every button twice, from two threads each.
        threads = [
            threading.Thread(target=lambda id=id, owner=owner: service.for_owner(owner).run(id))
            for id, owner in [*owners.items(), *owners.items()]
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(queue.submitted) == sorted(owners)
        dropped = list(owners)[3:18:3]
        for id in dropped:
            service.for_owner(owners[id]).cancel(id)
            service.for_owner(owners[id]).cancel(id)  # twice is no mistake
        done = []
        while (id := queue.step()) is not None:
            done.append(id)
        assert sorted(done + dropped) == sorted(owners) and len(dropped) == 5

        def states() -> list[State]:
            return [service.for_owner(owner).open(id).row.state for id, owner in owners.items()]

        until(lambda: not {State.QUEUED, State.RUNNING} & set(states()))
        for id, owner in owners.items():
            session = service.for_owner(owner).open(id)
            assert session.row.state is (State.CANCELLED if id in dropped else State.DONE)
            assert [result.file for result in session.row.results] == [
                path.name for path in session.folder.glob("result-*")
            ]
            assert len(session.row.results) == (id not in dropped)
        for owner in users:
            assert len(service.for_owner(owner).list_sessions()) == 10 + 1  # and that of the house
        for id, owner in owners.items():
            service.for_owner(owner).delete(id)
    assert not list((tmp_path / "sessions").iterdir())
