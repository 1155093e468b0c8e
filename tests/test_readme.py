"""What the README tells is what the program says of itself."""

import re
from pathlib import Path

import pytest

from pipeline import formats, models
from pipeline.__main__ import _create_parser

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("card", models.cards().values(), ids=lambda card: card.key)
def test_the_model_table_has_each_model_in_its_own_words(card: models.Card) -> None:
    (row,) = (line for line in README.splitlines() if line.startswith(f"| `{card.key}` |"))
    assert card.purpose in row and f"[{card.licence}]({card.licence_url})" in row


def test_each_setting_is_listed() -> None:
    sources = [ROOT / "app.py", *(ROOT / "pipeline").rglob("*.py")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    read = set(re.findall(r'"((?:RECORTE|DATABASE)_(?!KEY|START|PAST)\w+)"', code))
    assert read == set(re.findall(r"^\| `([A-Z_]+)` \|", README, re.MULTILINE))


def test_each_option_of_the_command_line_is_told() -> None:
    commands = _create_parser()._subparsers._group_actions[0].choices  # type: ignore[union-attr,index]
    options = {o for command in commands.values() for a in command._actions for o in a.option_strings}
    untold = {o for o in options if o.startswith("--") and f"`{o}" not in README and f" {o} " not in README}
    assert untold <= {"--help"}


def test_each_format_is_told() -> None:
    for form in formats.FORMATS.values():
        (row,) = (line for line in README.splitlines() if line.startswith(f"| `{form.key}` |"))
        assert form.label in row and f"`{form.suffix}`" in row


def test_what_it_links_to_is_there() -> None:
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / link).is_file(), link
