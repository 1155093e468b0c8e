"""The languages' files, and numbers as each language writes them."""

from __future__ import annotations

import json
import os
import re
import shutil
import string
import subprocess
import sys
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from pipeline import formats, models
from pipeline.errors import INTERNAL_ERROR
from ui import text

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(text.LOCALES_DIR.glob("*.json"))
TRANSLATED = [code for code in text.LOCALES if code != text.FALLBACK]
ALIKE = ["page", "stage", "upload", "files", "cards", "welcome", "access", "admin", "shared_errors"]
"""Sections in which every language has the same keys and placeholders."""


def placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def test_a_language_is_a_file_of_the_folder() -> None:
    assert {"de", "en", "es"} <= {*text.LOCALES} == {path.stem for path in FILES}
    for code, locale in text.LOCALES.items():
        assert re.fullmatch(r"[a-z]{2,3}", code), (
            "browsers and environments are compared with the language alone"
        )
        assert locale.name.strip() and locale.decimal_separator in (".", ",")
    assert len({locale.name for locale in text.LOCALES.values()}) == len(text.LOCALES)


def test_every_section_is_checked_here() -> None:
    others = [
        "name", "decimal_separator", "model_purposes", "model_restrictions", "format_names", "errors",
        "command_line_errors",
    ]  # fmt: skip
    assert sorted(field.name for field in fields(text.Locale)) == sorted(ALIKE + others)


@pytest.mark.parametrize("language", TRANSLATED)
@pytest.mark.parametrize("section", ALIKE)
def test_a_language_has_the_keys_and_placeholders_of_english(section: str, language: str) -> None:
    english, other = (getattr(text.LOCALES[code], section) for code in (text.FALLBACK, language))
    assert english and english.keys() == other.keys()
    for key, sentence in english.items():
        assert other[key] and placeholders(sentence) == placeholders(other[key]), key


def flat(topics: dict[str, text.Table]) -> dict[str, str]:
    """The templates of a section of errors by their keys, such as "video.empty"."""
    return {f"{topic}.{name}": said for topic, names in topics.items() for name, said in names.items()}


def whole(locale: text.Locale, said: str) -> str:
    return locale.shared_errors[said[1:]] if said.startswith("@") else said


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_language_has_every_error_and_fills_in_only_what_it_was_raised_with(language: str) -> None:
    english, other = text.LOCALES[text.FALLBACK], text.LOCALES[language]
    raised = flat(english.errors) | flat(english.command_line_errors)
    for section in ("errors", "command_line_errors"):
        ours, theirs = flat(getattr(english, section)), flat(getattr(other, section))
        assert [*ours] == [*theirs]  # in the same order, for whoever compares the files
        for key in ours:
            for locale, said in ((english, ours[key]), (other, theirs[key])):
                assert said and placeholders(whole(locale, said)) <= placeholders(raised[key]), key
            assert ours[key].startswith("@") == theirs[key].startswith("@"), key
            if key not in english.command_line_errors and not ours[key].startswith("@"):
                assert theirs[key] != ours[key], key


def test_the_command_line_has_words_of_its_own_where_the_page_says_something_shared() -> None:
    for locale in text.LOCALES.values():
        shown, printed = flat(locale.errors), flat(locale.command_line_errors)
        for key, said in shown.items():
            assert not said.startswith("@") or key in printed, key
        for key, said in printed.items():
            assert not said.startswith("@") and said != shown.get(key), key


def test_each_shared_error_is_used() -> None:
    for locale in text.LOCALES.values():
        used = {said[1:] for said in flat(locale.errors).values() if said.startswith("@")}
        assert used == locale.shared_errors.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_key_is_given_twice(path: Path) -> None:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        counts = Counter(key for key, _ in pairs)
        assert [key for key, count in counts.items() if count > 1] == []
        return dict(pairs)

    json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=unique)


@pytest.mark.parametrize("change", ["missing", "unknown"])
def test_a_file_with_other_sections_is_refused(tmp_path: Path, change: str) -> None:
    data = json.loads(FILES[0].read_text(encoding="utf-8"))
    if change == "missing":
        del data["cards"]
    else:
        data["headings"] = {}
    (tmp_path / "fr.json").write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(TypeError, match="cards" if change == "missing" else "headings"):
        text.Locale.read(tmp_path / "fr.json")


FIND_A_LANGUAGE = """
import sys
from pathlib import Path

from pipeline.languages import locales

locales.LOCALES_DIR = Path(sys.argv[1])

from pipeline.languages.messages import Message
from starlette.requests import Request

from pipeline.__main__ import main
from ui import text
from ui.page import blocks, i18n, stage
from ui.server.login import login_pages
from ui.visitor import language_of

request = Request({"type": "http", "headers": [(b"accept-language", b"tlh-QO,en;q=0.5")]})
code = language_of(request)
assert code == "tlh"
assert text.translate(code, "make") == "<Make the video>"
assert text.translate_access(code, "sign_in") == "<Sign in>"
assert text.format_number(1.5, code) == "1;5"
assert Message("choices.no_sound").render(code) == "<This video has no sound.>"
assert Message("video.not_a_file", {"name": "a.mp4"}).render(code) == "<a.mp4: this is no file.>"
assert i18n.I18N.translations[code]["recorte_make"] == "<Make the video>"
for script in (blocks._head(10**9), blocks._LANGUAGE_JS, blocks._ACCOUNT_JS):
    assert code in script
assert text.CARDS[code]["open"] == "<Open>"
assert "<Keep>" in stage.create_stage().js_on_load
raise SystemExit(main(["probe", "nothing.mp4"]))
"""


def test_a_file_more_is_a_language_more(tmp_path: Path) -> None:
    """On the page, in its scripts, in errors and on the command line, and nothing else was touched."""

    def changed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: changed(said) for key, said in value.items()}
        return value if value.startswith("@") else f"<{value}>"

    for path in FILES:
        shutil.copy(path, tmp_path)
    english = json.loads((text.LOCALES_DIR / "en.json").read_text(encoding="utf-8"))
    made = changed(english) | {"name": "tlhIngan Hol", "decimal_separator": ";"}
    (tmp_path / "tlh.json").write_text(json.dumps(made), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", FIND_A_LANGUAGE, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "LANG": "tlh_QO.UTF-8"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (2, "<nothing.mp4: there is no such file.>\n")


def test_nothing_in_the_code_names_a_language_but_english() -> None:
    codes = {*text.LOCALES} - {text.FALLBACK}
    for folder, suffix in (
        ("ui", "py"),
        ("pipeline", "py"),
        ("db", "py"),
        ("assets", "js"),
        (".", "py"),
    ):
        for path in (ROOT / folder).glob(f"*.{suffix}" if folder == "." else f"**/*.{suffix}"):
            named = re.findall(r"""(["'])(\w+)\1""", path.read_text(encoding="utf-8"))
            assert not {word for _, word in named} & codes, path


def test_errors_have_the_same_text_on_page_and_command_line() -> None:
    assert text.translate("en", "broken") == str(INTERNAL_ERROR)


def test_the_language_is_the_first_accepted_one_that_has_a_locale() -> None:
    assert text.negotiate_language("es-MX,es;q=0.9,en;q=0.8") == "es"
    assert text.negotiate_language("zz,xx;q=0.5,es;q=0.1") == "es"
    for none in ("zz", "", None):
        assert text.negotiate_language(none) == "en"
    assert text.translate("zz", "make") == text.translate("en", "make")


@pytest.mark.parametrize(
    ("chosen", "expected"), [("de", "de"), ("xx", "es"), ("", "es"), (None, "es"), ("../de", "es")]
)
def test_a_chosen_language_goes_before_the_accepted_ones(chosen: str | None, expected: str) -> None:
    assert text.choose_language(chosen, "es-AR, de") == expected


def test_durations_and_sizes() -> None:
    durations = [text.format_duration(s) for s in (0, 3.21, 65, 3723.4)]
    assert durations == ["0.0 s", "3.2 s", "1:05 min", "1:02:03 h"]
    assert text.format_duration(59.97) == "1:00 min"
    sizes = [text.format_size(n) for n in (1, 1500, 2_340_000, 5 * 10**9)]
    assert sizes == ["1 kB", "2 kB", "2.3 MB", "5.0 GB"]


def test_spanish_writes_a_comma_before_decimals() -> None:
    assert [text.format_duration(s, "es") for s in (3.21, 65)] == ["3,2 s", "1:05 min"]
    assert [text.format_size(n, "es") for n in (1500, 2_340_000, 5 * 10**9)] == ["2 kB", "2,3 MB", "5,0 GB"]
    assert text.format_number(29.97, "es", 2) == "29,97" and text.format_number(29.97, "en", 2) == "29.97"


def test_every_model_is_described_in_every_language() -> None:
    for key, card in models.cards().items():
        assert text.translate_purpose("en", key, card.purpose) == card.purpose
        for language in TRANSLATED:
            assert text.translate_purpose(language, key, card.purpose) != card.purpose
            restriction = text.translate_restriction(language, key, card.restriction or "")
            assert not card.restriction or restriction != card.restriction


@pytest.mark.parametrize("language", TRANSLATED)
def test_models_and_formats_that_have_a_translation_exist(language: str) -> None:
    locale = text.LOCALES[language]
    assert {*locale.model_purposes, *locale.model_restrictions} <= {*models.cards()}
    assert {*locale.format_names} <= {*formats.FORMATS}
