"""Webhooks at the API."""

from __future__ import annotations

import pytest

from tests.ui.server.api.conftest import Api, check_problem
from ui.sessions.webhooks import addresses

pytestmark = pytest.mark.usefixtures("at_once")


@pytest.fixture(autouse=True)
def public(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name is at an address of the internet, but for numbers."""

    def look_up(host: str, port: int, **_: object) -> list[object]:
        return [(2, 1, 6, "", (host if host[0].isdigit() else "1.1.1.1", port))]

    monkeypatch.setattr(addresses, "look_up", look_up)


def test_a_webhook_is_made_listed_and_removed(team: Api) -> None:
    client = team.program("Ana")
    answer = client.post("/webhooks", json={"url": "https://hooks.example/a?b=c", "events": ["run.done"]})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert len(made.pop("secret")) > 40 and answer.headers["cache-control"] == "no-store"
    assert answer.headers["location"] == f"/api/v1/webhooks/{made['id']}"
    assert made["url"] == "https://hooks.example/a?b=c" and made["events"] == ["run.done"]
    assert made["active"] and made["error"] is None and made["waiting"] == 0
    assert client.get("/webhooks").json() == {"items": [made]}
    assert client.get(f"/webhooks/{made['id']}").json() == made
    stranger = team.program("Ben")
    assert stranger.get("/webhooks").json() == {"items": []}
    for ask in (stranger.get, stranger.delete):
        check_problem(ask(f"/webhooks/{made['id']}"), 404, code="choices.no_such_webhook")
    assert client.delete(f"/webhooks/{made['id']}").status_code == 204
    check_problem(client.get(f"/webhooks/{made['id']}"), 404, code="choices.no_such_webhook")
    assert client.get("/webhooks").json() == {"items": []}


def test_a_run_of_ones_own_is_told(team: Api) -> None:
    client = team.program("Ana")
    id = client.post("/webhooks", json={"url": "https://hooks.example/"}).json()["id"]
    for name in ("Ben", "Ana"):
        session = team.make(team.users[name])
        theirs = team.service.for_owner(team.users[name])
        theirs.choices.save_marks(session, [{"box": [20, 15, 140, 80]}])
        theirs.run(session)
        theirs.cancel(session)
    for _ in range(1000):
        if client.get(f"/webhooks/{id}").json()["waiting"]:
            break
    assert client.get(f"/webhooks/{id}").json()["waiting"] == 1


def test_what_is_no_address_for_a_webhook_is_refused(team: Api) -> None:
    client = team.program("Ana")
    for url, code in (
        ("http://10.0.0.1/", "webhooks.private"),
        ("http://127.0.0.1:7860/", "webhooks.private"),
        ("ftp://hooks.example/", "webhooks.url"),
    ):
        check_problem(client.post("/webhooks", json={"url": url}), 422, code=code)
    for more in ({"events": []}, {"events": ["run.begun"]}, {"secret": "mine"}):
        check_problem(client.post("/webhooks", json={"url": "https://hooks.example/"} | more), 422)
    german = client.post("/webhooks", json={"url": "http://10.0.0.1/"}, headers={"accept-language": "de"})
    assert "öffentliche" in german.json()["detail"]
    assert client.get("/webhooks").json() == {"items": []}
