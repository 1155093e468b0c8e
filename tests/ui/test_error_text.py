"""Errors in the visitor's language."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import limits
from pipeline.errors import INTERNAL_ERROR
from ui import error_text

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


def test_every_error_that_is_raised_has_a_translation() -> None:
    known = list(raised())
    assert len(known) > 100
    assert [(place, said) for place, said in known if error_text.translate("es", said) == said] == []


ENDINGS = [limits.describe_exit(status) for status in (-9, -11, -24, -2, 3, None)]


@pytest.mark.parametrize("sentence", [INTERNAL_ERROR, limits.NO_MEMORY, *ENDINGS])
def test_sentences_put_together_elsewhere_have_a_translation(sentence: str) -> None:
    assert (
        error_text.translate("es", sentence) != sentence and error_text.translate("en", sentence) == sentence
    )


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
    assert error_text.translate("fr", lost) == lost


@pytest.mark.parametrize("language", ["en", "es"])
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
