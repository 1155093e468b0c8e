"""Every error and note is made of a key that each language has, and of the fields of its template."""

from __future__ import annotations

import ast
import json
import string
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from pipeline.languages import locales
from pipeline.languages.messages import Field, Message

ROOT = Path(__file__).resolve().parents[3]
LANGUAGES = sorted(path.stem for path in locales.LOCALES_DIR.glob("*.json"))
FILES = [
    path
    for name in ("pipeline", "db", "ui", "training")
    for path in sorted((ROOT / name).rglob("*.py"))
    if path.parent != ROOT / "pipeline" / "languages"
]
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in [*FILES, ROOT / "app.py"]}
TEMPLATES = locales.templates(locales.ENGLISH, command_line=True)

OWN_FIELDS = {"_Invalid": {"variable"}, "WorkerLost": {"how"}}
"""Fields that a class fills in by itself, or has whether or not the sentence says them."""


class Made(NamedTuple):
    """Place where a message, or an error of one, is made."""

    place: str
    kind: str
    key: ast.expr
    fields: set[str] | None
    """None: they are not literal."""


def classes() -> tuple[set[str], set[str]]:
    """The names of what is made of a key and fields, and of the errors among them that know their key."""
    defined = [node for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    made, known = {"MessageError"}, set[str]()
    while more := {
        node.name for node in defined if {ast.unparse(base) for base in node.bases} & (made | known)
    } - (made | known):
        for node in defined:
            if node.name in more:
                (known if _knows_its_key(node) else made).add(node.name)
    return made, known


def _knows_its_key(node: ast.ClassDef) -> bool:
    inits = [part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"]
    return any([arg.arg for arg in init.args.posonlyargs] != ["self", "key"] for init in inits)


MADE, KNOWN = classes()


def makings() -> Iterator[Made]:
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            place = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
            match node:
                case ast.Call(func=ast.Name("Message"), args=[key]):
                    yield Made(place, "Message", key, set())
                case ast.Call(func=ast.Name("Message"), args=[key, fields]):
                    yield Made(place, "Message", key, _names(fields))
                case ast.Call(func=ast.Name(kind) | ast.Attribute(attr=kind), args=[key, *_]) if kind in MADE:
                    yield Made(place, kind, key, _keywords(node))
                case ast.Call(
                    func=ast.Attribute(value=ast.Call(func=ast.Name("super")), attr="__init__"),
                    args=[ast.Constant(str()) as key],
                ):
                    yield Made(place, "super", key, _keywords(node))


def _names(fields: ast.expr) -> set[str] | None:
    match fields:
        case ast.Dict(keys) if all(isinstance(key, ast.Constant) for key in keys):
            return {str(key.value) for key in keys if isinstance(key, ast.Constant)}
    return None


def _keywords(call: ast.Call) -> set[str] | None:
    names = {keyword.arg for keyword in call.keywords}
    return None if None in names else {name for name in names if name}


def placeholders(template: str) -> dict[str, str]:
    """Format of each field of a template."""
    return {name: spec or "" for _, name, spec, _ in string.Formatter().parse(template) if name}


PLACES = list(makings())


def test_errors_are_found() -> None:
    assert {"InputError", "VideoError", "WorkerLost", "DatabaseAway", "NotFound", "CannotStart"} <= MADE
    assert {"QuotaExceeded", "MarksChanged"} == KNOWN
    assert len(PLACES) > 200


def test_every_message_is_made_of_a_literal_key_that_has_a_template() -> None:
    free = [(made.place, ast.unparse(made.key)) for made in PLACES if not isinstance(made.key, ast.Constant)]
    assert free == []
    unknown = [
        (made.place, made.key.value)
        for made in PLACES
        if isinstance(made.key, ast.Constant) and made.key.value not in TEMPLATES
    ]
    assert unknown == []


def test_every_message_has_the_fields_that_its_template_fills_in() -> None:
    for made in PLACES:
        assert isinstance(made.key, ast.Constant) and made.fields is not None, made.place
        filled = placeholders(TEMPLATES[str(made.key.value)]).keys()
        own = OWN_FIELDS.get(made.kind, set())
        assert filled - own == made.fields - own, made.place


def test_every_key_is_used() -> None:
    used = {made.key.value for made in PLACES if isinstance(made.key, ast.Constant)}
    assert sorted(TEMPLATES.keys() - used) == []


def test_an_error_is_made_nowhere_without_a_key() -> None:
    """Such as `raise InputError`, or one with its key among the keywords."""
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            match node:
                case ast.Raise(exc=ast.Name(kind)):
                    assert kind not in MADE, f"{path}:{node.lineno}"
                case ast.Call(func=ast.Name(kind), args=[]):
                    assert kind not in MADE | {"Message"}, f"{path}:{node.lineno}"


def sample(spec: str) -> Field:
    if spec in ("size", "file_size") or "|" in spec:
        return 2_500_000_000
    return 1234.5 if spec else "some"


@pytest.mark.parametrize("command_line", [False, True])
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_template_can_be_filled_in(language: str, command_line: bool) -> None:
    for key in locales.templates(language, command_line=command_line):
        fields: dict[str, Field] = {name: sample(spec) for name, spec in placeholders(TEMPLATES[key]).items()}
        said = Message(key, fields).render(language, command_line=command_line)
        assert said and "{" not in said and not said.startswith("@"), key
        assert Message(key, fields | dict.fromkeys(fields, "some")).render(language), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_writes_a_field_alike(language: str) -> None:
    """As English does; only a word that depends on a count is each language's own."""
    for command_line in (False, True):
        for key, template in locales.templates(language, command_line=command_line).items():
            english = placeholders(TEMPLATES[key])
            for _, name, spec, _ in string.Formatter().parse(template):
                if name and "|" not in (spec or ""):
                    assert english[name] in (spec, "file|files"), (key, name)


def test_every_language_has_the_same_keys() -> None:
    for language in LANGUAGES:
        for command_line in (False, True):
            assert locales.templates(language, command_line=command_line).keys() == TEMPLATES.keys()


def test_a_file_is_written_in_the_order_of_the_others() -> None:
    def order(language: str) -> list[tuple[str, list[str]]]:
        data = json.loads((locales.LOCALES_DIR / f"{language}.json").read_text(encoding="utf-8"))
        topics = [data["errors"], data["command_line_errors"]]
        return [(topic, [*names]) for part in topics for topic, names in part.items()]

    assert all(order(language) == order(locales.ENGLISH) for language in LANGUAGES)
