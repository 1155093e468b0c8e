"""Doctor: checks of everything that the server needs, with a sentence on each."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from db.engine import Database
from db.errors import DatabaseError
from pipeline import devices, formats, models
from pipeline.errors import RecorteError
from pipeline.video.hardware import has_encoders, has_hardware_encoder
from pipeline.weights.spec import format_size
from ui import text

_LOW_DISK = 5 * 2**30
_MIN_DISK = 200 * 2**20
_LOW_MEMORY = 2 * 2**30


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    sentence: str
    ok: bool = True
    stops: bool = False
    """The server cannot serve like this."""

    def __str__(self) -> str:
        return f"{'ok' if self.ok else '!!' if self.stops else '--'}  {self.sentence}"


def examine(
    home: Path, database_url: str | None, host: str, port: int, *, running: bool
) -> Iterator[Finding]:
    """Yield the findings. `running`: a server holds the folder, so that its port is rightly in use."""
    yield from _folder(home)
    yield _database(home, database_url)
    yield _port(host, port, running=running)
    yield _memory()
    yield _device()
    yield from _models()
    yield _encoders()


def _folder(home: Path) -> Iterator[Finding]:
    existing = home
    while not existing.exists():
        existing = existing.parent
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        yield Finding(
            f"Nothing can be written into the data folder {home} ({error.strerror}): mend that, or name "
            "another with RECORTE_HOME.",
            ok=False,
            stops=True,
        )
        return
    note = "" if home.exists() else ", which is made at the first start"
    yield Finding(f"The data folder is {home}{note}.")
    disk = shutil.disk_usage(existing)
    sentence = f"{text.format_size(disk.free)} of {text.format_size(disk.total)} are free on its disk"
    if disk.free < _MIN_DISK:
        yield Finding(f"{sentence}: make room before anything is run.", ok=False, stops=True)
    elif disk.free < _LOW_DISK:
        yield Finding(f"{sentence}: that is soon used up by uploads and results.", ok=False)
    else:
        yield Finding(f"{sentence}.")


def _database(home: Path, url: str | None) -> Finding:
    folder = home / "database"
    if url is None and not (folder / "data").exists():
        return Finding("The embedded database is made at the first start.")
    try:
        # A running server's embedded database is joined, not started again; no migration is run.
        with Database.open(url, folder, migrate=False) as database:
            version = database.version()
    except DatabaseError as error:
        return Finding(str(error), ok=False, stops=True)
    which = "The embedded database" if url is None else "The database that DATABASE_URL names"
    return Finding(f"{which} answers: PostgreSQL {version}.")


def _port(host: str, port: int, *, running: bool) -> Finding:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family):
            return Finding(f"{host}:{port} is free to be served at.")
    except OSError as error:
        if running:
            return Finding(f"{host}:{port} is in use, and a Recorte is running on the data folder.")
        return Finding(
            f"Nothing can be served at {host}:{port} ({error.strerror}): choose with RECORTE_HOST and "
            "RECORTE_PORT.",
            ok=False,
            stops=True,
        )


def _memory() -> Finding:
    memory = psutil.virtual_memory()
    sentence = f"{text.format_size(memory.available)} of {text.format_size(memory.total)} of memory are free"
    if memory.available < _LOW_MEMORY:
        return Finding(f"{sentence}: a run takes about 2 GB, larger models more.", ok=False)
    return Finding(f"{sentence}.")


def _device() -> Finding:
    try:
        device = devices.pick("auto")
    except (RecorteError, ImportError, OSError) as error:
        return Finding(f"No device can be used for models ({error}).", ok=False, stops=True)
    if device.type != "cuda":
        return Finding(f"Models run on the processor, with {os.cpu_count()} cores: there is no CUDA device.")
    name, memory = devices.describe(device)
    return Finding(f"Models run on {device}: {name}, {text.format_size(memory)}.")


def _models() -> Iterator[Finding]:
    for card in models.cards().values():
        if card.weights is None:
            yield Finding(f"{card.label} needs no weights.")
        elif card.present:
            yield Finding(f"{card.label}: its weights are here.")
        elif card.weights.shipped:
            yield Finding(
                f"{card.label}: its weights should have come with the application. Put its files back.",
                ok=False,
            )
        else:
            yield Finding(
                f"{card.label}: its weights are not here. `python -m pipeline download {card.key}` fetches "
                f"{format_size(card.weights.bytes)}.",
                ok=False,
            )


def _encoders() -> Finding:
    missing = [form.label for form in formats.FORMATS.values() if not has_encoders(form)]
    if missing:
        every = len(missing) == len(formats.FORMATS)
        return Finding(
            f"These formats cannot be encoded here: {', '.join(missing)}. Install the package av again.",
            ok=False,
            stops=every,
        )
    fast = [form.label for form in formats.FORMATS.values() if has_hardware_encoder(form)]
    cards = f"; a graphics card encodes {', '.join(fast)}" if fast else ""
    return Finding(f"All {len(formats.FORMATS)} formats can be encoded{cards}.")
