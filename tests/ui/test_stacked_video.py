"""The lines of `docs/importing.md` that play stacked alpha, in a browser."""

import io
import re
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Route

from pipeline import formats
from tests.pipeline.video.writing.test_writer import save
from tests.rendered import subject_over_background
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
SITE = "http://stacked.test/"
BEHIND = (20, 160, 90)


def test_the_snippet_shows_the_picture_with_its_transparency(tmp_path: Path, chrome: Browser) -> None:
    pictures, mattes = subject_over_background(1, 160, 90)
    drawn = np.dstack((pictures[0], mattes[0]))
    path = save(tmp_path / "a.mp4", [drawn] * 12, formats.by_key("stacked"), quality="best")
    guide = (ROOT / "docs" / "importing.md").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"```html\n(.*?)```", guide, re.DOTALL)

    def respond(route: Route) -> None:
        if route.request.url.endswith(".mp4"):
            route.fulfill(body=path.read_bytes(), content_type="video/mp4")
        else:
            style = f"<style>body {{ margin: 0; background: rgb{BEHIND} }}</style>"
            route.fulfill(body=f"<!doctype html>{style}{snippet}", content_type="text/html")

    alpha = drawn[..., 3:] / 255
    truth = alpha * drawn[..., :3] + (1 - alpha) * BEHIND
    page = chrome.new_page()
    try:
        page.route(f"{SITE}**", respond)
        page.goto(SITE)
        page.wait_for_function("document.querySelector('canvas').width === 160")

        def differs() -> float:
            seen = Image.open(io.BytesIO(page.locator("canvas").screenshot())).convert("RGB")
            shown = np.asarray(seen, np.float64)
            assert shown.shape == truth.shape
            return float(np.abs(shown[:-1] - truth[:-1]).mean())

        until(lambda: differs() < 3)
    finally:
        page.close()
    # Neither the picture without its matte nor the background alone would pass.
    assert np.abs(drawn[:-1, :, :3] - truth[:-1]).mean() > 20
    assert np.abs(np.array(BEHIND) - truth[:-1]).mean() > 10
