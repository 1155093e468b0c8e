"""Access to the API, and its refusals."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text as sql

from db import api_tokens
from db.models import ApiToken
from tests.ui.conftest import ROOT, running
from tests.ui.server.api.conftest import Api, check_problem
from tests.ui.server.test_access import environment, user
from tests.waiting import until
from ui import text
from ui.server import logs
from ui.server.api import listings
from ui.server.api.problems import KINDS


def stored(api: Api, id: int) -> ApiToken:
    with api.database.begin() as tx:
        return tx.get_one(ApiToken, id)


# ---------------------------------------------------------------- tokens


def test_a_token_lets_its_user_in(team: Api) -> None:
    new = team.token("Ana")
    assert new.token.startswith("recorte_") and len(new.token) > 40
    assert team.client(new.token).get("/models").status_code == 200
    for token in (new.token[:-1], f"{new.token}x", "", "recorte_"):
        told = check_problem(team.client(token).get("/models"), 401)
        assert told["detail"].startswith("This token is unknown, has expired or was removed.")
    answer = team.client().get("/models")
    assert check_problem(answer, 401)["detail"].startswith("A token is needed:")
    assert answer.headers["www-authenticate"] == 'Bearer realm="Recorte"'
    check_problem(team.client(authorization="Basic YTpi").get("/models"), 401)


def test_only_the_hash_of_a_token_is_stored(team: Api) -> None:
    new = team.token("Ana")
    with team.database.begin() as tx:
        (row,) = tx.execute(sql("SELECT row_to_json(t)::text FROM api_tokens t")).scalars()
    assert new.token not in row and new.token.removeprefix(api_tokens.PREFIX) not in row


def test_the_last_use_of_a_token_is_kept(team: Api) -> None:
    new = team.token("Ana")
    assert stored(team, new.row.id).last_used_at is None
    team.client(new.token).get("/models")
    first = stored(team, new.row.id).last_used_at
    assert first is not None
    with team.database.begin() as tx:
        tx.execute(sql("UPDATE api_tokens SET last_used_at = now() - interval '2 minutes'"))
    team.authenticator.clear_cache()
    team.client(new.token).get("/models")
    again = stored(team, new.row.id).last_used_at
    assert again is not None and again >= first


def test_a_token_that_was_removed_ends_within_seconds(team: Api) -> None:
    new, other = team.token("Ana"), team.token("Ana")
    client = team.client(new.token)
    assert client.get("/models").status_code == 200
    with team.database.begin() as tx:
        api_tokens.remove(tx, id=new.row.id)
    team.clock.now += 5.1
    check_problem(client.get("/models"), 401)
    assert team.client(other.token).get("/models").status_code == 200


def test_a_token_ends_when_it_expires(team: Api) -> None:
    new = team.token("Ana", days=1)
    client = team.client(new.token)
    assert client.get("/models").status_code == 200
    with team.database.begin() as tx:
        tx.execute(sql("UPDATE api_tokens SET expires_at = now()"))
    team.clock.now += 5.1
    check_problem(client.get("/models"), 401)


def test_a_token_ends_with_its_user_and_outlasts_a_new_password(team: Api) -> None:
    new = team.token("Ana")
    client = team.client(new.token)
    with team.database.begin() as tx:
        tx.execute(sql("UPDATE users SET password = 'another'"))
    assert client.get("/models").status_code == 200
    with team.database.begin() as tx:
        tx.execute(sql("DELETE FROM users WHERE name = 'Ana'"))
    team.clock.now += 5.1
    check_problem(client.get("/models"), 401)


def test_a_token_works_at_the_api_alone(team: Api) -> None:
    client = team.program("Ana")
    media = client.get(f"http://127.0.0.1:7860/media/{team.make(team.users['Ana'])}/version")
    assert media.status_code == 401
    assert media.json() == {"error": "You are not signed in. Load the page again and sign in."}


def test_the_cookie_of_the_page_lets_its_own_pages_in(team: Api) -> None:
    browser = team.browser("Ana")
    own = {"origin": "http://127.0.0.1:7860", "sec-fetch-site": "same-origin"}
    assert browser.get("/models").status_code == browser.get("/models", headers=own).status_code == 200
    for foreign in (
        {"origin": "http://localhost:3000"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        check_problem(browser.get("/models", headers=foreign), 403)
    # A token that has ended is noticed, though there is a cookie beside it.
    check_problem(browser.get("/models", headers={"authorization": "Bearer x"}), 401)


def test_without_accounts_this_machine_is_served_alone(api: Api) -> None:
    assert api.client().get("/models").status_code == 200
    assert api.client("whatever").get("/models").status_code == 200
    check_problem(api.client(address="192.168.1.7").get("/models"), 403)
    check_problem(api.client(x_forwarded_for="10.0.0.1").get("/models"), 403)
    check_problem(api.client("whatever", address="192.168.1.7").get("/models"), 403)
    check_problem(api.client(host="evil.example").get("/models"), 400)
    check_problem(api.client(origin="http://evil.example").get("/models"), 403)


def test_tokens_are_made_listed_and_removed_at_the_command_line(tmp_path: Path) -> None:
    def token(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "app.py", "token", *arguments],
            cwd=ROOT,
            env=environment(home),
            capture_output=True,
            text=True,
        )

    home = tmp_path / "home"
    user(home, "add", "Ana", password="ana's password")
    with running(home, RECORTE_LOG="json") as server:
        assert token("list").stdout == "There are no tokens.\n"
        unknown = token("add", "Ben")
        assert (unknown.returncode, unknown.stdout) == (2, "")
        assert unknown.stderr == "There is no user called 'Ben'.\n"
        made = token("add", "ana", "--expires", "30")
        moment = r"\d{4}-\d\d-\d\d \d\d:\d\d UTC"
        assert re.fullmatch(f"Token 1 of Ana works until {moment}\\. It is shown only now\\.\n", made.stderr)
        secret = made.stdout.strip()
        with httpx.Client(
            base_url=f"{server.url}/api/v1", headers={"authorization": f"Bearer {secret}"}
        ) as client:
            assert client.get("/models").status_code == 200
            assert token("add", "Ana").stderr == "Token 2 of Ana works. It is shown only now.\n"
            listed = token("list").stdout.splitlines()
            assert re.fullmatch(f"1: Ana, added {moment}, expires {moment}, last used {moment}", listed[0])
            assert re.fullmatch(f"2: Ana, added {moment}, does not expire, never used", listed[1])
            assert token("remove", "1").stdout == "Token 1 is removed.\n"
            again = token("remove", "1")
            assert again.returncode == 2 and again.stderr.startswith("There is no token of the number 1:")
            until(lambda: client.get("/models").status_code == 401)
        assert secret not in server.said() and "Ana" not in server.said()
    for days in ("0", "-1", "3651", "many"):
        assert token("add", "Ana", "--expires", days).returncode == 2


# ---------------------------------------------------------------- problems


@pytest.mark.parametrize(
    ("accepted", "language", "sentence"),
    [
        ("en-GB,en;q=0.9", "en", "There is nothing at this address."),
        ("es", "es", text.ACCESS["es"]["nothing"]),
        ("de-AT, en;q=0.5", "de", text.ACCESS["de"]["nothing"]),
        ("tlh", "en", "There is nothing at this address."),
    ],
)
def test_a_problem_is_in_the_language_of_its_request(
    api: Api, accepted: str, language: str, sentence: str
) -> None:
    answer = api.client(accept_language=accepted).get("/nothing")
    told = check_problem(answer, 404)
    assert told["detail"] == sentence and answer.headers["content-language"] == language
    assert told["title"] == KINDS[404].title  # programs compare it


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "", 404),
        ("GET", "/", 404),
        ("GET", "/models/", 404),
        ("GET", "/%2e%2e/media", 404),
        ("GET", "/models//", 404),
        ("GET", "/.htaccess", 404),
        ("POST", "/models", 405),
        ("DELETE", "/formats", 405),
        ("OPTIONS", "/models", 404),
        ("TRACE", "/models", 404),
        ("PROPFIND", "/models", 404),
    ],
)
def test_unknown_addresses_and_methods_are_problems(api: Api, method: str, path: str, status: int) -> None:
    check_problem(api.client().request(method, f"http://127.0.0.1:7860/api/v1{path}"), status)


def test_a_body_is_bounded(api: Api) -> None:
    check_problem(api.client().post("/models", content=b" " * (4 * 2**20 + 1)), 413)


def test_a_busy_server_says_when_to_try_again(api: Api) -> None:
    api.app._max_requests = 0
    answer = api.client().get("/models")
    check_problem(answer, 503)
    assert int(answer.headers["retry-after"]) > 0


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """The lines of the log, as JSON."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    logs.setup("json", stream)
    yield stream
    root.handlers[:], root.level = before[0], before[1]


def test_each_answer_has_an_id_that_the_log_has(
    team: Api, logged: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def describe(*_: object) -> None:
        logging.getLogger("ui.somewhere").info("in a thread")
        raise ZeroDivisionError

    monkeypatch.setattr(listings, "describe_model", describe)
    client = team.program("Ana")
    answers = [client.get("/formats"), client.get("/models"), client.get("/nothing"), team.client().get("/x")]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert len({*ids}) == 4 and all(re.fullmatch("[0-9a-f]{32}", id) for id in ids)
    check_problem(answers[1], 500, code="runs.internal_error")
    lines = [json.loads(each) for each in logged.getvalue().splitlines()]
    answered = [each for each in lines if each["event"] == "answered a request of the API"]
    assert [(each["request"], each["status"], each.get("user")) for each in answered] == [
        (ids[0], 200, str(team.users["Ana"])),
        (ids[1], 500, str(team.users["Ana"])),
        (ids[2], 404, str(team.users["Ana"])),
        (ids[3], 401, None),
    ]
    assert [each["request"] for each in lines if each["event"] == "in a thread"] == [ids[1]]
    own = team.client(x_request_id="mine").get("/models").headers["x-request-id"]
    assert own not in ("mine", *ids)


def test_answers_outside_the_api_have_an_id_too(team: Api) -> None:
    answer = team.client().get("http://127.0.0.1:7860/nowhere")
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


# ---------------------------------------------------------------- description


def test_the_description_is_openapi_3_1(api: Api) -> None:
    schema = api.client().get("/openapi.json").json()
    assert schema["openapi"].startswith("3.1.") and schema["servers"] == [{"url": "/api/v1"}]
    assert {"/models", "/formats"} <= schema["paths"].keys()
    for path, item in schema["paths"].items():
        for operation in item.values():
            assert operation["description"], path
            assert "application/problem+json" in operation["responses"]["default"]["content"]
            assert "422" not in operation["responses"]
    ids = [operation["operationId"] for item in schema["paths"].values() for operation in item.values()]
    assert len(ids) == len({*ids})
    assert "HTTPValidationError" not in schema["components"]["schemas"]


def test_the_documentation_names_everything_and_loads_from_this_server_alone(api: Api) -> None:
    client = api.client()
    page = client.get("/docs")
    schema = client.get("/openapi.json").json()
    assert page.status_code == 200
    for path, item in schema["paths"].items():
        for method in item:
            assert f"<code>{method.upper()} /api/v1{path}</code>" in page.text
    for name in schema["components"]["schemas"]:
        assert f'id="{name}"' in page.text
    for kind in KINDS.values():
        assert f'<dt id="{kind.name}">' in page.text
    assert re.findall(r'(?:src|href)="([^"#]+)"', page.text) == ["/favicon.ico", "/plain.css", "openapi.json"]
    assert "<script" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
    links = {*re.findall(r'href="#([^"]+)"', page.text)}
    assert links and all(f'id="{link}"' in page.text for link in links)


def test_the_documentation_leads_browsers_to_the_login(team: Api) -> None:
    answer = team.client(accept="text/html").get("/docs")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Fapi%2Fv1%2Fdocs")
    check_problem(team.client(accept="text/html").get("/openapi.json"), 401)
    assert team.browser("Ana").get("/docs").status_code == 200


# ---------------------------------------------------------------- models and formats


def test_models_and_formats_are_listed(team: Api) -> None:
    client = team.program("Ana", accept_language="es")
    models = {each["key"]: each for each in client.get("/models").json()["items"]}
    assert models["recorte"]["present"] and models["recorte"]["acknowledged"]
    assert models["recorte"]["purpose"] == text.LOCALES["es"].model_purposes["recorte"]
    assert models["rmbg"]["restriction"] and not models["rmbg"]["acknowledged"]
    assert "person" in models["classes"]["classes"] and models["sam2-tiny"]["download_bytes"] > 10**8
    team.service.for_owner(team.users["Ana"]).acknowledge("rmbg")
    for name, acknowledged in (("Ana", True), ("Ben", False)):
        listed = {each["key"]: each for each in team.program(name).get("/models").json()["items"]}
        assert listed["rmbg"]["acknowledged"] is acknowledged
    formats = {each["key"]: each for each in client.get("/formats").json()["items"]}
    assert formats["webm"] == {
        "key": "webm",
        "label": "WebM · VP9",
        "suffix": ".webm",
        "media_type": "video/webm",
        "content": "picture",
        "alpha": True,
        "sound": True,
        "still": False,
        "hardware": formats["webm"]["hardware"],
    }
