"""Sentences for downloads that fail: the errors of the network, the server and the disk as WeightsError."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from pipeline.errors import DISK_FULL, WeightsError
from pipeline.languages.messages import Message
from pipeline.weights import locate
from pipeline.weights.spec import HUB, File


@contextmanager
def map_errors(file: File) -> Iterator[None]:
    """Raise the errors of the network and the disk as WeightsError."""
    import httpx

    address = mirrored_url(file.url)
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.UnsupportedProtocol) as error:
        raise WeightsError(
            "weights.unreachable",
            host=urlsplit(address).hostname or address,
            error=str(error),
            how=manual_instruction(file),
        ) from error
    except (httpx.TooManyRedirects, httpx.InvalidURL) as error:
        raise WeightsError("weights.nowhere", file=address, how=manual_instruction(file)) from error
    except httpx.RequestError as error:
        part = locate.weights_folder() / f"{file.name}.part"
        raise interrupted_error(file, part.stat().st_size if part.exists() else 0) from error
    except OSError as error:
        raise write_error(file.name, error) from error


def mirrored_url(url: str) -> str:
    """Return the URL on the mirror that `HF_ENDPOINT` names, as the hub's own client does; or unchanged."""
    mirror = os.environ.get("HF_ENDPOINT", "").rstrip("/")
    return mirror + url.removeprefix(HUB) if mirror and url.startswith(f"{HUB}/") else url


def manual_instruction(file: File) -> Message:
    """Return the end of a sentence that says how to get the file without this program."""
    folder = str(locate.weights_folder())
    return Message("weights.by_hand", {"url": mirrored_url(file.url), "folder": folder, "file": file.name})


def interrupted_error(file: File, have: int) -> WeightsError:
    """Return the error for a download that stopped after `have` bytes."""
    return WeightsError("weights.broke_off", file=file.name, have=have, total=file.bytes)


def status_error(file: File, status: int) -> WeightsError:
    """Return the error for an HTTP status other than success."""
    host = urlsplit(mirrored_url(file.url)).hostname or ""
    if status in (401, 403):
        how = manual_instruction(file)
        if file.url.startswith(f"{HUB}/"):
            return WeightsError("weights.login_hub", host=host, file=file.name, status=status, how=how)
        return WeightsError("weights.login", host=host, file=file.name, status=status, how=how)
    if status in (404, 410):
        return WeightsError(
            "weights.gone",
            host=host,
            file=file.name,
            status=status,
            url=mirrored_url(file.url),
            folder=str(locate.weights_folder()),
        )
    if status >= 500 or status == 429:
        return WeightsError("weights.busy", host=host, status=status, how=manual_instruction(file))
    return WeightsError(
        "weights.status", host=host, status=status, file=file.name, how=manual_instruction(file)
    )


def write_error(name: str, error: OSError) -> WeightsError:
    """Return the error for a file of that name that cannot be written."""
    if error.errno in DISK_FULL:
        return no_space_error(name)
    return WeightsError(
        "weights.not_written",
        file=name,
        folder=str(locate.weights_folder()),
        reason=error.strerror or str(error),
    )


def no_space_error(name: str, needed: int | None = None) -> WeightsError:
    """Return the error for a full disk; `needed` is in bytes."""
    folder = str(locate.weights_folder())
    if needed is None:
        return WeightsError("weights.no_room", file=name, folder=folder)
    return WeightsError("weights.no_room_for", file=name, folder=folder, need=needed)
