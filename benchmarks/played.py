"""Bytes a played second: python -m benchmarks.played CLIP [--seconds 8] [--width 1440 --height 900]

Starts the application on an empty data folder, uploads the clip to its page in headless Chromium, waits until
every frame is cut, and plays it in the view of the cut. Prints the bytes that the browser received in the
meantime, by Chrome's own account of each response (`Network.loadingFinished`), the pictures among them, and
both for each second of the clip that was played; once as the pictures arrive, and once when it plays again.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import CDPSession, Page, sync_playwright

from tests import browser as system_browser
from tests.ui.conftest import running

_DEADLINE_MS = 1_800_000
_TIMES = """async () => {
    const strip = document.querySelector("[data-part=strip]");
    return (await fetch(strip.src.replace(/strip$/, "times"))).json();
}"""


class Traffic:
    """Bytes that a page has received, by Chrome's account."""

    def __init__(self, session: CDPSession) -> None:
        self._addresses: dict[str, str] = {}
        self.bytes = self.pictures = self.picture_bytes = 0
        session.on("Network.requestWillBeSent", self._ask)
        session.on("Network.loadingFinished", self._finish)
        session.send("Network.enable")

    def _ask(self, event: dict[str, Any]) -> None:
        self._addresses[event["requestId"]] = event["request"]["url"]

    def _finish(self, event: dict[str, Any]) -> None:
        received = round(event["encodedDataLength"])
        self.bytes += received
        if "/frames/" in self._addresses.get(event["requestId"], ""):
            self.pictures += 1
            self.picture_bytes += received


def play(page: Page, traffic: Traffic, seconds: float) -> None:
    """Play from the start for so long, and print what arrived in the meantime."""
    page.keyboard.press("Home")
    page.wait_for_timeout(1500)
    times = page.evaluate(_TIMES)
    before = traffic.bytes, traffic.pictures, traffic.picture_bytes
    page.locator("[data-part=play]").click()
    page.wait_for_timeout(1000 * seconds)
    page.locator("[data-part=play]").click()
    index = page.locator("[data-part=slider]").evaluate("slider => slider.valueAsNumber")
    played = times[index] - times[0]
    page.wait_for_timeout(500)
    all, pictures, of_pictures = (
        now - then
        for now, then in zip((traffic.bytes, traffic.pictures, traffic.picture_bytes), before, strict=True)
    )
    print(
        f"{played:.2f} s played, {index} of {len(times)} frames: {all:,} bytes, {all / played:,.0f} a "
        "second; "
        f"{pictures} pictures of frames, {of_pictures / max(1, pictures):,.0f} bytes each, "
        f"{pictures / played:.1f} a second",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--width", type=int, default=1440)
    parser.add_argument("--height", type=int, default=900)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="recorte-played-", ignore_cleanup_errors=True) as folder,
        running(Path(folder, "home")) as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(
            executable_path=system_browser.chromium(), args=list(system_browser.ARGS)
        )
        size: Any = {"width": options.width, "height": options.height}
        page = browser.new_page(viewport=size, locale="en-GB")
        page.goto(server.url)
        page.locator("#drop input[type=file]").set_input_files(options.clip)
        page.locator("[data-part=cutting]").filter(has_text="frames cut").wait_for(timeout=_DEADLINE_MS)
        page.get_by_role("button", name="Cut-out", exact=True).click()
        page.locator("[data-part=picture][aria-busy=false]").wait_for()
        traffic = Traffic(page.context.new_cdp_session(page))
        for _ in range(2):
            play(page, traffic, options.seconds)
        browser.close()


if __name__ == "__main__":
    main()
