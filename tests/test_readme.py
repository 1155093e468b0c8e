"""The README agrees with what the program says of itself."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import formats, models
from pipeline.__main__ import _create_parser

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("card", models.cards().values(), ids=lambda card: card.key)
def test_the_model_table_quotes_each_card(card: models.Card) -> None:
    (row,) = (line for line in README.splitlines() if line.startswith(f"| `{card.key}` |"))
    assert card.purpose in row and f"[{card.licence}]({card.licence_url})" in row


def test_each_setting_is_listed() -> None:
    sources = [ROOT / "ui" / "settings.py", *(ROOT / "pipeline").rglob("*.py")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    read = set(re.findall(r'"((?:RECORTE|DATABASE)_(?!KEY|START|PAST)\w+)"', code))
    assert read == set(re.findall(r"^\| `([A-Z_]+)` \|", README, re.MULTILINE))


def test_each_option_of_the_command_line_is_listed() -> None:
    commands = _create_parser()._subparsers._group_actions[0].choices  # type: ignore[union-attr,index]
    options = {o for command in commands.values() for a in command._actions for o in a.option_strings}
    untold = {o for o in options if o.startswith("--") and f"`{o}" not in README and f" {o} " not in README}
    assert untold <= {"--help"}


def test_each_format_is_listed() -> None:
    for form in formats.FORMATS.values():
        (row,) = (line for line in README.splitlines() if line.startswith(f"| `{form.key}` |"))
        assert form.label in row and f"`{form.suffix}`" in row


def test_links_lead_to_existing_files() -> None:
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / link).is_file(), link


DOCS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docs" / "architecture.md"]


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_files_named_in_documents_exist(path: Path) -> None:
    named = set(
        re.findall(r"`((?:ui|pipeline|db|tests|assets|training|docs)/[\w/.-]+\.\w+)`", path.read_text())
    )
    assert not [name for name in sorted(named) if not (ROOT / name).is_file()]


def test_the_model_of_the_guide_exists() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    made: dict[str, Any] = {}
    exec(code, made)
    (card,) = made["CARDS"]
    model = card.load("cpu", [])
    image = np.zeros((2, 2, 3), np.uint8)
    image[0] = 255
    (answer,) = model.predict(iter([models.PromptedFrame(image)]))
    assert answer.matte.tolist() == [[255, 255], [0, 0]] and answer.state() == {}
    assert card.to_json()["key"] == "threshold"
