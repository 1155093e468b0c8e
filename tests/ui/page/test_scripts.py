"""The page's scripts: modules that are put together into one script."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ui.assets import ASSETS
from ui.page.scripts import bundle, script

ENTRIES = (
    "cards.js",
    "colour.js",
    "proposals.js",
    "controls.js",
    "files.js",
    "stage/main.js",
    "streams.js",
    "uploads.js",
    *("page-title.js", "welcome.js", "history.js", "languages.js", "notify.js"),
)

FLOORS = (
    ("main.js",),
    ("input",),
    ("drawing",),
    ("server",),
    ("playback",),
    ("actions",),
    ("pictures",),
    ("selectors.js",),
    ("state.js", "render.js", "locale.js", "parts.js", "dom.js"),
    ("pure", "words.js"),
)
"""Files and folders of `assets/stage`, as its `main.js` describes them: each imports only what lies below."""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write modules, given as name and text; returns the first."""

    def write(*modules: tuple[str, str]) -> Path:
        for name, text in modules:
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path / modules[0][0]

    return write


def printed(code: str) -> list[str]:
    """Return the lines that a script prints, run as a function's body."""
    run = f"new Function({json.dumps(code)})();"
    done = subprocess.run(
        ["node", "--eval", run], capture_output=True, text=True, encoding="utf-8", check=True
    )
    return done.stdout.splitlines()


def test_a_module_has_what_it_imports(write: Write) -> None:
    entry = write(
        (
            "main.js",
            'import { two, Three } from "./deep/numbers.js";\n'
            'import {\n  four,\n  five,\n} from "./words.js";\n'
            "console.log(two, new Three().value, four(), five().next().value);\n",
        ),
        (
            "deep/numbers.js",
            'import { four } from "../words.js";\n'
            "export const two = four() - 2;\n"
            "export class Three {\n  value = 3;\n}\n",
        ),
        ("words.js", "export function four() {\n  return 4;\n}\nexport function* five() {\n  yield 5;\n}\n"),
    )
    assert printed(bundle(entry)) == ["2 3 4 5"]


def test_a_module_runs_once_before_those_that_need_it(write: Write) -> None:
    entry = write(
        ("main.js", 'import { b } from "./b.js";\nimport { a } from "./a.js";\nconsole.log("main", a, b);\n'),
        ("a.js", 'console.log("a");\nexport const a = 1;\n'),
        ("b.js", 'import { a } from "./a.js";\nconsole.log("b");\nexport const b = a + 1;\n'),
    )
    assert printed(bundle(entry)) == ["a", "b", "main 1 2"]


def test_names_that_are_not_exported_stay_a_modules_own(write: Write) -> None:
    entry = write(
        ("main.js", 'import { other } from "./other.js";\nconst own = 1;\nconsole.log(own, other());\n'),
        ("other.js", "const own = 2;\nexport const other = () => own;\n"),
    )
    assert printed(bundle(entry)) == ["1 2"]


def test_modules_are_strict_as_modules_are(write: Write) -> None:
    entry = write(("main.js", "console.log((function () { return this; })());\n"))
    assert printed(bundle(entry)) == ["undefined"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('import other from "./other.js";\n', "another form"),
        ('import * as other from "./other.js";\n', "another form"),
        ('import "./other.js";\n', "another form"),
        ('import { other } from "node:fs";\n', "another form"),
        ("import { other } from './other.js';\n", "another form"),
        ("export default 1;\n", "another form"),
        ("export let changing = 1;\n", "another form"),
        ("const a = 1;\nexport { a };\n", "another form"),
        ('import { absent } from "./other.js";\n', "other.js does not export absent to main.js"),
        ('import { other as another } from "./other.js";\n', "does not export other as another"),
    ],
)
def test_what_is_written_otherwise_is_refused(write: Write, text: str, message: str) -> None:
    entry = write(("main.js", text), ("other.js", "export const other = 1;\n"))
    with pytest.raises(ValueError, match=re.escape(message)):
        bundle(entry)


def test_a_circle_of_imports_is_refused(write: Write) -> None:
    entry = write(
        ("main.js", 'import { a } from "./a.js";\n'),
        ("a.js", 'import { b } from "./b.js";\nexport const a = 1;\n'),
        ("b.js", 'import { a } from "./a.js";\nexport const b = 1;\n'),
    )
    with pytest.raises(ValueError, match=re.escape("main.js → a.js → b.js → a.js")):
        bundle(entry)


def test_a_script_has_its_constants(monkeypatch: pytest.MonkeyPatch, write: Write) -> None:
    monkeypatch.setattr("ui.page.scripts.ASSETS", write(("main.js", "console.log(WORDS.es, MOST);\n")).parent)
    assert printed(script("main.js", WORDS={"es": "Vídeo"}, MOST=None)) == ["Vídeo null"]


@pytest.mark.parametrize("name", ENTRIES)
def test_each_of_the_pages_scripts_can_be_read(name: str, tmp_path: Path) -> None:
    (tmp_path / "script.js").write_text(script(name), encoding="utf-8")
    subprocess.run(["node", "--check", tmp_path / "script.js"], check=True)


def test_every_module_is_part_of_a_script() -> None:
    together = "".join(script(name) for name in ENTRIES)
    modules = [path for path in ASSETS.rglob("*.js") if path.relative_to(ASSETS).parts[0] != "models"]
    assert not [path.name for path in modules if path.read_text("utf-8").splitlines()[0] not in together]


def test_the_stages_modules_import_only_what_lies_below_them() -> None:
    stage = ASSETS / "stage"
    floor_of = {name: number for number, names in enumerate(FLOORS) for name in names}

    def floor(path: Path) -> int:
        return floor_of[path.relative_to(stage).parts[0] if path.is_relative_to(stage) else path.name]

    upward = [
        f"{path.name} imports {other}"
        for path in stage.rglob("*.js")
        for other in re.findall(
            r'^import .*?from "(.*?)";$', path.read_text("utf-8"), re.MULTILINE | re.DOTALL
        )
        if floor((path.parent / other).resolve()) < floor(path)
    ]
    assert not upward
