"""Loading pipelines of diffusers from verified local files."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline import devices
from pipeline.errors import WeightsError
from pipeline.generation.cards import Generator, check_packages, find_card
from pipeline.jobs import preflight
from pipeline.weights import locate, verify


def check_loadable(card: Generator) -> None:
    """Raise BackgroundError where packages are missing, WeightsError where weights are."""
    check_packages()
    locate.find_files(card.helper.weights, card.helper.label, card.key)


def load(card: Generator, device: str, inpaint: bool = False) -> Any:
    """Return the pipeline of a card on a device, or the one that fills in; the last one is kept.

    Raises BackgroundError where packages are missing, WeightsError where weights are missing or damaged,
    InputError for a device that is not there, and where the memory does not suffice.
    """
    check_packages()
    weights = card.helper.weights
    paths = locate.find_files(weights, card.helper.label, card.key)
    verify.verify_files(weights, paths)
    name = card.inpaint if inpaint else card.pipeline
    return _load(card.key, name, tuple(paths), device, paths[0].stat().st_mtime_ns)


def unload() -> None:
    """Drop the pipeline that is kept."""
    _load.cache_clear()


@lru_cache(maxsize=1)  # they take gigabytes
def _load(key: str, pipeline_name: str, paths: tuple[Path, ...], device: str, _changed: int) -> Any:
    import diffusers
    import torch
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    for logging in (diffusers_logging, transformers_logging):
        logging.disable_progress_bar()
    card = find_card(key)
    weights = card.helper.weights
    preflight.check_network(card.helper.label, weights.bytes)
    target = devices.pick(device)
    with tempfile.TemporaryDirectory(prefix="recorte-") as name:
        folder = Path(name)
        # Only the declared files are within reach, wherever each was found: nothing else is read, such as a
        # pickle that lies beside them.
        for file, path in zip(weights.files, paths, strict=True):
            link = folder / file.name.split("/", 2)[2]
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path.absolute())
        try:
            pipeline = getattr(diffusers, pipeline_name).from_pretrained(
                folder, dtype=torch.bfloat16, use_safetensors=True, local_files_only=True
            )
        # A file that is damaged, or another pipeline's, fails wherever it is first looked into.
        except (AttributeError, OSError, RuntimeError, ValueError, LookupError, TypeError) as error:
            raise WeightsError(
                "weights.no_network", file=paths[0].name, folder=str(paths[0].parent)
            ) from error
    pipeline.set_progress_bar_config(disable=True)
    if target.type == "cpu":
        return pipeline
    # Parts that are not at work wait in main memory, where not all of them fit beside each other.
    if target.type == "cuda" and torch.cuda.mem_get_info(target)[0] < weights.bytes * 1.3:
        pipeline.enable_model_cpu_offload(device=target)
        return pipeline
    return pipeline.to(target)
