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
from pipeline.cluster.driver import RayDriver
from pipeline.cluster.executor import open_driver
from pipeline.cluster.inspection import NodeReport
from pipeline.errors import InputError, RecorteError
from pipeline.languages.messages import Message, render_for_command_line
from pipeline.video.hardware import has_encoders, has_hardware_encoder, list_decoders

_LOW_DISK = 5 * 2**30
_MIN_DISK = 200 * 2**20
_LOW_MEMORY = 2 * 2**30


@dataclass(frozen=True)
class Finding:
    """The result of one check; `str` gives a line in the language of the environment."""

    message: Message
    ok: bool = True
    stops: bool = False
    """The server cannot serve like this."""

    @property
    def sentence(self) -> str:
        return render_for_command_line(self.message)

    def __str__(self) -> str:
        return f"{'ok' if self.ok else '!!' if self.stops else '--'}  {self.sentence}"


def examine(
    home: Path,
    database_url: str | None,
    host: str,
    port: int,
    *,
    running: bool,
    ray: str | None = None,
    store: str | None = None,
) -> Iterator[Finding]:
    """Yield the findings. `running`: a server holds the folder, so that its port is rightly in use.

    `ray` and `store` are the addresses of a cluster and its store; None: there is none.
    """
    yield from _folder(home)
    yield _database(home, database_url)
    yield _port(host, port, running=running)
    yield _memory()
    yield from _device()
    yield from _models()
    yield _encoders()
    if ray is not None:
        yield from _cluster(ray, store)


def _folder(home: Path) -> Iterator[Finding]:
    existing = home
    while not existing.exists():
        existing = existing.parent
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        message = Message(
            "doctor.not_writable", {"folder": str(home), "reason": error.strerror or str(error)}
        )
        yield Finding(message, ok=False, stops=True)
        return
    if home.exists():
        yield Finding(Message("doctor.folder", {"folder": str(home)}))
    else:
        yield Finding(Message("doctor.new_folder", {"folder": str(home)}))
    disk = shutil.disk_usage(existing)
    free, total = disk.free, disk.total
    if disk.free < _MIN_DISK:
        yield Finding(Message("doctor.full_disk", {"free": free, "total": total}), ok=False, stops=True)
    elif disk.free < _LOW_DISK:
        yield Finding(Message("doctor.small_disk", {"free": free, "total": total}), ok=False)
    else:
        yield Finding(Message("doctor.disk", {"free": free, "total": total}))


def _database(home: Path, url: str | None) -> Finding:
    folder = home / "database"
    if url is None and not (folder / "data").exists():
        return Finding(Message("doctor.new_database"))
    try:
        # A running server's embedded database is joined, not started again; no migration is run.
        with Database.open(url, folder, migrate=False) as database:
            version = database.version()
    except DatabaseError as error:
        return Finding(error.message, ok=False, stops=True)
    if url is None:
        return Finding(Message("doctor.embedded_database", {"version": version}))
    return Finding(Message("doctor.database", {"version": version}))


def _port(host: str, port: int, *, running: bool) -> Finding:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family):
            return Finding(Message("doctor.port_free", {"host": host, "port": port}))
    except OSError as error:
        if running:
            return Finding(Message("doctor.port_ours", {"host": host, "port": port}))
        reason = error.strerror or str(error)
        message = Message("doctor.port_taken", {"host": host, "port": port, "reason": reason})
        return Finding(message, ok=False, stops=True)


def _memory() -> Finding:
    memory = psutil.virtual_memory()
    free, total = memory.available, memory.total
    if memory.available < _LOW_MEMORY:
        return Finding(Message("doctor.low_memory", {"free": free, "total": total}), ok=False)
    return Finding(Message("doctor.memory", {"free": free, "total": total}))


def _device() -> Iterator[Finding]:
    try:
        found = devices.list_all()
    except (RecorteError, ImportError, OSError) as error:
        reason = error.message if isinstance(error, RecorteError) else str(error)
        yield Finding(Message("doctor.no_device", {"reason": reason}), ok=False, stops=True)
        return
    yield from _engines()
    for device in found:
        if device.type == "cpu":
            yield Finding(Message("doctor.processor", {"cores": os.cpu_count() or 1}))
            continue
        name, memory = devices.describe(device)
        yield Finding(Message("doctor.device", {"device": str(device), "name": name, "memory": memory}))
        codecs = list_decoders(device.index or 0) if device.type == "cuda" else ()
        if codecs:
            yield Finding(Message("doctor.decoded_on_card", {"codecs": ", ".join(codecs)}))
        else:
            yield Finding(Message("doctor.decoded_on_host"))


def _engines() -> Iterator[Finding]:
    """Yield a finding on TensorRT where the setting asks for it."""
    from pipeline.networks import tensorrt

    if os.environ.get(tensorrt.SETTING) != "1":
        return
    version = tensorrt.find_version()
    if version is None:
        yield Finding(Message("doctor.no_tensorrt", {"setting": tensorrt.SETTING}), ok=False)
    else:
        yield Finding(Message("doctor.tensorrt", {"version": version}))


def _models() -> Iterator[Finding]:
    for card in models.cards().values():
        if card.weights is None:
            yield Finding(Message("doctor.no_weights_needed", {"label": card.label}))
        elif card.present:
            yield Finding(Message("doctor.weights_here", {"label": card.label}))
        elif card.weights.shipped:
            yield Finding(Message("doctor.weights_not_shipped", {"label": card.label}), ok=False)
        else:
            size = card.weights.bytes
            message = Message("doctor.weights_missing", {"label": card.label, "key": card.key, "size": size})
            yield Finding(message, ok=False)


def _encoders() -> Finding:
    every = formats.FORMATS.values()
    missing = [form.label for form in every if not has_encoders(form)]
    if missing:
        message = Message("doctor.formats_missing", {"formats": ", ".join(missing)})
        return Finding(message, ok=False, stops=len(missing) == len(every))
    fast = [form.label for form in every if has_hardware_encoder(form)]
    if fast:
        return Finding(Message("doctor.formats_fast", {"count": len(every), "formats": ", ".join(fast)}))
    return Finding(Message("doctor.formats", {"count": len(every)}))


def _cluster(address: str, store: str | None) -> Iterator[Finding]:
    try:
        with open_driver(address, store) as driver:
            reports = driver.call(RayDriver.inspect)
            room = driver.call(RayDriver.capacity)
    except RecorteError as error:
        yield Finding(error.message, ok=False, stops=True)
        return
    yield Finding(Message("doctor.cluster", {"address": address, "nodes": len(reports), "room": room}))
    if store is not None:
        yield Finding(Message("doctor.store", {"address": store}))
    for report in reports:
        yield _node(report)


def _node(report: NodeReport) -> Finding:
    node = report.node
    if report.error is not None:
        return Finding(report.error.message, ok=False, stops=isinstance(report.error, InputError))
    if not node.runs_jobs:
        return Finding(Message("doctor.node_without_jobs", {"node": node.name}))
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    name, cpus, memory = node.name, int(node.cpus), int(node.memory)
    if not node.gpus:
        return Finding(
            Message("doctor.node", {"node": name, "cpus": cpus, "memory": memory, "versions": versions})
        )
    cards = " ".join(filter(None, (f"{node.gpus:g} ×", node.card or "GPU")))
    return Finding(
        Message(
            "doctor.node_with_cards",
            {"node": name, "cpus": cpus, "memory": memory, "versions": versions, "cards": cards},
        )
    )
