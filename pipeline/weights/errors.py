"""Sentences for downloads that fail: the errors of the network, the server and the disk as WeightsError."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from pipeline.errors import DISK_FULL, WeightsError
from pipeline.weights import locate
from pipeline.weights.spec import HUB, File, format_size


@contextmanager
def map_errors(file: File) -> Iterator[None]:
    """Raise the errors of the network and the disk as WeightsError."""
    import httpx

    address = mirrored_url(file.url)
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.UnsupportedProtocol) as error:
        raise WeightsError(
            f"{urlsplit(address).hostname or address} cannot be reached ({error}). Without a network, "
            f"{manual_instruction(file)}"
        ) from error
    except (httpx.TooManyRedirects, httpx.InvalidURL) as error:
        raise WeightsError(f"{address} leads nowhere. To go on, {manual_instruction(file)}") from error
    except httpx.RequestError as error:
        part = locate.weights_folder() / f"{file.name}.part"
        raise interrupted_error(file, part.stat().st_size if part.exists() else 0) from error
    except OSError as error:
        raise write_error(file.name, error) from error


def mirrored_url(url: str) -> str:
    """Return the URL on the mirror that `HF_ENDPOINT` names, as the hub's own client does; or unchanged."""
    mirror = os.environ.get("HF_ENDPOINT", "").rstrip("/")
    return mirror + url.removeprefix(HUB) if mirror and url.startswith(f"{HUB}/") else url


def manual_instruction(file: File) -> str:
    """Return the end of a sentence that says how to get the file without this program."""
    url, folder = mirrored_url(file.url), locate.weights_folder()
    return f"get {url} some other way and put it into {folder} as {file.name}."


def interrupted_error(file: File, have: int) -> WeightsError:
    """Return the error for a download that stopped after `have` bytes."""
    return WeightsError(
        f"The download of {file.name} broke off after {format_size(have)} of {format_size(file.bytes)}. "
        "Start it again: it goes on from there."
    )


def status_error(file: File, status: int) -> WeightsError:
    """Return the error for an HTTP status other than success."""
    host = urlsplit(mirrored_url(file.url)).hostname
    if status in (401, 403):
        return WeightsError(
            f"{host} does not hand out {file.name} without a login ({status}). Log in there with a browser, "
            f"{manual_instruction(file)}"
        )
    if status in (404, 410):
        return WeightsError(
            f"{host} has no {file.name} any more ({status} for {mirrored_url(file.url)}). If you have it, "
            f"put it into {locate.weights_folder()} as {file.name}."
        )
    if status >= 500 or status == 429:
        return WeightsError(
            f"{host} is busy or out of order ({status}). Try again later, or {manual_instruction(file)}"
        )
    return WeightsError(
        f"{host} answered {status} for {file.name}. Try again later, or {manual_instruction(file)}"
    )


def write_error(name: str, error: OSError) -> WeightsError:
    """Return the error for a file of that name that cannot be written."""
    if error.errno in DISK_FULL:
        return WeightsError(no_space_message(name))
    return WeightsError(
        f"{name} cannot be written into {locate.weights_folder()}: {error.strerror or error}. "
        "Mend that, or name another folder with RECORTE_WEIGHTS."
    )


def no_space_message(name: str, needed: int | None = None) -> str:
    """Return the sentence for a full disk; `needed` is in bytes."""
    more = "" if needed is None else f": {format_size(needed)} more are needed"
    return (
        f"There is no room for {name} in {locate.weights_folder()}{more}. "
        "Make some, or name another folder with RECORTE_WEIGHTS."
    )
