"""Plain data that crosses between driver and node: errors and versions."""

from __future__ import annotations

import hashlib
import platform
import traceback
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from pipeline import errors, limits
from pipeline.errors import InputError, RecorteError, RunError
from pipeline.languages.messages import Message

CODE = Path(__file__).resolve().parents[2]
"""Folder of the program's code."""


def error_to_json(error: BaseException) -> dict[str, Any]:
    """Return an error as JSON; one of no class of `pipeline.errors` with its traceback."""
    if isinstance(error, MemoryError):
        error = RunError.of(limits.NO_MEMORY)
    if isinstance(error, RecorteError):
        return {"class": type(error).__name__, "message": error.message.to_json()}
    trace = "".join(traceback.format_exception(error))
    return {"class": None, "text": f"{type(error).__name__}: {error}", "trace": trace}


def error_from_json(data: dict[str, Any]) -> Exception:
    """Return the error that `error_to_json` wrote; those of other classes as a RuntimeError."""
    kind = getattr(errors, data["class"], None) if data["class"] else None
    if isinstance(kind, type) and issubclass(kind, RecorteError):
        return kind.of(Message.from_json(data["message"]))
    error = RuntimeError(data.get("text", ""))
    error.add_note(data.get("trace", ""))
    return error


@cache
def find_versions() -> dict[str, str]:
    """Return the versions on this machine that driver and nodes have to agree in, by name.

    Recorte's is a digest of its code, so that a node with an older checkout is told from this one.
    """
    return {
        "Recorte": _code_version(),
        "Python": ".".join(platform.python_version_tuple()[:2]),
        **{name: metadata.version(name) for name in ("torch", "ray")},
    }


def version_error(node: str, theirs: dict[str, str]) -> InputError | None:
    """Return the error that names the first version of a node that is not this machine's; None: none is."""
    for name, ours in find_versions().items():
        if theirs.get(name) != ours:
            said = str(theirs.get(name))
            return InputError("cluster.versions", node=node, name=name, theirs=said, ours=ours)
    return None


def _code_version() -> str:
    digest = hashlib.sha256()
    for path in sorted((CODE / "pipeline").rglob("*.py")):
        digest.update(f"{path.relative_to(CODE)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]
