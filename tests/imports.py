"""Imports of a file, read from its source."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path


def imported(path: Path) -> Iterator[str]:
    """Yield every name that a Python file imports, with its module's, wherever it does so."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: modules are imported by their full names"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def pipeline_but_languages(modules: Iterable[str]) -> set[str]:
    """Return the modules that belong to the pipeline, but for its languages, which `db` may know."""
    inside = (name for name in modules if name.startswith("pipeline."))
    return {name for name in inside if not f"{name}.".startswith("pipeline.languages.")}
