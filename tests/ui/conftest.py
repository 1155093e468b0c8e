"""A real server in a process of its own, and a real browser that looks at it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit

import psutil
import pytest
import uvicorn
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    expect,
    sync_playwright,
)
from starlette.types import ASGIApp

from pipeline.jobs import sandbox
from tests import browser as system_browser
from tests import children, rendered, waiting
from tests.ui.hosted import LocalWorker

ROOT = Path(__file__).resolve().parents[2]


class Server:
    """`python app.py` on a data folder of its own; may be killed and started again.

    `program` is what Python is given instead of it.
    """

    def __init__(self, home: Path, *, program: tuple[str, ...] = ("app.py",), **settings: str) -> None:
        self.home = home
        self.program = program
        self.log = home.parent / f"{home.name}.log"
        self.settings = settings
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {k: v for k, v in os.environ.items() if k != "DATABASE_URL"}
        with self.log.open("ab") as log:
            said = log.tell()
            self._process = process = children.start(
                [sys.executable, "-u", *self.program],
                cwd=ROOT,
                env=environment | {"RECORTE_HOME": str(self.home), "RECORTE_PORT": "0"} | self.settings,
                stdout=log,
                stderr=log,
            )
        waiting.until(lambda: "Recorte is at " in self.said()[said:] or process.poll() is not None)
        if process.poll() is not None:
            raise RuntimeError(f"the server did not start:\n{self.said()}")
        self.url = self.said()[said:].split("Recorte is at ")[1].split()[0]

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(None if self._process is None else self._process.pid)

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def failed(self, *, but_for: str = "") -> bool:
        """It has said that something went wrong inside it, beside exceptions of a kind that a test wanted."""
        faults = re.findall(r'.*(?:Traceback|"level": "(?:error|critical)").*', self.said())
        return any(not but_for or f'"kind": "{but_for}"' not in fault for fault in faults)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            try:
                self._process.wait(waiting.DEADLINE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
                raise
            finally:
                self._process = None

    def status(self, path: str) -> int:
        """Return the status of the answer to a plain request; 0 where there is none."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=waiting.DEADLINE) as response:
                return int(response.status)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code
        except URLError:
            return 0

    @property
    def sessions(self) -> Path:
        return self.home / "sessions"

    def lasting_files(self) -> list[str]:
        """Every file but for what is computed in the background, for a while also without a page."""
        computed = re.compile(r"\.parts/|\.index$|/strip\.jpg$|/\.")
        return [name for name in self.files() if not computed.search(name)]

    def files(self) -> list[str]:
        """Every file of every session."""
        return sorted(str(p.relative_to(self.sessions)) for p in self.sessions.rglob("*") if p.is_file())


@contextmanager
def running(home: Path, *, but_for: str = "", **options: Any) -> Iterator[Server]:
    """A server that is stopped at the end, and may have failed in no other way than `but_for`."""
    server = Server(home, **options)
    server.start()
    yield server
    server.stop()
    assert not server.failed(but_for=but_for), server.said()


@contextmanager
def running_with_stand_ins(*, but_for: str = "", **settings: str) -> Iterator[Server]:
    """As `running`, with stand-ins among its models, and folders for weights of its own."""
    with tempfile.TemporaryDirectory(prefix="recorte-page-", ignore_cleanup_errors=True) as folder:
        folders = {"RECORTE_WEIGHTS": str(Path(folder, "weights")), "HF_HOME": str(Path(folder, "cache"))}
        program = ("-m", "tests.ui.stand_in_app")
        with running(Path(folder, "home"), but_for=but_for, program=program, **folders, **settings) as server:
            yield server


@contextmanager
def serve(application: ASGIApp) -> Iterator[str]:
    """Serve an application in a thread of this process; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(application, port=port, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    waiting.until(lambda: server.started)
    yield f"http://127.0.0.1:{port}/"
    server.should_exit = True
    thread.join(waiting.DEADLINE)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with (
        tempfile.TemporaryDirectory(prefix="recorte-page-", ignore_cleanup_errors=True) as folder,
        running(Path(folder, "home"), RECORTE_UPLOAD_MB="8") as server,
    ):
        yield server


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    """A browser in which every wait has the tests' one deadline."""
    milliseconds = 1000 * waiting.DEADLINE
    expect.set_options(timeout=milliseconds)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=system_browser.chromium(), args=list(system_browser.ARGS)
        )
        browser.on("context", lambda context: context.set_default_timeout(milliseconds))
        yield browser
        browser.close()


@pytest.fixture
def visit(chrome: Browser) -> Iterator[Callable[..., Page]]:
    """Opens the page as a new visitor would; fails the test for what a console, a host or a status tells.

    With `live` the clip is cut in the background: a model at work beside every test makes all of them slow.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def said(message: ConsoleMessage) -> None:
        # What could not be loaded is told by its answer; "Response" is Gradio's echo of one. It also reports
        # the requests that it gives up where a page is left.
        aborted = "AbortError: (signal is|BodyStreamBuffer was) aborted"
        known = f"Failed to load resource|Response$|{aborted}|.*Connection errored out"
        if message.type == "error" and not re.match(known, message.text, re.DOTALL):
            complaints.append(message.text)

    def asked(request: Request) -> None:
        if urlsplit(request.url).hostname not in (None, "127.0.0.1"):  # None: blob and data
            complaints.append(f"asked of another host: {request.url}")

    def answered(response: Response) -> None:
        # Gradio's page may ask how far an upload is before or after the server knows of it, and a picture
        # that was asked for while the marks changed is refused, by 409, however fast the page is.
        # Where leaving the page cuts a stream off, Gradio asks whether the server is still the same.
        raced = response.status == 409 and "/frames/" in response.url
        raced |= "/upload_progress" in response.url or response.url.endswith("/app_id")
        if response.status >= 400 and not raced:
            complaints.append(f"{response.status} {response.url}")

    def go(url: str, locale: str = "en-GB", live: bool = False, **options: object) -> Page:
        context = chrome.new_context(locale=locale, accept_downloads=True, **options)  # type: ignore[arg-type]
        if not live:
            context.add_init_script("localStorage.setItem('recorte.live', 'off')")
        contexts.append(context)
        page = context.new_page()
        page.on("console", said)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("response", answered)
        page.on("request", asked)
        page.goto(url)
        expect(page.locator("#drop input[type=file]").or_(page.locator("#side"))).to_be_attached()
        return page

    yield go
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of a moving figure, with sound."""
    frames, _alphas = rendered.subject_over_background(24, 320, 180)
    return rendered.write_clip(tmp_path_factory.mktemp("clip") / "figure.mp4", frames, sound=True)


@pytest.fixture(scope="module")
def small_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a second, for who has nothing to see in it."""
    frames, _alphas = rendered.subject_over_background(12, 160, 90)
    return rendered.write_clip(tmp_path_factory.mktemp("clip") / "a.mp4", frames)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploads are looked at in this process; in one of their own in `test_arrangement`."""
    monkeypatch.setattr(sandbox, "Worker", LocalWorker)


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that takes long enough to be stopped in the middle."""
    frames, _alphas = rendered.subject_over_background(60, 240, 136)
    return rendered.write_clip(tmp_path_factory.mktemp("clip") / "longer.mp4", frames * 3)


@pytest.fixture(scope="session")
def lasting_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One whose run goes on for as long as a test looks at it: for a minute and a half at least."""
    frames, _alphas = rendered.subject_over_background(60, 240, 136)
    return rendered.write_clip(tmp_path_factory.mktemp("clip") / "lasting.mp4", frames * 40)


@pytest.fixture
def watched() -> Callable[[Page], list[str]]:
    """Return a page's complaints, other than that something was refused."""

    def watch(page: Page) -> list[str]:
        complaints: list[str] = []

        def said(message: ConsoleMessage) -> None:
            if message.type == "error" and not message.text.startswith("Failed to load resource"):
                complaints.append(message.text)

        page.on("console", said)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return complaints

    return watch
