"""Sessions at the API."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text as sql

from db import repository, webhooks
from db.models import State
from pipeline.languages.messages import Message
from tests.ui import line
from tests.ui.server.api.conftest import Api, check_problem

NOTHING = "00000000-0000-4000-8000-000000000000"

pytestmark = pytest.mark.usefixtures("at_once")


def test_a_session_is_read_renamed_starred_and_deleted(team: Api) -> None:
    id = team.make(team.users["Ana"], "Beach.mp4")
    result = line.add_result(team.database, team.home, id)
    client = team.program("Ana")
    told = client.get(f"/sessions/{id}").json()
    assert (told["id"], told["name"], told["state"], told["starred"]) == (id, "Beach.mp4", "ready", False)
    clip = {"width": 160, "height": 90, "frames": 12, "duration": 0.5, "sound": False, "picture": False}
    assert told["clip"] == clip
    assert (told["model"], told["format"], told["background"]) == ("grabcut", "mp4", "#00b140")
    assert [each["id"] for each in told["results"]] == [result] and told["queue_position"] is None
    changed = client.patch(f"/sessions/{id}", json={"name": "Sea", "starred": True}).json()
    assert (changed["name"], changed["starred"]) == ("Sea", True)
    assert client.patch(f"/sessions/{id}", json={}).json()["name"] == "Sea"
    assert client.patch(f"/sessions/{id}", json={"starred": False}).json()["starred"] is False
    told = check_problem(client.patch(f"/sessions/{id}", json={"starred": "?", "nme": "x"}), 422)
    assert {each["at"] for each in told["errors"]} == {"body.starred", "body.nme"}
    check_problem(
        client.patch(f"/sessions/{id}", content=b"{", headers={"content-type": "application/json"}), 400
    )
    deleted = client.delete(f"/sessions/{id}")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert not (team.home / "sessions" / id).exists()
    check_problem(client.get(f"/sessions/{id}"), 404, code="choices.no_such_session")


def test_a_running_session_says_so(team: Api) -> None:
    ana = team.users["Ana"]
    id = team.make(ana)
    team.service.for_owner(ana).run(id)
    told = team.program("Ana").get(f"/sessions/{id}").json()
    assert (told["state"], told["queue_position"]) == ("queued", 1)
    team.service.for_owner(ana).cancel(id)


def test_an_error_is_in_the_language_of_the_request(team: Api) -> None:
    id = team.make(team.users["Ana"])
    with team.database.begin() as tx:
        for state, error in ((State.QUEUED, None), (State.FAILED, Message("runs.internal_error"))):
            repository.change_state(tx, id=id, state=state, error=error)
    for language in ("es", "en"):
        told = team.program("Ana", accept_language=language).get(f"/sessions/{id}").json()
        assert told["error"] == Message("runs.internal_error").render(language)


def test_sessions_are_listed_by_pages(team: Api) -> None:
    ana = team.users["Ana"]
    ids = [team.make(ana, f"clip {number}.mp4") for number in range(7)]
    with team.database.begin() as tx:
        # Two of the same moment, which a cursor has to tell apart.
        query = sql("UPDATE sessions SET created_at = 'epoch' WHERE id = ANY(:ids)")
        tx.execute(query, {"ids": [UUID(id) for id in ids[:2]]})
        repository.star(tx, id=ids[3], starred=True, owner=ana)
        repository.change_state(tx, id=ids[4], state=State.QUEUED)
    team.make(team.users["Ben"])
    client = team.program("Ana")
    for limit in (1, 2, 3, 7, 8):
        found, cursor = list[str](), None
        while True:
            page = client.get("/sessions", params={"limit": limit} | ({"cursor": cursor} if cursor else {}))
            assert page.status_code == 200 and len(page.json()["items"]) <= limit
            found += [each["id"] for each in page.json()["items"]]
            cursor = page.json()["next"]
            if cursor is None:
                break
        assert found[:5] == ids[:1:-1] and {*found[5:]} == {*ids[:2]}

    def listed(**params: str) -> list[str]:
        return [each["id"] for each in client.get("/sessions", params=params).json()["items"]]

    assert listed(search="CLIP 5") == [ids[5]] and listed(search="%") == []
    assert listed(starred="true") == [ids[3]] and len(listed(starred="false")) == 6
    assert listed(state="queued") == [ids[4]] and len(listed(state="ready")) == 6
    for params in ({"limit": "0"}, {"limit": "201"}, {"state": "lost"}, {"starred": "?"}):
        check_problem(client.get("/sessions", params=params), 422)


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "é", "MjAyNi0wMS0wMSA1", "=" * 9])
def test_a_cursor_that_was_never_given_is_refused(team: Api, cursor: str) -> None:
    told = check_problem(team.program("Ana").get("/sessions", params={"cursor": cursor}), 422)
    assert "query.cursor" in told["detail"]


def test_things_of_others_do_not_exist(team: Api) -> None:
    """On every route below a thing of somebody's, as the description lists them."""
    ana = team.users["Ana"]
    id = team.make(ana)
    result = line.add_result(team.database, team.home, id)
    theirs = team.service.for_owner(ana)
    theirs.choices.save_marks(id, [{"box": [20, 15, 140, 80]}])
    run = str(theirs.runs.start(id).id)
    before = team.program("Ana").get(f"/sessions/{id}").json()
    tus = {"Tus-Resumable": "1.0.0"}
    client, ben = team.program("Ana"), team.program("Ben")
    upload = client.post("/uploads", headers=tus | {"Upload-Length": "9"}).headers["location"]
    with team.database.begin() as tx:
        hook = str(webhooks.add(tx, url="https://hooks.example/", events=[], secret="a", owner=ana).id)
    ids = {
        "/sessions/": id,
        "/runs/": run,
        "/results/": result,
        "/uploads/": upload.rpartition("/")[2],
        "/webhooks/": hook,
    }
    schema = client.get("/openapi.json").json()
    asked = 0
    for path, item in schema["paths"].items():
        if "{id}" not in path:
            continue
        thing = next(id for prefix, id in ids.items() if path.startswith(prefix))
        for method, operation in item.items():
            details = []
            for each in (thing, NOTHING):
                answer = ben.request(
                    method,
                    path.format(id=each, n=0),
                    params=smallest_query(schema, operation),
                    **smallest_request(schema, operation),  # type: ignore[arg-type]
                )
                if method == "head":
                    assert answer.status_code == 404
                    continue
                code = answer.json().get("code")
                assert path.startswith("/uploads/") or code.startswith("choices.no_such_"), answer.text
                details.append(check_problem(answer, 404, code=code)["detail"].replace(each, NOTHING))
            assert len({*details}) <= 1
            asked += 1
    assert asked >= 20
    assert ben.get("/sessions").json() == {"items": [], "next": None}
    assert client.get(f"/sessions/{id}").json() == before and team.line.submitted == [id]


def smallest_request(schema: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    """Return headers and body of an operation with only what it must have, and the version of tus."""
    headers = {
        each["name"]: str(smallest(schema, each["schema"]))
        for each in operation.get("parameters", ())
        if each["in"] == "header" and each["required"]
    }
    headers["Tus-Resumable"] = "1.0.0"
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        return {"headers": headers}
    if "application/json" in content:
        return {"headers": headers, "json": smallest(schema, content["application/json"]["schema"])}
    return {"headers": headers | {"Content-Type": next(iter(content))}, "content": b"x"}


def smallest_query(schema: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    """Return the query of an operation with only what it must have."""
    return {
        each["name"]: smallest(schema, each["schema"])
        for each in operation.get("parameters", ())
        if each["in"] == "query" and each["required"]
    }


def smallest(schema: dict[str, Any], kind: dict[str, Any]) -> Any:
    if "anyOf" in kind:
        kind = kind["anyOf"][0]
    if "$ref" in kind:
        kind = schema["components"]["schemas"][kind["$ref"].rpartition("/")[2]]
    if "enum" in kind:
        return kind["enum"][0]
    if kind["type"] == "object":
        return {name: smallest(schema, kind["properties"][name]) for name in kind.get("required", ())}
    return {"array": [], "string": "x", "boolean": True, "number": 1, "integer": 1}[kind["type"]]
