"""The output formats."""

from pathlib import Path

import pytest

from pipeline import formats
from pipeline.errors import FormatError


def test_a_format_is_found_by_its_key_and_by_its_suffix() -> None:
    for key, form in formats.FORMATS.items():
        assert formats.by_key(key) is form
        assert formats.by_suffix(Path(f"a.b{form.suffix.upper()}")).suffix == form.suffix


def test_an_unknown_format_is_told_with_those_that_there_are() -> None:
    with pytest.raises(FormatError, match=r"'avi'.*mp4.*webm"):
        formats.by_key("avi")
    with pytest.raises(FormatError, match=r"^out\.avi: .*\.mp4.*\.webm"):
        formats.by_suffix(Path("/some/where/out.avi"))


def test_these_hold_alpha_and_more_than_eight_bits() -> None:
    every = formats.FORMATS.values()
    assert [form.key for form in every if form.alpha] == ["webm", "prores", "gif", "webp", "png"]
    assert [form.key for form in every if form.deep(alpha=False)] == ["hevc", "av1", "prores", "png"]
    assert [form.key for form in every if form.deep(alpha=True)] == ["prores", "png"]


def test_the_first_with_a_suffix_is_what_the_suffix_means() -> None:
    named = {form.suffix: formats.by_suffix(Path(f"a{form.suffix}")).key for form in formats.FORMATS.values()}
    assert named == {
        ".mp4": "mp4",
        ".webm": "webm",
        ".mov": "prores",
        ".gif": "gif",
        ".webp": "webp",
        ".zip": "png",
        ".mkv": "matte-lossless",
    }
    assert formats.by_suffix(Path("pictures")).key == "png"


def test_a_format_has_every_quality_or_none() -> None:
    for form in formats.FORMATS.values():
        assert tuple(form.qualities) in ((), formats.QUALITIES)
        assert form.hardware is None or tuple(form.hardware.qualities) == formats.QUALITIES
        told = [tuple(form.asked(quality).items()) for quality in formats.QUALITIES]
        assert len(set(told)) == (4 if form.qualities else 1)


def test_the_pixel_format_holds_the_most_of_what_is_asked() -> None:
    webm, prores, hevc = (formats.by_key(key) for key in ("webm", "prores", "hevc"))
    assert webm.pixels(alpha=True, deep=True) == "yuva420p"
    assert prores.pixels(alpha=True, deep=True) == "yuva444p10le"
    assert hevc.pixels(alpha=True, deep=True) == "yuv420p10le"
    assert hevc.accelerated.pixels(alpha=False, deep=True) == "p010le"
    assert webm.accelerated is webm
