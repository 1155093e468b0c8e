"""Connection to a Ray cluster."""

from __future__ import annotations

import os
import re
import socket
from contextlib import suppress

from pipeline.cluster.crossing import CODE
from pipeline.errors import InputError

LOCAL = "local"
"""Address of a cluster of this machine alone, which is started and ends with its driver."""

AWAY = ("cluster.no_answer", "cluster.not_joined")
"""Keys of the errors that say that a cluster is away, which may pass."""

_CONNECT_SECONDS = 10.0
_OBJECT_STORE_BYTES = 100 * 2**20
"""Ray's object store on a local cluster; frames and files do not go through it."""


def join_cluster(address: str) -> None:
    """Join the Ray cluster at an address as its driver: HOST:PORT, ray://HOST:PORT, `auto` or `local`.

    Ray looks for a cluster that does not answer for minutes, and may end the process; therefore its address
    is asked first. Raises InputError where Ray is missing, or the cluster cannot be joined.
    """
    # Nothing is told to Ray's makers about a cluster that is started here, unless that is wanted.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise InputError("cluster.no_ray") from error
    if address not in (LOCAL, "auto"):
        _check_answer(address)
    # Ray's workers find the code where their driver has it, if its folder is the current one.
    os.chdir(CODE)
    options = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == LOCAL:
        options |= {"include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES}
    try:
        ray.init(address=address, **options)
    except (OSError, RuntimeError, ValueError) as error:
        text = str(error)
        if text.startswith("Version mismatch"):
            raise InputError("cluster.other_versions", address=address, reason=_first_lines(text)) from error
        if isinstance(error, ConnectionError):
            raise InputError("cluster.no_answer", address=address) from error
        raise InputError("cluster.not_joined", address=address, reason=_first_lines(text)) from error


def is_connected() -> bool:
    """Return False where the connection to a `ray://` address that was joined is lost, and left."""
    import ray

    try:
        ray.put(None)  # takes the way that jobs take; whether Ray is initialised, its proxy answers for it
        return True
    except Exception as error:
        if not is_lost(error):
            raise
    with suppress(Exception):
        ray.shutdown()
    return False


def is_lost(error: Exception) -> bool:
    """Return True for an error by which Ray tells that the connection to a `ray://` address is lost."""
    return isinstance(error, ConnectionError) or type(error).__module__.partition(".")[0] == "grpc"


def _check_answer(address: str) -> None:
    """Raise InputError unless something listens at HOST:PORT or ray://HOST:PORT."""
    found = re.fullmatch(r"(?:ray://)?(\[[^\]]+\]|[^:/\[\]]+):(\d{1,5})", address)
    if found is None or not 0 < int(found[2]) < 65536:
        raise InputError("cluster.bad_address", address=address)
    try:
        socket.create_connection((found[1].strip("[]"), int(found[2])), _CONNECT_SECONDS).close()
    except OSError as error:
        raise InputError("cluster.no_answer", address=address) from error


def _first_lines(text: str) -> str:
    """Return an error of Ray as one line of at most 300 characters."""
    return " ".join(text.split())[:300]
