"""Downloading a model's weights on the page; each test has a server and a hub of its own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import expect
from safetensors.torch import save

from pipeline.networks.isnet import Isnet
from tests.pipeline.hub import Hub
from tests.ui.conftest import Server, running_with_stand_ins
from tests.ui.page.test_models import choose_model
from tests.ui.page.test_page import Visit, ready, started


class Played(Hub):
    """A stand-in hub that serves RMBG's network, untrained, and can be closed."""

    def __init__(self) -> None:
        super().__init__(content=save(Isnet().state_dict()), pause=0.01)
        self.stack = ExitStack()
        self.stack.enter_context(self.serving())


@pytest.fixture
def hub() -> Iterator[Played]:
    hub = Played()
    with hub.stack:
        yield hub


@pytest.fixture
def server(hub: Played) -> Iterator[Server]:
    """A server with stand-ins among its models, and the stand-in hub."""
    published = f"{len(hub.content)} {hashlib.sha256(hub.content).hexdigest()}"
    with running_with_stand_ins(HF_ENDPOINT=hub.address, RMBG_PUBLISHED=published) as server:
        yield server


def test_weights_are_downloaded_after_the_licence_is_acknowledged(
    server: Server, visit: Visit, clip: Path, hub: Played
) -> None:
    page = started(server, visit, clip)
    expect(page.locator("#about-model")).to_contain_text("RMBG-1.4 is not ready here")
    choose_model(page, "RMBG-1.4")
    expect(page.locator("#about-model")).to_contain_text("non-commercial")
    expect(page.locator("#download-weights")).to_be_hidden()
    page.locator("#acknowledge input").check()
    expect(page.locator("#acknowledge")).to_be_hidden()
    page.locator("#download-weights").click()
    expect(page.locator("#fetching progress")).to_be_visible()
    expect(page.locator("#fetching")).to_contain_text(re.compile(r"Downloading: [\d.]+ [kM]B of"))
    page.locator("#stop-download").click()
    expect(page.locator("#download-weights")).to_be_visible()
    # Another visitor sees that the licence was read, and goes on from what is there.
    hub.pause, before = 0, hub.sent
    other = started(server, visit, clip)
    choose_model(other, "RMBG-1.4")
    expect(other.locator("#acknowledge")).to_be_hidden()
    other.locator("#download-weights").click()
    expect(other.locator("#download-weights")).to_be_hidden()
    expect(other.locator("#fetching")).to_be_hidden()
    assert 0 < hub.sent - before < len(hub.content)
    ready(other)  # with a mask now
    third = started(server, visit, clip)
    expect(third.locator("#about-model")).to_contain_text("its weights are on this machine")


def test_a_failed_download_names_the_host_that_cannot_be_reached(
    server: Server, visit: Visit, clip: Path, hub: Played
) -> None:
    hub.stack.close()
    page = started(server, visit, clip)
    choose_model(page, "SAM 2.1 Tiny")
    page.locator("#download-weights").click()
    failure = page.locator("#fetching [role=alert]")
    expect(failure).to_contain_text("could not be downloaded: 127.0.0.1 cannot be reached")
    expect(page.locator("#download-weights")).to_be_visible()
