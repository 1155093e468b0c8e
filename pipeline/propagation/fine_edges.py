"""Fine edges of a stream's mattes: found anew on each frame, and steadied along the motion in their band."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from pipeline import devices
from pipeline.arrays import Image, Matte
from pipeline.imaging import fine_edges
from pipeline.imaging.fine_edges import Matting
from pipeline.job import Job
from pipeline.languages.messages import Message
from pipeline.models import helpers
from pipeline.propagation import deflicker
from pipeline.propagation.predictions import FramePrediction
from pipeline.stream_state import State
from pipeline.weights import checkpoints, locate, verify


def find_matting(job: Job) -> Matting | None:
    """Return the matting network that a job asks for; None where it asks for none, or its weights are absent.

    Raises WeightsError for weights that are damaged, InputError for a device that is not there.
    """
    helper = helpers.VITMATTE
    if not (job.hair and helper.present):
        return None
    (file,) = locate.find_files(helper.weights, helper.label, helper.key)
    verify.verify_files(helper.weights, [file])
    return _load(file, job.device, file.stat().st_mtime_ns)


def missing_note(job: Job) -> tuple[Message, ...]:
    """Return a note where a job asks for fine edges and the weights for them are absent."""
    helper = helpers.VITMATTE
    if not job.hair or helper.present:
        return ()
    return (
        Message(
            "notes.no_fine_edges", {"label": helper.label, "size": helper.weights.bytes, "key": helper.key}
        ),
    )


@lru_cache(maxsize=1)
def _load(file: Path, device: str, _changed: int) -> Matting:
    from pipeline.networks import vitmatte

    network = vitmatte.create()
    checkpoints.load_into(network, file)
    return vitmatte.VitMatte(network, devices.pick(device))


def refine(
    pairs: Iterator[FramePrediction], matting: Matting, state: State | None = None, *, steadied: bool = True
) -> Iterator[FramePrediction]:
    """Refine the edges of one scene's predictions, in order and one for one.

    Their states hold those of `pairs` as "found". With such a state the scene continues behind its frame.
    `steadied` blends what was found with the frame before, in the band alone.
    """
    before: tuple[Image, Matte] | None = None
    if state is not None:
        before = state["small"], state["matte"]
    for frame, prediction in pairs:
        small = deflicker.shrink(frame.image)
        matte, found = fine_edges.refine(frame.image, prediction.matte, matting)
        if steadied and before is not None and found.any():
            matte = np.where(found, deflicker.blend(small, matte, *before), matte)
        before = small, matte
        behind: Callable[[], State] | None = None
        if prediction.state is not None:
            behind = partial(_state, small, matte, prediction.state)
        yield frame, prediction._replace(matte=matte, state=behind)


def _state(small: Image, matte: Matte, model_state: Callable[[], State]) -> State:
    return {"small": small, "matte": matte, "found": model_state()}
