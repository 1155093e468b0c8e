"""Pictures on the page: journeys from an upload to a download."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

from tests.rendered import subject_over_background
from tests.ui.conftest import Server
from tests.ui.page.test_page import choose_format, chosen_format, download, make, picture, ready, upload

Visit = Callable[..., Page]


def test_a_picture_is_uploaded_cut_and_downloaded(server: Server, visit: Visit, tmp_path: Path) -> None:
    (frame, *_), _ = subject_over_background(1, 320, 180)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.fromarray(np.rot90(frame))  # shown as drawn once it is upright
    turned.save(tmp_path / "holiday.jpg", quality=95, exif=exif)
    page = visit(server.url)
    upload(page, tmp_path / "holiday.jpg")
    expect(page.locator("#side")).to_be_visible()
    expect(picture(page)).to_have_attribute("aria-busy", "false")
    expect(page.locator("#facts")).to_have_text("320 × 180 · picture")
    expect(page.locator("#part-video h2")).to_have_text("Picture")
    for part in ("slider", "strip", "play", "band", "count"):
        expect(page.locator(f"[data-part={part}]")).to_be_hidden()
    expect(page.locator("[data-end=start]")).to_be_hidden()
    for hidden in ("#gallery", "#preview", "#sound", "#rate", "#advanced"):
        expect(page.locator(hidden)).to_be_hidden()
    expect(chosen_format(page)).to_have_value("PNG")
    page.locator("#format input").click()
    options = page.locator("ul[role=listbox] [role=option]")
    expect(options).to_contain_text(["PNG", "WebP", "JPEG"])
    expect(options).to_have_count(3)
    page.keyboard.press("Escape")
    expect(page.locator("#make")).to_have_text("Make the picture")
    make(page)
    fetched = download(page, "PNG")
    assert fetched.suggested_filename == "holiday-recorte.png"
    with Image.open(fetched.path()) as cut:
        assert (cut.format, cut.mode, cut.size) == ("PNG", "RGBA", (320, 180))
        alpha = np.asarray(cut)[..., 3]
    assert 0.05 < (alpha > 127).mean() < 0.7
    expect(page.locator("img[data-part=still]")).to_be_visible()
    choose_format(page, "JPEG")  # which has no transparency: a colour takes its place
    make(page)
    with Image.open(download(page, "JPEG").path()) as over:
        assert (over.format, over.size) == ("JPEG", (320, 180))
        assert np.abs(np.asarray(over)[2, 2].astype(int) - (0, 177, 64)).max() < 12


def test_numbered_pictures_in_a_zip_are_a_clip(server: Server, visit: Visit, tmp_path: Path) -> None:
    frames, _ = subject_over_background(6, 320, 180)
    with ZipFile(tmp_path / "shot.zip", "w") as archive:
        for number, frame in enumerate(frames, 8):
            with archive.open(f"shot.{number}.png", "w") as file:
                Image.fromarray(frame).save(file, "PNG")
    page = visit(server.url)
    upload(page, tmp_path / "shot.zip")
    ready(page)
    expect(page.locator("#facts")).to_have_text("320 × 180 · 0.2 s · 25/s · no sound")
    expect(page.locator("#part-video h2")).to_have_text("Video")
    expect(page.locator("[data-part=slider]")).to_have_attribute("max", "5")
    expect(chosen_format(page)).to_have_value("MP4 · H.264")
    expect(page.locator("#make")).to_have_text("Make the video")


def test_a_damaged_picture_is_refused_with_a_sentence(server: Server, visit: Visit, tmp_path: Path) -> None:
    (frame, *_), _ = subject_over_background(1, 320, 180)
    path = tmp_path / "cut.jpg"
    Image.fromarray(frame).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    page = visit(server.url)
    upload(page, path)
    expect(page.get_by_text("cut.jpg: this picture cannot be read")).to_be_visible()
    expect(page.locator("#drop")).to_be_visible()
