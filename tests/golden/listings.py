"""Listings of what the program offers to others, as plain data: each is a file of its name in `data/`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, inspect

from tests.golden import jobs
from tests.golden.internals import FORMATS

ROOT = Path(__file__).resolve().parents[2]

PIPELINE = ("-m", "pipeline")
APP = ("app.py",)
HELPED = {
    "pipeline": (*PIPELINE,),
    **{
        f"pipeline {name}": (*PIPELINE, name)
        for name in ("run", "batch", "preview", "render", "probe", "models", "download")
    },
    "app": (*APP,),
    "app doctor": (*APP, "doctor"),
    "app user": (*APP, "user"),
    **{f"app user {name}": (*APP, "user", name) for name in ("list", "add", "password", "remove")},
    "app token": (*APP, "token"),
    **{f"app token {name}": (*APP, "token", name) for name in ("list", "add", "remove")},
}
"""Every command, with what Python is given for it."""


def call(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the repository's folder, as in a terminal 100 columns wide without colours."""
    surroundings = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "FORCE_COLOR")}
    surroundings |= {"COLUMNS": "100", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        cwd=ROOT,
        env=surroundings | environment,
    )


def helped(command: str) -> list[str]:
    """The lines of a command's help."""
    done = call(*HELPED[command], "--help")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def served(home: Path, url: str) -> dict[str, Any]:
    """Return what the application serves with a data folder and a database."""
    done = call("-m", "tests.golden.served", RECORTE_HOME=str(home), RECORTE_PORT="0", DATABASE_URL=url)
    assert done.returncode == 0, done.stderr
    listing: dict[str, Any] = json.loads(done.stdout)
    return listing


def cards() -> list[str]:
    """Key and version of each model."""
    done = call(*PIPELINE, "models", "--json")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    return [f"{card['key']} {card['version']}" for card in told]


def probe() -> dict[str, Any]:
    """Return what the command line tells of a video."""
    listing: dict[str, Any] = json.loads(call(*PIPELINE, "probe", jobs.DATA / "clip.mkv", "--json").stdout)
    return listing


def formats() -> dict[str, Any]:
    """Suffix, MIME type and container of each format."""
    return {key: [form.suffix, form.mime, form.container] for key, form in FORMATS.items()}


def settings() -> list[str]:
    """The variables that the README says are read."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return sorted(re.findall(r"^\| `([A-Z_]+)` \|", text, re.MULTILINE))


def tables(engine: Engine) -> dict[str, Any]:
    """Columns, keys, indexes and checks of each table that the migrations make."""
    inspector = inspect(engine)
    return {
        name: {
            "columns": {
                column[
                    "name"
                ]: f"{column['type'].compile(engine.dialect)}{'' if column['nullable'] else ' NOT NULL'}"
                + (f" DEFAULT {column['default']}" if column["default"] else "")
                for column in inspector.get_columns(name)
            },
            "primary key": inspector.get_pk_constraint(name)["constrained_columns"],
            "foreign keys": sorted(
                f"{', '.join(key['constrained_columns'])} -> {key['referred_table']} {key['options']}"
                for key in inspector.get_foreign_keys(name)
            ),
            "indexes": sorted(
                f"{index['name']} {'UNIQUE ' if index['unique'] else ''}"
                f"{', '.join(map(str, index.get('expressions', index['column_names'])))}"
                for index in inspector.get_indexes(name)
            ),
            # The words that a check allows: how PostgreSQL writes the rest of it hangs on its version.
            "checks": {
                str(check["name"]): re.findall(r"'([^']*)'", check["sqltext"])
                for check in inspector.get_check_constraints(name)
            },
        }
        for name in sorted(inspector.get_table_names())
    }


STANDALONE: dict[str, Callable[[], Any]] = {
    "jobs": jobs.listed,
    "cards": cards,
    "formats": formats,
    "probe": probe,
    "settings": settings,
}
"""Those that need nothing, by the names of their files."""


def written(value: Any) -> str:
    """The text of a listing's file."""
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
