"""Uploads of the page over a connection that breaks in the middle."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from math import inf
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Request, expect

from tests.ui.conftest import Server
from tests.ui.page.test_page import ready, session, upload
from tests.waiting import until

PADDING = 6_000_000


class BreakingProxy:
    """Passes connections on to a server, and breaks those of an upload in the middle of it."""

    def __init__(self, url: str, uploads: Path) -> None:
        self._target = ("127.0.0.1", urlsplit(url).port)
        self._uploads = uploads
        self._limit: float = inf
        self._broken = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        threading.Thread(target=self._accept, daemon=True).start()

    def break_after(self, count: int) -> None:
        """Break the connection that sends so many bytes, and each that goes on with it, until `mend`."""
        self._limit = count

    def mend(self) -> None:
        self._broken = False

    def close(self) -> None:
        self._listener.close()

    def arrived(self) -> int:
        """Return how many bytes of an upload the server has kept."""
        return sum(part.stat().st_size for part in self._uploads.rglob("part"))

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._target) as server:
            back = threading.Thread(target=self._pass_on, args=(server, client), daemon=True)
            back.start()
            self._pass_on(client, server, counts=True)
            back.join()

    def _pass_on(self, source: socket.socket, target: socket.socket, counts: bool = False) -> None:
        """Pass data on; with `counts` until there was too much of it, unlike the files of the page itself."""
        sent = 0
        with suppress(OSError):
            while data := source.recv(65536):
                if self._broken and data.startswith((b"PATCH ", b"HEAD ")):
                    break
                target.sendall(data)
                sent += len(data) if counts else 0
                if sent > self._limit:
                    self._limit, self._broken = inf, True
                    until(lambda: self.arrived() > 0)
                    break
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(server: Server) -> Iterator[BreakingProxy]:
    made = BreakingProxy(server.url, server.home / "uploads")
    yield made
    made.close()


def complete_uploads(server: Server) -> list[Path]:
    """Return the files of uploads, without those that Gradio leaves empty."""
    files = sorted(path for path in (server.home / "uploads").rglob("*") if path.is_file())
    return [path for path in files if path.stat().st_size]


def test_an_upload_goes_on_where_its_connection_broke(
    server: Server, proxy: BreakingProxy, visit: Callable[..., Page], clip: Path, tmp_path: Path
) -> None:
    before = complete_uploads(server)  # of an attempt that failed
    page = visit(proxy.url)
    offsets: list[int] = []

    def note(request: Request) -> None:
        if request.method == "PATCH":
            offsets.append(int(request.headers["upload-offset"]))

    page.on("request", note)
    file = tmp_path / "heavy.mp4"
    file.write_bytes(clip.read_bytes() + PADDING.to_bytes(4, "big") + b"free" + bytes(PADDING - 8))
    proxy.break_after(PADDING // 4)
    upload(page, file)
    progress = page.locator("#upload")
    expect(progress).to_contain_text("The connection broke before heavy.mp4 was here whole")
    arrived = proxy.arrived()
    assert offsets == [0] and arrived > 0
    proxy.mend()
    progress.get_by_role("button", name="Try again").click()
    ready(page)
    expect(progress).to_have_count(0)
    assert len(offsets) == 2 and arrived <= offsets[1] < file.stat().st_size
    assert (server.sessions / session(page) / "source.mp4").read_bytes() == file.read_bytes()
    assert complete_uploads(server) == before
