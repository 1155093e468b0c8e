"""Where a model's weights come from, and that they are what they should be.

Some come with the application. Others are looked for in the folder that `RECORTE_WEIGHTS` names (or the
user's data folder), then in the caches of the Hugging Face Hub and of torch; fetched into the first of these,
beside the final name, and moved into place when they are whole and, where their SHA-256 is known, right.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

from platformdirs import user_data_path

from pipeline.errors import DISK_FULL, WeightsError
from pipeline.files import fingerprint, read_json, try_lock, write_json

if TYPE_CHECKING:
    import httpx

HUB = "https://huggingface.co"
_ON_HUB = re.compile(re.escape(HUB) + r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")
SHIPPED = Path(__file__).resolve().parents[2] / "assets" / "models"
"""Where the weights are that come with the application."""

_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".json")
_WAIT_SECONDS = 0.2
"""Between two looks at a file that somebody else is fetching."""
_CONNECT_SECONDS, _STALL_SECONDS = 15, 60


@dataclass(frozen=True)
class File:
    """One file of weights."""

    name: str
    """Its path below a folder of weights, such as "sam_vit_b_01ec64.pth"."""
    url: str
    """Where it is fetched from; empty: it comes with the application."""
    bytes: int
    """About; exactly where `sha256` is known."""
    sha256: str = ""
    """In hexadecimal; empty where it is not known."""

    @property
    def on_hub(self) -> bool:
        """True if it comes from the Hugging Face Hub."""
        return self.url.startswith(f"{HUB}/")


@dataclass(frozen=True)
class Weights:
    """The files that one model needs."""

    files: tuple[File, ...]

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    @property
    def shipped(self) -> bool:
        """Whether they come with the application."""
        return not any(file.url for file in self.files)

    def to_json(self) -> dict[str, Any]:
        return {"bytes": self.bytes, "files": [vars(file) for file in self.files]}


@dataclass(frozen=True)
class Downloaded:
    """How far a download is."""

    done: int
    total: int
    """Bytes of all the files that are being fetched; the total is a guess until each has begun."""
    file: str
    """The name of the one that is under way."""

    def to_json(self) -> dict[str, Any]:
        return {"stage": "download", **vars(self)}


# Where they are


def folder() -> Path:
    """Where weights are put, and looked for first."""
    named = os.environ.get("RECORTE_WEIGHTS")
    return Path(named).expanduser().absolute() if named else user_data_path("recorte") / "weights"


_home = folder
"""Where a parameter has the name."""


def present(weights: Weights) -> bool:
    """Whether there is a file for each; what is in them is not looked at."""
    return all(_found(file) is not None for file in weights.files)


def located(weights: Weights, label: str, key: str, folder: Path | None = None) -> list[Path]:
    """A file for each of `weights.files`; raises WeightsError, which says what to put where.

    `folder` is a folder with these files, in its sub-folders or flat, or the file itself where there is only
    one; nothing else is looked at then. What is in the files is not looked at: see `verified`.
    """
    if folder is not None:
        return _given(weights, label, folder)
    found = {file: _found(file) for file in weights.files}
    missing = [file for file, path in found.items() if path is None]
    if missing:
        _check_shipped(weights)
        raise WeightsError(
            f"{label} needs its weights, {_listed(missing)}. Download them with `python -m pipeline download "
            f"{key}`, or put the {'file' if len(missing) == 1 else 'files'} into {_home()}."
        )
    return [path for path in found.values() if path is not None]


def _check_shipped(weights: Weights) -> None:
    """Raise WeightsError for missing weights that are nowhere to be fetched from."""
    if weights.shipped:
        raise WeightsError(
            f"{_listed(weights.files)} should be in {SHIPPED}, but is not there. Put the application's files "
            "back, or choose another model."
        )


def _given(weights: Weights, label: str, place: Path) -> list[Path]:
    if place.is_file():
        if len(weights.files) == 1:
            return [place]
        raise WeightsError(
            f"{place.name}: {label} needs {len(weights.files)} files, {_listed(weights.files)}. Name the "
            "folder that holds them."
        )
    if not place.is_dir():
        raise WeightsError(f"{place.name}: there is no such file or folder of weights.")
    found = {file: _first(place / file.name, place / Path(file.name).name) for file in weights.files}
    missing = [file for file, path in found.items() if path is None]
    if missing:
        raise WeightsError(f"{place.name}: {label} needs {_listed(missing)}; that is not in this folder.")
    return [path for path in found.values() if path is not None]


def _found(file: File) -> Path | None:
    if not file.url:
        return _first(SHIPPED / file.name)
    # By its whole name only: a model.safetensors that lies about could be any model's.
    return _first(folder() / file.name) or _in_hub_cache(file) or _first(_torch_cache() / file.name)


def _first(*paths: Path) -> Path | None:
    return next((path for path in paths if path.is_file()), None)


def _in_hub_cache(file: File) -> Path | None:
    """Where the hub's own client has put it, by its rules (`HF_HOME`, `HF_HUB_CACHE`)."""
    address = _ON_HUB.fullmatch(file.url)
    if address is None:
        return None
    from huggingface_hub import try_to_load_from_cache

    # Other revisions may hold the same file; that it is the same is found out when it is verified.
    for revision in (address["revision"], "main"):
        path = try_to_load_from_cache(address["repo"], address["file"], revision=revision)
        if isinstance(path, str):
            return Path(path)
    return None


def _torch_cache() -> Path:
    """Where torch.hub keeps checkpoints, by its rules; torch itself is slow to import."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("TORCH_HOME") or f"{cache}/torch").expanduser() / "hub" / "checkpoints"


def _listed(files: list[File] | tuple[File, ...]) -> str:
    return ", ".join(f"{file.name} ({size(file.bytes)})" for file in files)


def size(count: int) -> str:
    """A number of bytes as a person reads it: 375 MB."""
    if count >= 1e9:
        return f"{count / 1e9:.2f} GB"
    return f"{count / 1e6:.0f} MB" if count >= 1e6 else f"{max(1, round(count / 1e3))} kB"


# What they are

_verdicts: dict[tuple[Path, str], tuple[int, int]] = {}
"""The size and time of change with which a file had the SHA-256."""


def verified(weights: Weights, paths: list[Path]) -> list[Path]:
    """`paths` (one for each of `weights.files`), each of them `verify`ed."""
    for file, path in zip(weights.files, paths, strict=True):
        verify(file, path)
    return paths


def verify(file: File, path: Path) -> None:
    """Raise WeightsError where the file at `path` has not the SHA-256 that is known of it.

    Reads the file to its end, once; not again while it is unchanged.
    """
    if not file.sha256:
        return
    try:
        now = path.stat()
        state = now.st_size, now.st_mtime_ns
        if _verdicts.get((path, file.sha256)) == state:
            return
        right = now.st_size == file.bytes and _sha256(path) == file.sha256
    except OSError as error:
        raise WeightsError(f"{path.name} cannot be read: {error.strerror or error}.") from error
    if not right:
        raise WeightsError(
            f"{path.name} in {path.parent} is damaged, or another file of that name: its SHA-256 is not what "
            "it should be. Delete it, and download it again."
        )
    _verdicts[path, file.sha256] = state


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def identity(path: Path) -> str:
    """Names the weights that are at `path`, a file or a folder, by what is in them.

    Two that are named alike give the same mattes. Raises WeightsError where there are none.
    """
    try:
        if path.is_dir():
            files = sorted(p for p in path.rglob("*") if p.suffix in _SUFFIXES and p.is_file())
            if not files:
                raise WeightsError(f"{path.name}: there are no weights in this folder.")
            parts = [f"{p.relative_to(path)} {fingerprint(p)}" for p in files]
            return hashlib.sha256("\n".join(parts).encode()).hexdigest()
        return fingerprint(path)
    except OSError as error:
        raise WeightsError(
            f"{path.name}: these weights cannot be read: {error.strerror or error}."
        ) from error


# What the user has said to their licence

_ACKNOWLEDGED = "acknowledged.json"
_changing = threading.Lock()


def acknowledged(key: str) -> bool:
    """Whether the user has acknowledged what this model's licence forbids."""
    return key in read_json(folder() / _ACKNOWLEDGED)


def acknowledge(key: str, licence_url: str) -> None:
    """Remember that the user has acknowledged it. Raises WeightsError where it cannot be remembered."""
    path = folder() / _ACKNOWLEDGED
    try:
        with _changing:
            write_json(path, read_json(path) | {key: licence_url})
    except OSError as error:
        raise _unwritable(path.name, error) from error


# Fetching


def download(weights: Weights) -> Generator[Downloaded, None, None]:
    """Fetch what is missing into `folder()`; closing the generator stops, the next one goes on from there.

    Two that fetch the same file at once do not meet: the second waits for the first. Raises WeightsError.
    """
    missing = [file for file in weights.files if _found(file) is None]
    if not missing:
        return
    _check_shipped(weights)
    import httpx

    timeout = httpx.Timeout(_STALL_SECONDS, connect=_CONNECT_SECONDS)
    hosts = {urlsplit(_address(file.url)).hostname or "" for file in missing}
    hooks: dict[str, list[Callable[..., Any]]] = {"request": [partial(_check_address, hosts)]}
    with httpx.Client(timeout=timeout, follow_redirects=True, event_hooks=hooks) as client:
        done, total = 0, sum(file.bytes for file in missing)
        for file in missing:
            have, length = 0, file.bytes
            for have, length in _whole(client, file):
                yield Downloaded(done + have, total - file.bytes + max(have, length), file.name)
            done, total = done + length, total - file.bytes + length


def _whole(client: httpx.Client, file: File) -> Iterator[tuple[int, int]]:
    """Fetch one file and move it into place; yields bytes had and bytes in all."""
    final = folder() / file.name
    part = final.with_name(f"{final.name}.part")
    with _sentences(file):
        final.parent.mkdir(parents=True, exist_ok=True)
        while (out := _locked(part)) is None:
            yield (part.stat().st_size if part.exists() else file.bytes), file.bytes
            time.sleep(_WAIT_SECONDS)
        with out:
            if final.is_file():  # by somebody else, while this one waited
                part.unlink()
                return
            tag = final.with_name(f"{part.name}.tag")
            yield from _parts(client, file, out, tag)
            out.flush()
            os.fsync(out.fileno())
            if file.sha256 and _sha256(part) != file.sha256:
                part.unlink()
                raise WeightsError(
                    f"{file.name} arrived with another SHA-256 than it should have, and was deleted. Try "
                    f"again; if it stays so, {_by_hand(file)}"
                )
            part.replace(final)
            tag.unlink(missing_ok=True)


def _locked(part: Path) -> BinaryIO | None:
    """The file that is being filled, for this caller alone; None: it is somebody else's.

    The kernel frees the lock, however its holder ends.
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


def _parts(client: httpx.Client, file: File, out: BinaryIO, tag: Path) -> Iterator[tuple[int, int]]:
    """Fill `out` to the file's end, from where it stops; `tag` keeps what names the version it is of.

    Ranges and If-Range: RFC 9110, sections 13.1.5 and 14.
    """
    have = out.seek(0, os.SEEK_END)
    if file.sha256 and have == file.bytes:
        return
    headers = {"Accept-Encoding": "identity"}
    version = read_json(tag).get("version") if have else None
    if version:
        headers |= {"Range": f"bytes={have}-", "If-Range": str(version)}
    with client.stream("GET", _address(file.url), headers=headers) as response:
        span = re.fullmatch(
            r"bytes (?:(?P<start>\d+)-\d+|\*)/(?P<all>\d+)", response.headers.get("Content-Range", "")
        )
        if version and response.status_code == 416 and span and int(span["all"]) == have:
            return
        if version and response.status_code in (206, 416) and not (span and span["start"] == str(have)):
            out.truncate(0)
        elif response.status_code not in ((200, 206) if version else (200,)):
            raise _refused(file, response.status_code)
        elif response.headers.get("Content-Type", "").startswith("text/html"):
            # What a network says that wants a login first, or a host that has moved.
            raise WeightsError(
                f"{urlsplit(_address(file.url)).hostname} answered with a page instead of {file.name}. Open "
                f"it in a browser to see what it says, or {_by_hand(file)}"
            )
        else:
            if response.status_code == 200:
                have = 0
            told = span["all"] if span else response.headers.get("Content-Length", "")
            length = int(told) if told.isdecimal() else None
            _check_length(file, length, have)
            if not have:
                out.seek(0)
                out.truncate()
                write_json(tag, {"version": _version(response)})
            for chunk in response.iter_raw():
                out.write(chunk)
                have += len(chunk)
                yield have, length or file.bytes
            if length is not None and have != length:
                raise _broken_off(file, have)
            return
    yield from _parts(client, file, out, tag)


def _version(response: httpx.Response) -> str:
    """What If-Range may name: a strong tag, else a time; empty: nothing, the file cannot be gone on with."""
    tag = str(response.headers.get("ETag", ""))
    return tag if tag.startswith('"') else str(response.headers.get("Last-Modified", ""))


def _check_length(file: File, length: int | None, have: int) -> None:
    if file.sha256 and length not in (None, file.bytes):
        raise WeightsError(
            f"What is offered as {file.name} has {length} bytes instead of {file.bytes}: it is another file, "
            f"and was not fetched. If it stays so, {_by_hand(file)}"
        )
    needed = (length or file.bytes) - have
    if shutil.disk_usage(folder()).free < needed:
        raise WeightsError(_no_room(file.name, needed))


def _address(url: str) -> str:
    """The hub's addresses are moved to the mirror that `HF_ENDPOINT` names, as the hub's own client does."""
    mirror = os.environ.get("HF_ENDPOINT", "").rstrip("/")
    return mirror + url.removeprefix(HUB) if mirror and url.startswith(f"{HUB}/") else url


def _check_address(hosts: set[str], request: httpx.Request) -> None:
    """Raise WeightsError for an address that one of the `hosts`, which were asked for, should not lead to.

    One without encryption, where the file could be changed on its way; and one in this machine's own network,
    unless the host that was asked for lies in there itself.
    """
    host = request.url.host
    mirror = urlsplit(os.environ.get("HF_ENDPOINT", ""))
    if request.url.scheme != "https" and not (mirror.scheme == "http" and host == mirror.hostname):
        raise WeightsError(f"{host} offers the weights without encryption; nothing was fetched.")
    if host not in hosts and _is_private(host) and not any(map(_is_private, hosts)):
        raise WeightsError(
            f"The weights are said to be at {host}, in this machine's own network; nothing was fetched."
        )


def _is_private(host: str) -> bool:
    """Return True if a host is, or its name stands for, an address that is not of the public Internet."""
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except OSError:
        return False  # then it cannot be asked either, or a proxy asks it
    return any(not ipaddress.ip_address(address.partition("%")[0]).is_global for address in found)


# What is said when it fails


@contextmanager
def _sentences(file: File) -> Iterator[None]:
    """Turn what the network and the disk raise into WeightsError."""
    import httpx

    address = _address(file.url)
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.UnsupportedProtocol) as error:
        raise WeightsError(
            f"{urlsplit(address).hostname or address} cannot be reached ({error}). Without a network, "
            f"{_by_hand(file)}"
        ) from error
    except (httpx.TooManyRedirects, httpx.InvalidURL) as error:
        raise WeightsError(f"{address} leads nowhere. To go on, {_by_hand(file)}") from error
    except httpx.RequestError as error:
        part = folder() / f"{file.name}.part"
        raise _broken_off(file, part.stat().st_size if part.exists() else 0) from error
    except OSError as error:
        raise _unwritable(file.name, error) from error


def _by_hand(file: File) -> str:
    return f"get {_address(file.url)} some other way and put it into {folder()} as {file.name}."


def _broken_off(file: File, have: int) -> WeightsError:
    return WeightsError(
        f"The download of {file.name} broke off after {size(have)} of {size(file.bytes)}. Start it again: it "
        "goes on from there."
    )


def _refused(file: File, status: int) -> WeightsError:
    host = urlsplit(_address(file.url)).hostname
    if status in (401, 403):
        return WeightsError(
            f"{host} does not hand out {file.name} without a login ({status}). Log in there with a browser, "
            f"{_by_hand(file)}"
        )
    if status in (404, 410):
        return WeightsError(
            f"{host} has no {file.name} any more ({status} for {_address(file.url)}). If you have it, put it "
            f"into {folder()} as {file.name}."
        )
    if status >= 500 or status == 429:
        return WeightsError(
            f"{host} is busy or out of order ({status}). Try again later, or {_by_hand(file)}"
        )
    return WeightsError(f"{host} answered {status} for {file.name}. Try again later, or {_by_hand(file)}")


def _unwritable(name: str, error: OSError) -> WeightsError:
    if error.errno in DISK_FULL:
        return WeightsError(_no_room(name))
    return WeightsError(
        f"{name} cannot be written into {folder()}: {error.strerror or error}. Mend that, or name another "
        "folder with RECORTE_WEIGHTS."
    )


def _no_room(name: str, needed: int | None = None) -> str:
    more = "" if needed is None else f": {size(needed)} more are needed"
    return (
        f"There is no room for {name} in {folder()}{more}. Make some, or name another folder with "
        "RECORTE_WEIGHTS."
    )
