"""Downloading weights into the folder of weights, resumably.

A file is received beside its final name, and moved into place when it is complete and, where its SHA-256 is
known, has that.
"""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

from pipeline.errors import WeightsError
from pipeline.files import read_json, try_lock, write_json
from pipeline.weights import locate
from pipeline.weights.errors import (
    interrupted_error,
    manual_instruction,
    map_errors,
    mirrored_url,
    no_space_error,
    status_error,
)
from pipeline.weights.locate import check_shipped, find_file
from pipeline.weights.spec import HUB, File, Weights
from pipeline.weights.verify import sha256

if TYPE_CHECKING:
    import httpx

_WAIT_SECONDS = 0.2
"""Between two attempts to lock a file that another download holds."""

_CONNECT_SECONDS, _STALL_SECONDS = 15, 60
"""Timeouts: of a connection, and of a response without new bytes."""


@dataclass(frozen=True)
class DownloadProgress:
    """Progress of a download."""

    done: int
    total: int
    """Bytes of all the files that are being fetched; the total is an estimate until each has begun."""
    file: str
    """Name of the file that is being downloaded."""

    def to_json(self) -> dict[str, Any]:
        return {"stage": "download", **vars(self)}


def download_files(weights: Weights) -> Generator[DownloadProgress, None, None]:
    """Download the missing files into the folder of weights; yields the progress. Raises WeightsError.

    Closing the generator stops the download; the next one resumes it. Of two that download the same file at
    once the second waits for the first.
    """
    missing = [file for file in weights.files if find_file(file) is None]
    if not missing:
        return
    check_shipped(weights)
    import httpx

    timeout = httpx.Timeout(_STALL_SECONDS, connect=_CONNECT_SECONDS)
    hosts = {urlsplit(mirrored_url(file.url)).hostname or "" for file in missing}
    hooks: dict[str, list[Callable[..., Any]]] = {"request": [partial(_check_address, hosts)]}
    with httpx.Client(timeout=timeout, follow_redirects=True, event_hooks=hooks) as client:
        done, total = 0, sum(file.bytes for file in missing)
        for file in missing:
            have, length = 0, file.bytes
            for have, length in _download_file(client, file):
                yield DownloadProgress(done + have, total - file.bytes + max(have, length), file.name)
            done, total = done + length, total - file.bytes + length


def _download_file(client: httpx.Client, file: File) -> Iterator[tuple[int, int]]:
    """Download one file and move it into place; yields the bytes received and the bytes in all."""
    final = locate.weights_folder() / file.name
    part = final.with_name(f"{final.name}.part")
    with map_errors(file):
        final.parent.mkdir(parents=True, exist_ok=True)
        while (out := _open_locked(part)) is None:
            yield (part.stat().st_size if part.exists() else file.bytes), file.bytes
            time.sleep(_WAIT_SECONDS)
        with out:
            if final.is_file():  # downloaded by another process meanwhile
                part.unlink()
                return
            tag = final.with_name(f"{part.name}.tag")
            yield from _receive(client, file, out, tag)
            out.flush()
            os.fsync(out.fileno())
            if not sha256(part).startswith(file.sha256):
                part.unlink()
                raise WeightsError("weights.hash", file=file.name, how=manual_instruction(file))
            part.replace(final)
            tag.unlink(missing_ok=True)


def _open_locked(part: Path) -> BinaryIO | None:
    """Open the partial file and lock it; None: another download holds it.

    The kernel frees the lock however its holder ends.
    """
    file = os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+b")
    try:
        # While this one opened it, another may have moved it into place or deleted it.
        if try_lock(file.fileno()) and os.path.samestat(os.fstat(file.fileno()), part.stat()):
            return file
    except FileNotFoundError:
        pass
    file.close()
    return None


def _receive(client: httpx.Client, file: File, out: BinaryIO, tag: Path) -> Iterator[tuple[int, int]]:
    """Receive the rest of a file into `out`; `tag` is the path of the JSON file with its version.

    Ranges and If-Range: RFC 9110, sections 13.1.5 and 14.
    """
    have = out.seek(0, os.SEEK_END)
    if file.is_pinned and have == file.bytes:
        return
    headers = {"Accept-Encoding": "identity", **_authorization(file)}
    version = read_json(tag).get("version") if have else None
    if version:
        headers |= {"Range": f"bytes={have}-", "If-Range": str(version)}
    with client.stream("GET", mirrored_url(file.url), headers=headers) as response:
        span = re.fullmatch(
            r"bytes (?:(?P<start>\d+)-\d+|\*)/(?P<all>\d+)", response.headers.get("Content-Range", "")
        )
        if version and response.status_code == 416 and span and int(span["all"]) == have:
            return
        if version and response.status_code in (206, 416) and not (span and span["start"] == str(have)):
            out.truncate(0)
        elif response.status_code not in ((200, 206) if version else (200,)):
            raise status_error(file, response.status_code)
        elif response.headers.get("Content-Type", "").startswith("text/html"):
            # Such as the login page of a network, or of a host that has moved.
            raise WeightsError(
                "weights.page",
                host=urlsplit(mirrored_url(file.url)).hostname or "",
                file=file.name,
                how=manual_instruction(file),
            )
        else:
            if response.status_code == 200:
                have = 0
            stated = span["all"] if span else response.headers.get("Content-Length", "")
            length = int(stated) if stated.isdecimal() else None
            _check_length(file, length, have)
            if not have:
                out.seek(0)
                out.truncate()
                write_json(tag, {"version": _resume_tag(response)})
            for chunk in response.iter_raw():
                out.write(chunk)
                have += len(chunk)
                yield have, length or file.bytes
            if length is not None and have != length:
                raise interrupted_error(file, have)
            return
    yield from _receive(client, file, out, tag)


def _authorization(file: File) -> dict[str, str]:
    """Return the header with the token of HF_TOKEN, for a file of the hub; httpx keeps it from other hosts.

    Files whose terms have to be accepted first are given only to an account that has done so.
    """
    token = os.environ.get("HF_TOKEN", "").strip()
    return {"Authorization": f"Bearer {token}"} if token and file.url.startswith(f"{HUB}/") else {}


def _resume_tag(response: httpx.Response) -> str:
    """Return the value for If-Range: a strong ETag, else a date; empty: the download cannot be resumed."""
    tag = str(response.headers.get("ETag", ""))
    return tag if tag.startswith('"') else str(response.headers.get("Last-Modified", ""))


def _check_length(file: File, length: int | None, have: int) -> None:
    """Raise WeightsError for a wrong length, or where the disk has no room for the rest; all in bytes."""
    if file.is_pinned and length not in (None, file.bytes):
        raise WeightsError(
            "weights.length", file=file.name, length=length, bytes=file.bytes, how=manual_instruction(file)
        )
    needed = (length or file.bytes) - have
    if shutil.disk_usage(locate.weights_folder()).free < needed:
        raise no_space_error(file.name, needed)


def _check_address(hosts: set[str], request: httpx.Request) -> None:
    """Raise WeightsError for an address that one of the requested `hosts` should not redirect to.

    One without encryption, where the file could be changed on its way; and one in this machine's own network,
    unless the requested host lies in there itself.
    """
    host = request.url.host
    mirror = urlsplit(os.environ.get("HF_ENDPOINT", ""))
    if request.url.scheme != "https" and not (mirror.scheme == "http" and host == mirror.hostname):
        raise WeightsError("weights.unencrypted", host=host)
    if host not in hosts and _is_private(host) and not any(map(_is_private, hosts)):
        raise WeightsError("weights.private_host", host=host)


def _is_private(host: str) -> bool:
    """Return True if a host is, or its name resolves to, an address that is not of the public Internet."""
    try:
        addresses = {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except OSError:
        return False  # then the request fails as well, or a proxy resolves the name
    return any(not ipaddress.ip_address(address.partition("%")[0]).is_global for address in addresses)
