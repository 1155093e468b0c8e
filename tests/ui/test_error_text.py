"""Errors in the visitor's language."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from languages import locales, sentences
from pipeline import limits
from pipeline.errors import INTERNAL_ERROR
from ui import error_text, text

TRANSLATED = [code for code in text.LOCALES if code != text.FALLBACK]
ROOT = Path(__file__).resolve().parents[2]
ERRORS = {
    "InputError", "VideoError", "PromptError", "BackgroundError", "FormatError", "WeightsError", "RunError",
    "WorkerLost", "NotFound", "Unstorable",
}  # fmt: skip


def template(node: ast.expr) -> str | None:
    """Return the sentence of an error, with a word in place of each field; None if it is not a literal."""
    match node:
        case ast.Constant(str(sentence)):
            return sentence
        case ast.JoinedStr(parts):
            return "".join(part.value if isinstance(part, ast.Constant) else "thing7" for part in parts)
    return None


COMMAND_LINE_ONLY = {"CannotStart", "InUse", "DatabaseError", "DatabaseAway", "AccountError"}
"""Errors that end a command before there is a page to show them."""


def raised() -> Iterator[tuple[str, str]]:
    """Yield the place of each error and its sentence, without those that only the command line can meet."""
    for folder in ("pipeline", "ui", "db"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path == ROOT / "pipeline" / "__main__.py":
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.Call(func=ast.Name(name), args=[first, *_]) if name in ERRORS:
                        if (sentence := template(first)) is not None:
                            yield f"{path.relative_to(ROOT)}:{node.lineno}", sentence


def raised_on_the_command_line() -> Iterator[tuple[str, str]]:
    """Yield the place of each error that ends a command, and its sentence."""
    yield from raised()
    files = [ROOT / "app.py", ROOT / "pipeline" / "__main__.py", *sorted((ROOT / "db").glob("*.py"))]
    for path in [*files, *sorted((ROOT / "ui").glob("*.py"))]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(name), args=[first, *_]) if name in ERRORS | COMMAND_LINE_ONLY:
                    if (sentence := template(first)) is not None:
                        yield f"{path.relative_to(ROOT)}:{node.lineno}", sentence
                case ast.Call(func=ast.Name("ValueError"), args=[first, *_]) if path.name == "settings.py":
                    # After the variable's name.
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", f"RECORTE_X {template(first)}"


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_error_that_is_raised_has_a_translation(language: str) -> None:
    known = list(raised())
    assert len(known) > 100
    assert [(place, said) for place, said in known if error_text.translate(language, said) == said] == []


NEVER_PRINTED = {
    "thing7 thing7",  # a variable's name and one of the sentences of ui/settings.py, which are checked so
    "There is no such user any more.",
    "The local user has no account to sign in to.",
    "There are no accounts.",
}
"""Sentences of errors that the login page catches, or that are no whole ones."""


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_error_that_ends_a_command_has_a_translation(language: str) -> None:
    def translate(sentence: str) -> str:
        return sentences.translate(language, sentence, command_line=True)

    known = {place: said for place, said in raised_on_the_command_line() if said not in NEVER_PRINTED}
    assert {"app.py", "pipeline/__main__.py", "db/users.py", "ui/settings.py", "ui/startup.py"} <= {
        place.partition(":")[0] for place in known
    }
    assert [(place, said) for place, said in known.items() if translate(said) == said] == []


def test_the_command_line_keeps_its_advice_in_every_language() -> None:
    """The page leaves out commands, folders and options; see the test below."""
    for language in TRANSLATED:
        for sentence, advice in (
            (
                "SAM ViT-B needs its weights, a.pt. Download them with `python -m pipeline download "
                "sam-vit-b`, or put the file into /w.",
                ["python -m pipeline download sam-vit-b", "/w"],
            ),
            (
                "h.org cannot be reached (off). Without a network, get https://h.org/a.pt some other way and "
                "put it into /w as a.pt.",
                ["https://h.org/a.pt", "/w", "a.pt", "off"],
            ),
            ("May not be sold. Read https://h.org, then acknowledge it once: on the page, or with "
             "--accept-licence.", ["https://h.org", "--accept-licence"]),
            ("x is no background. Give a colour such as #00b140 or white, a picture's path, blur, or "
             "transparent.", ["blur", "transparent"]),
        ):  # fmt: skip
            said = sentences.translate(language, sentence, command_line=True)
            assert said != sentence and "some other way" not in said
            assert [word for word in advice if word not in said] == []
            assert sentences.translate("en", sentence, command_line=True) == sentence


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "de"),
        ({"LANG": "es"}, "es"),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "C", "LC_ALL": "es_MX.UTF-8@x"}, "es"),
        ({"LANG": "es_ES", "LC_MESSAGES": "de_AT.UTF-8"}, "de"),
        ({"LANG": "es_ES", "LC_ALL": ""}, "es"),
        ({"LANG": "zz_ZZ.UTF-8"}, "en"),
        ({"LANG": "../locales/es"}, "en"),
    ],
)
def test_the_environment_names_the_language_of_the_command_line(
    environment: dict[str, str], language: str
) -> None:
    assert locales.command_line_language(environment) == language


ENDINGS = [limits.describe_exit(status) for status in (-9, -11, -24, -2, 3, None)]


@pytest.mark.parametrize("sentence", [INTERNAL_ERROR, limits.NO_MEMORY, *ENDINGS])
def test_sentences_put_together_elsewhere_have_a_translation(sentence: str) -> None:
    assert error_text.translate("en", sentence) == sentence
    for language in TRANSLATED:
        assert error_text.translate(language, sentence) != sentence


def test_fields_are_kept_in_the_translation() -> None:
    cut = "a {b}.mp4: the file is cut short: it promises 289 frames and holds 152. Copy or download it again."
    assert error_text.translate("es", cut) == (
        "a {b}.mp4: el archivo está cortado: promete 289 fotogramas y contiene 152. Cópialo o descárgalo "
        "otra vez."
    )
    lost = "The process that worked on this was lost: it crashed. Start it again to continue."
    assert (
        error_text.translate("es", lost)
        == "Se ha perdido el proceso que trabajaba en esto: falló. Hazlo otra vez para continuar."
    )
    assert error_text.translate("es", "Nobody has written this.") == "Nobody has written this."
    assert error_text.translate("zz", lost) == lost


@pytest.mark.parametrize("language", [text.FALLBACK, *TRANSLATED])
def test_errors_about_weights_name_no_command_path_or_error_number(language: str) -> None:
    """The command line shows all of these with them."""
    folder = "/home/somebody/.local/share/recorte/weights"
    by_hand = f"get https://example.org/a.pt some other way and put it into {folder} as a.pt."
    for sentence in (
        "SAM ViT-B needs its weights, a.pt. Download them with `python -m pipeline download sam-vit-b`, "
        f"or put the file into {folder}.",
        f"example.org cannot be reached ([Errno -2] Name or service not known). Without a network, {by_hand}",
        f"example.org is busy or out of order (503). Try again later, or {by_hand}",
        f"a.pt cannot be written into {folder}: Permission denied. Mend that, or name another folder with "
        "RECORTE_WEIGHTS.",
        f"There is no room for a.pt in {folder}: 1.0 GB more are needed. Make some, or name another folder "
        "with RECORTE_WEIGHTS.",
        f"a.pt in {folder} is damaged or no checkpoint. Delete it, and download it again.",
        "May not be sold. Read https://example.org, then acknowledge it once: on the page, or with "
        "--accept-licence.",
    ):
        said = error_text.translate(language, sentence)
        assert said != sentence
        assert not re.search(r"/home|Errno|python -m|--accept|RECORTE_", said), said
