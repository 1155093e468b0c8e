"""Every operation of the API's description, asked for with what it allows and what it does not."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings, strategies
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.ui import line
from tests.ui.conftest import serve
from tests.ui.server.api.conftest import Api
from ui.server.api import events
from ui.sessions.webhooks import addresses

pytestmark = pytest.mark.usefixtures("at_once")

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 12
LONG = 600


@schemathesis.serializer("application/offset+octet-stream")
def serialize_part(context: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


def make_things(team: Api) -> dict[str, str]:
    """Make one of each thing that Ana may have; returns their ids by the first part of their address."""
    ana = team.users["Ana"]
    session, run_of = team.make(ana), team.make(ana)
    theirs = team.service.for_owner(ana)
    for id in (session, run_of):
        theirs.choices.save_marks(id, [{"box": [20, 15, 140, 80]}])
    (hook, *_) = [each.row for each in theirs.webhooks.list_webhooks()] or [
        theirs.webhooks.create("https://hooks.example/", ["run.done"])
    ]
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "9"}
    upload = team.program("Ana").post("/uploads", headers=headers).headers["location"]
    return {
        "sessions": session,
        "runs": str(theirs.runs.start(run_of).id),
        "results": line.add_result(team.database, team.home, session),
        "uploads": upload.rpartition("/")[2],
        "webhooks": str(hook.id),
    }


@pytest.mark.timeout(LONG)
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("signed", [True, False], ids=["token", "none"])
def test_answers_are_as_described(
    team: Api, signed: bool, mode: GenerationMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MOST_STREAMS", 0)  # a stream lasts as long as its run
    known = [(2, 1, 6, "", ("1.1.1.1", 443))]
    monkeypatch.setattr(addresses, "look_up", lambda *_, **__: known)
    token = team.token("Ana").token
    headers = {"Authorization": f"Bearer {token}"}
    statuses = Counter[int]()
    with serve(team.app) as url:
        schema = schemathesis.openapi.from_url(f"{url}api/v1/openapi.json", headers=headers)
        for found in schema.get_all_operations():
            operation = found.ok()
            ask_often(operation, mode, headers if signed else {}, make_things(team), statuses)
    assert statuses.keys() == {401} if not signed else {200, 404, 422} <= statuses.keys()
    assert statuses.total() > 100


def ask_often(
    operation: Any,
    mode: GenerationMode,
    headers: dict[str, str],
    things: dict[str, str],
    statuses: Counter[int],
) -> None:
    """Ask for an operation with what the description makes up, and now and then for what there is."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), real=strategies.booleans())
    def ask(case: schemathesis.Case, real: bool) -> None:
        if real and "id" in case.path_parameters:
            case.path_parameters["id"] = things[case.path.split("/")[1]]
        if real and "key" in case.path_parameters:
            case.path_parameters["key"] = "recorte"
        if real and "n" in case.path_parameters:
            case.path_parameters["n"] = 0
        response = case.call(headers=headers)
        case.validate_response(response, checks=CHECKS, headers=headers)
        statuses[response.status_code] += 1

    with suppress(Unsatisfiable):  # an operation without parameters cannot be asked for wrongly
        ask()
