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


def test_only_webm_holds_alpha() -> None:
    assert [form.key for form in formats.FORMATS.values() if form.alpha] == ["webm"]
