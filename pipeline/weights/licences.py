"""The licences that the user of this machine has acknowledged, in a JSON file beside the weights."""

from __future__ import annotations

import threading

from pipeline.files import read_json, write_json
from pipeline.weights import locate
from pipeline.weights.errors import write_error

_ACKNOWLEDGED = "acknowledged.json"

_lock = threading.Lock()


def is_acknowledged(key: str) -> bool:
    """Return True if the user has acknowledged what this model's licence forbids."""
    return key in read_json(locate.weights_folder() / _ACKNOWLEDGED)


def acknowledge(key: str, licence_url: str) -> None:
    """Record that the user has acknowledged it. Raises WeightsError where that cannot be written."""
    path = locate.weights_folder() / _ACKNOWLEDGED
    try:
        with _lock:
            write_json(path, read_json(path) | {key: licence_url})
    except OSError as error:
        raise write_error(path.name, error) from error
