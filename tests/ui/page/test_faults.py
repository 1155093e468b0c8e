"""Killed servers and workers, and several users at once: nothing is lost, no file is left half-written."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from tests import ffprobe, rendered, waiting
from tests.ui.conftest import ROOT, Server
from tests.ui.page.test_page import Visit, address, done, ready, session, upload

NAMES = re.compile(r"source\.mp4(\.index)?|strip\.jpg|matte\.mkv(\.index|\.parts/.*)?|result-\w+\.mp4")


@pytest.fixture
def long_lived() -> Iterator[Server]:
    """A server with slow models, which saves resume data twice a second."""
    with tempfile.TemporaryDirectory(prefix="recorte-faults-", ignore_cleanup_errors=True) as folder:
        server = Server(Path(folder) / "home", program=("-m", "tests.ui.stand_in_app"), SEGMENT_SECONDS="0.5")
        server.start()
        yield server
        server.stop()
        print(server.said())


def choose_model(page: Page, name: str) -> None:
    """Choose a model each of whose mattes depends on all frames before it."""
    page.locator("#model input").click()
    page.get_by_role("option", name=name, exact=True).click()
    expect(page.locator("#model input")).to_have_value(name)
    ready(page)


def worker(server: Server) -> psutil.Process:
    """Return the worker process that runs jobs."""
    hosted = [p for p in server.process.children() if "spawn_main" in " ".join(p.cmdline())]
    return max(hosted, key=lambda p: p.memory_info().rss)


def files(server: Server, id: str) -> list[str]:
    return [name.split("/", 1)[1] for name in server.files() if name.startswith(id)]


def results(server: Server, id: str) -> list[Path]:
    return sorted((server.sessions / id).glob("result-*"), key=lambda path: path.stat().st_mtime)


def test_a_run_killed_ten_times_has_the_same_result(long_lived: Server, visit: Visit, tmp_path: Path) -> None:
    server, chance = long_lived, random.Random(11)
    # With AVX-512, x264's macroblock tree reads memory that it never wrote unless a row has a multiple of 16
    # macroblocks (core 165): of the same frames, it then makes files that differ in some bits.
    frames, _alphas = rendered.subject_over_background(60, 256, 144)
    clip = rendered.write_clip(tmp_path / "long.mp4", frames * 8)
    page = visit(server.url)
    upload(page, clip)
    ready(page)
    choose_model(page, "Remembering")
    undisturbed = session(page)
    page.locator("#make").click()
    done(page)
    page.locator("#another").click()
    upload(page, clip)
    page.wait_for_url(lambda url: "session=" in url and undisturbed not in url)
    ready(page)
    choose_model(page, "Dwelling")  # finds the same, only slowly
    id = session(page)
    kept = -1
    for n in range(10):
        if n:
            expect(page.locator("#make")).to_have_text("Continue" if kept else "Make the video")
        page.locator("#make").click()
        expect(page.locator("#progress")).to_contain_text("of 480 frames")
        time.sleep(chance.uniform(0, 0.8))
        hosted = worker(server)
        if n % 3:
            page.context.close()
            family = server.process.children(recursive=True)
            if n % 3 == 2:
                hosted.kill()
            server.stop(signal.SIGKILL)
            # PostgreSQL's processes are looked after by the next server; ours went with their parent.
            _, alive = psutil.wait_procs([p for p in family if p.name() == hosted_name(p)], waiting.DEADLINE)
            assert not alive
            server.start()
            page = visit(address(server, id))
        else:
            hosted.kill()
        expect(page.locator("#progress [role=alert]")).to_be_visible()
        ready(page)
        there = files(server, id)
        whole = [name for name in there if not Path(name).name.startswith(".")]
        assert all(NAMES.fullmatch(name) for name in whole), there
        assert not results(server, id)
        segments = len([name for name in there if re.search(r"\.parts/.*/segment-\d+\.json$", name)])
        assert segments >= kept
        kept = segments
    assert kept >= 4, "what was finished stays"
    page.locator("#make").click()
    done(page)
    (expected,), (made,) = results(server, undisturbed), results(server, id)
    assert np.array_equal(ffprobe.frames(made, "rgb24"), ffprobe.frames(expected, "rgb24"))
    assert ffprobe.frame_times(made) == ffprobe.frame_times(expected)
    mattes = (server.sessions / which / "matte.mkv" for which in (undisturbed, id))
    assert np.array_equal(*(ffprobe.frames(matte, "gray") for matte in mattes))
    assert all(NAMES.fullmatch(name) for name in files(server, id)), "what was cut off is cleared away"
    assert not (server.sessions / id / "matte.mkv.parts").exists()
    zombies = [p for p in server.process.children(recursive=True) if p.status() == psutil.STATUS_ZOMBIE]
    assert not zombies


def hosted_name(process: psutil.Process) -> str:
    """Return the name of a Python process; empty for another, which is not started by the server itself."""
    return process.name() if process.name().startswith("python") else ""


def sign_in(page: Page, name: str) -> None:
    page.locator("input[name=name]").fill(name)
    page.locator("input[name=password]").fill(f"{name} has a secret")
    page.locator("form button").click()
    expect(page.locator("#drop input[type=file]").or_(page.locator("#side"))).to_be_attached()


def test_two_users_cannot_reach_each_others_sessions(chrome: Browser, clip: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="recorte-two-", ignore_cleanup_errors=True) as folder:
        server = Server(Path(folder) / "home")
        for name in ("ana", "bea"):
            subprocess.run(
                [sys.executable, "app.py", "user", "add", name],
                input=f"{name} has a secret\n",
                text=True,
                check=True,
                capture_output=True,
                cwd=ROOT,
                env=os.environ | {"RECORTE_HOME": str(server.home)},
            )
        server.start()
        try:
            pages = {name: chrome.new_context(locale="en-GB").new_page() for name in ("ana", "bea")}
            for name, page in pages.items():
                page.goto(server.url)
                sign_in(page, name)
                upload(page, clip)
                ready(page)
            for page in pages.values():  # at once
                page.locator("#make").click()
            ids = {name: session(page) for name, page in pages.items()}
            for page in pages.values():
                done(page)
            made = {n: str(p.locator("#downloads a").first.get_attribute("href")) for n, p in pages.items()}
            for name, other in (("ana", "bea"), ("bea", "ana")):
                page, theirs = pages[name], ids[other]
                result = made[other]
                for path in (f"/media/{theirs}/{what}" for what in ("times", "strip", "poster", "frames/0")):
                    assert page.request.get(server.url + path).status == 404
                assert page.request.get(server.url + result).status == 404
                assert pages[other].request.get(server.url + result).status == 200
                page.goto(address(server, theirs))
                expect(page.locator("#drop")).to_be_visible()
                page.get_by_role("tab", name="Sessions").click()
                expect(page.locator(".card")).to_have_count(1)
                expect(page.locator(f'.card[data-id="{ids[name]}"]')).to_be_visible()
            stranger = chrome.new_context().new_page()
            assert stranger.request.get(server.url + f"/media/{ids['ana']}/strip").status == 401
        finally:
            server.stop()
        assert "Traceback" not in server.said(), server.said()
