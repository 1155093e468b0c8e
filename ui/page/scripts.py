"""The page's scripts: each is an ES module in `assets/`, put together with what it imports into one script.

Gradio takes a script as text, in the page's head or as a function's body, where no `import` may stand. So
every module becomes a function that is called once, in the order in which they are needed, and returns what
it exports: its other names stay its own. A module here imports names from files near it and exports what it
declares, each at the start of a line:

    import { first, second } from "../other.js";
    export const name = ...;
    export function name() { ... }

Any other form of the two is refused; so is a circle of imports, and a name that a module does not export.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ui.assets import ASSETS

_IMPORT = re.compile(r'^import \{([^}]*)\} from "(\.[^"]*)";\n', re.MULTILINE)
_EXPORT = re.compile(
    r"^export (?=(?:const|class|function|async function|function\*|async function\*) (\w+))", re.MULTILINE
)
_OTHER_FORM = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


def bundle(entry: Path) -> str:
    """Return a module and what it imports as one script, to be run in a scope of its own.

    Raises ValueError for a module that is not written as this one's documentation asks.
    """
    exports: dict[Path, list[str]] = {}
    functions: list[str] = []

    def add(path: Path, importing: tuple[Path, ...]) -> None:
        if path in importing:
            circle = " → ".join(module.name for module in (*importing, path))
            raise ValueError(f"Modules import each other: {circle}")
        if path in exports:
            return
        source = path.read_text(encoding="utf-8")
        for _, other in _IMPORT.findall(source):
            add((path.parent / other).resolve(), (*importing, path))

        def resolve(match: re.Match[str]) -> str:
            module = (path.parent / match[2]).resolve()
            names = [name.strip() for name in match[1].split(",") if name.strip()]
            if absent := [name for name in names if name not in exports[module]]:
                raise ValueError(f"{module.name} does not export {', '.join(absent)} to {path.name}")
            return f"const {{ {', '.join(names)} }} = {_name(list(exports).index(module))};\n"

        names = _EXPORT.findall(source)
        body = _EXPORT.sub("", _IMPORT.sub(resolve, source))
        if other_form := _OTHER_FORM.search(body):
            raise ValueError(f"{path.name} imports or exports in another form: {other_form[0]}")
        name = _name(len(exports))
        exports[path] = names
        functions.append(
            f"// {path.name}\nconst {name} = (() => {{\n"
            f'"use strict";\n{body}return {{ {", ".join(names)} }};\n}})();\n'
        )

    add(entry.resolve(), ())
    return "".join(functions)


def _name(number: int) -> str:
    return f"module{number}"


def script(name: str, **constants: Any) -> str:
    """Return a module of `assets/` as a script, after the constants that it needs."""
    values = "".join(f"const {key} = {json.dumps(value)};\n" for key, value in constants.items())
    return values + bundle(ASSETS / name)
