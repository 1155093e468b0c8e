"""A local server that plays the hub, and a model whose weights lie there.

`python -m tests.pipeline.hub ARGUMENTS` is the command line of the pipeline with that model; `HF_ENDPOINT`
says where the hub is.
"""

import hashlib
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pipeline import models
from pipeline.__main__ import main
from pipeline.models import Model
from pipeline.weights.spec import HUB, File, Weights
from tests.pipeline import stand_in

CONTENT = Random(1).randbytes(3_000_000)
PATH = "/tests/cutter/resolve/main/cutter.pth"
PINNED = File("cutter.pth", HUB + PATH, len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
LOOSE = File("tests/loose.pth", HUB + PATH, len(CONTENT) + 77)


@dataclass
class Hub:
    """Files and behaviour of the hub, and the requests that it had."""

    content: bytes = CONTENT
    tag: str = '"one"'
    status: int = 200
    ranges: bool = True
    cut: int | None = None
    """Breaks off after so many bytes of each answer."""
    pause: float = 0.0
    """Seconds between two pieces of 64 KiB."""
    kind: str = "application/octet-stream"
    location: str = "/stored/cutter"
    """Return the address that one of the hub leads to."""
    sent: int = 0
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    """The path and the range of each."""
    authorizations: set[str | None] = field(default_factory=set)
    """The values of that header which the requests had."""
    address: str = ""

    @contextmanager
    def serving(self) -> Iterator[None]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: Any) -> None:
                pass  # a client that goes is part of the game

        server = Server(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            self.pause = 0
            server.server_close()

    def answer(self, to: BaseHTTPRequestHandler) -> None:
        asked = to.headers.get("Range")
        self.requests.append((to.path, asked))
        self.authorizations.add(to.headers.get("Authorization"))
        if to.path != "/stored/cutter":
            to.send_response(302)
            to.send_header("Location", self.location)
            to.send_header("Content-Length", "0")
            to.end_headers()
            return
        start, status = 0, self.status
        if status == 200 and asked and self.ranges and to.headers.get("If-Range") == self.tag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            status = 206 if start < len(self.content) else 416
        body = self.content[start:] if status in (200, 206) else b""
        to.send_response(status)
        to.send_header("ETag", self.tag)
        to.send_header("Content-Type", self.kind)
        to.send_header("Content-Length", str(len(body)))
        span = f"{start}-{len(self.content) - 1}" if status == 206 else "*"
        if status in (206, 416):
            to.send_header("Content-Range", f"bytes {span}/{len(self.content)}")
        to.end_headers()
        for at in range(0, len(body[: self.cut]), 65536):
            piece = body[: self.cut][at : at + 65536]
            to.wfile.write(piece)
            self.sent += len(piece)
            time.sleep(self.pause)


def apart(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Keep weights, caches and proxies of the user's out of a test; returns the folder of weights."""
    for name in (
        "TORCH_HOME",
        "HF_ENDPOINT",
        "HF_TOKEN",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RECORTE_WEIGHTS", str(folder / "weights"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(folder / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder / "hub"))
    return folder / "weights"


class Cutter(stand_in.Threshold):
    """Runs with the right weights only."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        if path.read_bytes() != CONTENT:
            raise ZeroDivisionError("half a file was loaded")


def _load(_device: str, files: list[Path]) -> Model:
    return Cutter(*files)


CARD = models.Card(
    "cutter",
    "Cutter",
    "For tests.",
    points=True,
    box=True,
    automatic=True,
    licence="-",
    licence_url="https://example.org/licence",
    load=_load,
    weights=Weights((PINNED,)),
    restriction="Not to be sold.",
)


if __name__ == "__main__":
    models.cards()[CARD.key] = CARD
    with stand_in.registered():
        status = main()
    sys.exit(status)
