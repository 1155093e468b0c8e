"""Resumable uploads at the API."""

from __future__ import annotations

import asyncio
import base64
import os
import random
import socket
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tusclient.client import TusClient

from tests.ui.conftest import serve
from tests.ui.server.api.conftest import Api, check_problem
from tests.waiting import until
from ui.addresses import API_PREFIX
from ui.server import uploads
from ui.sessions.limits.quota import Quota

pytestmark = pytest.mark.usefixtures("at_once")

TUS = {"Tus-Resumable": "1.0.0"}
PART = TUS | {"Content-Type": "application/offset+octet-stream"}
NOTHING = "0" * 32


def create(client: Any, length: int, name: str = "a.mp4") -> str:
    """Create an upload, and return its address below the API's."""
    metadata = f"filename {base64.b64encode(name.encode()).decode()},filetype dmlkZW8vbXA0, empty"
    answer = client.post(
        "/uploads", headers=TUS | {"Upload-Length": str(length), "Upload-Metadata": metadata}
    )
    assert (answer.status_code, answer.content) == (201, b""), answer.text
    assert answer.headers["upload-offset"] == "0" and answer.headers["tus-resumable"] == "1.0.0"
    address: str = answer.headers["location"]
    return address.removeprefix(API_PREFIX)


def send(client: Any, address: str, offset: int, data: bytes) -> Any:
    return client.patch(address, headers=PART | {"Upload-Offset": str(offset)}, content=data)


def offset(client: Any, address: str) -> int:
    answer = client.head(address, headers=TUS)
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    return int(answer.headers["upload-offset"])


def files(team: Api) -> list[Path]:
    return [path for path in (team.home / "uploads").rglob("*") if path.is_file()]


def test_an_upload_in_parts_becomes_a_session(team: Api) -> None:
    client, data = team.program("Ana"), team.clip.read_bytes()
    address = create(client, len(data), "../Día de playa.mp4")
    half = len(data) // 2
    assert offset(client, address) == 0
    assert send(client, address, 0, data[:half]).headers["upload-offset"] == str(half)
    check_problem(client.post("/sessions", json={"upload": address.rpartition("/")[2]}), 404)
    for wrong in (0, half - 1, half + 1, len(data)):
        told = check_problem(send(client, address, wrong, data[half:]), 409)
        assert str(half) in told["detail"]
    assert offset(client, address) == half
    done = send(client, address, half, data[half:])
    assert (done.status_code, done.headers["upload-offset"]) == (204, str(len(data)))
    assert offset(client, address) == len(data)
    assert send(client, address, len(data), b"").status_code == 204
    made = client.post("/sessions", json={"upload": address.rpartition("/")[2]})
    assert (made.status_code, made.json()["name"]) == (201, "Día de playa.mp4"), made.text
    source = team.home / "sessions" / made.json()["id"] / "source.mp4"
    assert source.read_bytes() == data and not files(team)
    assert client.head(address, headers=TUS).status_code == 404


def test_the_server_says_what_it_takes(team: Api) -> None:
    answer = team.program("Ana").options("/uploads")
    assert (answer.status_code, answer.headers["tus-version"]) == (204, "1.0.0")
    assert answer.headers["tus-extension"] == "creation,termination,expiration"
    assert answer.headers["tus-max-size"] == str(team.uploads.max_bytes)


def test_malformed_requests_are_refused(team: Api) -> None:
    client = team.program("Ana")
    address = create(client, 10)
    length = {"Upload-Length": "10"}
    for version in ({}, {"Tus-Resumable": "0.2.2"}):
        for answer in (
            client.post("/uploads", headers=length | version),
            client.patch(address, headers=PART | {"Upload-Offset": "0", "Tus-Resumable": ""} | version),
            client.delete(address, headers=version),
        ):
            check_problem(answer, 412)
            assert answer.headers["tus-version"] == answer.headers["tus-resumable"] == "1.0.0"
        assert client.head(address, headers=version).status_code == 412
    for malformed in ({}, {"Upload-Length": "-1"}, {"Upload-Length": "many"}):
        check_problem(client.post("/uploads", headers=TUS | malformed), 422)
    check_problem(client.post("/uploads", headers=TUS | length | {"Upload-Metadata": "filename *"}), 400)
    check_problem(client.patch(address, headers=TUS | {"Upload-Offset": "0"}, content=b"x"), 415)
    check_problem(client.patch(address, headers=PART, content=b"x"), 422)
    check_problem(send(client, address, 0, b"x" * 11), 413)
    check_problem(send(client, f"/uploads/{NOTHING}", 0, b"x"), 404)
    check_problem(send(client, "/uploads/part", 0, b"x"), 404)


def test_uploads_of_others_do_not_exist(team: Api) -> None:
    ana, ben = team.program("Ana"), team.program("Ben")
    address = create(ana, 10)
    send(ana, address, 0, b"12345")
    assert ben.head(address, headers=TUS).status_code == 404
    check_problem(send(ben, address, 5, b"67890"), 404)
    check_problem(ben.delete(address, headers=TUS), 404)
    assert offset(ana, address) == 5


def test_an_upload_is_deleted_when_that_is_asked_for(team: Api) -> None:
    client = team.program("Ana")
    address = create(client, 10)
    send(client, address, 0, b"12345")
    assert client.delete(address, headers=TUS).status_code == 204
    assert client.head(address, headers=TUS).status_code == 404 and not files(team)
    check_problem(client.delete(address, headers=TUS), 404)


def test_an_upload_expires(team: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    client = team.program("Ana")
    address = create(client, 10)
    (folder,) = (path.parent for path in files(team) if path.name == uploads.PART)
    os.utime(folder, (0, time.time() - uploads.EXPIRY_SECONDS - 1))
    assert client.head(address, headers=TUS).status_code == 404
    create(client, 10)  # which deletes what has expired
    assert not folder.exists()


def test_uploads_are_bounded(team: Api) -> None:
    client = team.program("Ana")
    beyond = TUS | {"Upload-Length": str(team.uploads.max_bytes + 1)}
    check_problem(client.post("/uploads", headers=beyond), 413)
    address = create(client, 3000)
    team.uploads.quota = Quota(2000, lambda owner: [team.home / "uploads"])
    check_problem(send(client, address, 0, b"0" * 3000), 507, code="limits.quota")
    check_problem(client.post("/uploads", headers=TUS | {"Upload-Length": "3000"}), 507, code="limits.quota")
    assert len(files(team)) == 2  # those of the one upload


def test_an_empty_upload_is_complete(team: Api) -> None:
    address = create(team.program("Ana"), 0)
    assert offset(team.program("Ana"), address) == 0
    assert [path.name for path in files(team)] == ["a.mp4"]


# ---------------------------------------------------------------- broken connections


def holds(path: Path, data: bytes) -> bool:
    return path.read_bytes() == data


def break_off(url: str, token: str, address: str, offset: int, data: bytes, length: int) -> socket.socket:
    """Promise `length` bytes of an upload and send `data`; returns the connection, which is still open."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port))
    head = (
        f"PATCH {API_PREFIX}{address} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n"
        f"Tus-Resumable: 1.0.0\r\nContent-Type: application/offset+octet-stream\r\n"
        f"Upload-Offset: {offset}\r\nContent-Length: {length}\r\n\r\n"
    )
    connection.sendall(head.encode() + data)
    return connection


def test_an_upload_that_breaks_ten_times_is_finished_by_another_client(team: Api, tmp_path: Path) -> None:
    token = team.token("Ana").token
    data = random.Random(7).randbytes(3_000_017)
    (file := tmp_path / "a.bin").write_bytes(data)
    with (
        ExitStack() as still_open,
        serve(team.app) as url,
        httpx.Client(
            base_url=f"{url}api/v1", headers={"authorization": f"Bearer {token}"}, timeout=60
        ) as client,
    ):
        address = create(client, len(data))
        (part,) = (path for path in files(team) if path.name == uploads.PART)
        at = 0
        for number in range(10):
            piece = data[at : at + 100_003 * (number % 3 + 1)]
            connection = still_open.enter_context(break_off(url, token, address, at, piece, len(data) - at))
            until(partial(holds, part, data[: at + len(piece)]))
            if number % 2:
                connection.close()  # the others stay open, as where a cable was pulled
            at = offset(client, address)
            assert at == part.stat().st_size and part.read_bytes() == data[:at]
        tus = TusClient(f"{url}api/v1/uploads", headers={"Authorization": f"Bearer {token}"})
        with file.open("rb") as stream:
            uploader = tus.uploader(file_stream=stream, url=f"{url}api/v1{address}", chunk_size=1_000_000)
            assert uploader.offset == at
            uploader.upload()
        assert offset(client, address) == len(data)
    (whole,) = files(team)
    assert (whole.name, whole.read_bytes()) == ("a.mp4", data)


def test_a_public_client_uploads(team: Api) -> None:
    token = team.token("Ana").token
    with serve(team.app) as url:
        client = TusClient(f"{url}api/v1/uploads", headers={"Authorization": f"Bearer {token}"})
        with team.clip.open("rb") as stream:
            uploader = client.uploader(
                file_stream=stream, metadata={"filename": "Beach.mp4"}, chunk_size=10_000
            )
            uploader.upload()
        id = uploader.url.rpartition("/")[2]
        made = httpx.post(
            f"{url}api/v1/sessions",
            json={"upload": id},
            headers={"authorization": f"Bearer {token}"},
            timeout=60,
        )
    assert (made.status_code, made.json()["name"]) == (201, "Beach.mp4")


def test_the_request_before_ends_for_the_next(team: Api) -> None:
    """Both in one event loop: the first waits for a client that never sends the rest."""
    address = create(team.program("Ana"), 10)
    headers = PART | {"authorization": f"Bearer {team.token('Ana').token}"}

    async def ask() -> tuple[httpx.Response, httpx.Response]:
        begun, over = asyncio.Event(), asyncio.Event()

        async def slowly() -> Any:
            yield b"123"
            begun.set()
            await over.wait()

        transport = httpx.ASGITransport(team.app)
        base = f"http://127.0.0.1:7860{API_PREFIX}"
        async with httpx.AsyncClient(transport=transport, base_url=base, headers=headers) as client:
            first = asyncio.create_task(
                client.patch(address, headers={"upload-offset": "0"}, content=slowly())
            )
            await begun.wait()
            second = await client.head(address)
            over.set()
            return await first, second

    first, second = asyncio.run(ask())
    check_problem(first, 409)
    assert second.headers["upload-offset"] == "3"
