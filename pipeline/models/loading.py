"""Loading models: the checks before it, one instance per key, device and files, and the weights' identity."""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path

from pipeline.errors import WeightsError
from pipeline.models.base import Card, Model
from pipeline.models.registry import card
from pipeline.weights import locate, verify


def check_loadable(card: Card, folder: Path | None = None) -> None:
    """Raise WeightsError where the model's weights are missing or its licence is not acknowledged."""
    if card.weights is not None:
        locate.find_files(card.weights, card.label, card.key, folder)
    check_licence(card)


def check_licence(card: Card) -> None:
    """Raise WeightsError where the user has not acknowledged what the licence forbids."""
    if not card.acknowledged:
        raise licence_error(card)


def licence_error(card: Card) -> WeightsError:
    """Return the error for a model whose licence the user has not acknowledged."""
    return WeightsError("weights.licence", restriction=card.restriction, url=card.licence_url)


def load(key: str, device: str, folder: Path | None = None) -> Model:
    """Return the model of a key on a device, loaded once; its streams keep their own state.

    `folder` (or a file) is where its weights are; None: where `pipeline.weights` looks. Raises WeightsError
    where they are missing or damaged, or the licence is not acknowledged.
    """
    chosen = card(key)
    check_licence(chosen)
    files: list[Path] = []
    if chosen.weights is not None:
        files = locate.find_files(chosen.weights, chosen.label, key, folder)
    instance = key, device, tuple(files)
    with _locks.setdefault(instance, threading.Lock()):  # concurrent callers get the same instance
        if chosen.weights is not None and folder is None:
            verify.verify_files(chosen.weights, files)
        return _load(*instance)


_locks: dict[tuple[str, str, tuple[Path, ...]], threading.Lock] = {}


def identify_weights(card: Card, folder: Path | None = None) -> list[str]:
    """Return names of the weights that the card itself does not fix: the user's own, and unpinned ones.

    Those of the hub are named even where their SHA-256 is known: kept mattes that were made before it was
    known are filed under that name. So are files that may be one of several.
    """
    if card.weights is None:
        return []
    if folder is not None:
        return [verify.identify(folder)]
    if not card.present:
        return []
    paths = locate.find_files(card.weights, card.label, card.key)
    located = zip(card.weights.files, paths, strict=True)
    return [verify.identify(path) for file, path in located if file.on_hub or file.others or not file.sha256]


def unload() -> None:
    """Drop the loaded models; streams that run keep theirs."""
    _load.cache_clear()


@lru_cache(maxsize=2)  # the largest take gigabytes
def _load(key: str, device: str, files: tuple[Path, ...]) -> Model:
    return card(key).load(device, list(files))
