"""Drawing a picture of words, or a part of one, in steps that can be followed and cancelled."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from typing import Any, NamedTuple, cast

import numpy as np
import PIL.Image

from pipeline.arrays import ByteMask, Image
from pipeline.errors import RunError
from pipeline.generation import loading
from pipeline.generation.cards import Generator as Card


class Step(NamedTuple):
    """Progress of a picture."""

    done: int
    total: int
    """Steps of the network; `done` is 0 while it is loaded."""


class Around(NamedTuple):
    """Picture of which a part is drawn, by a card that has `inpaint`."""

    image: Image
    mask: ByteMask
    """255 where it is drawn, 0 where it stays about as it is."""


class _Cancelled(Exception):
    """Ends a pipeline's call from within: diffusers would do the steps that are left otherwise."""


def draw(
    card: Card,
    text: str,
    seed: int,
    size: tuple[int, int],
    device: str,
    around: Around | None = None,
) -> Generator[Step, None, Image]:
    """Draw a picture of words, `[H, W, 3]` uint8 RGB; yields the progress.

    `size` is the width and height in pixels, multiples of `card.multiple`; of `around`, too, if
    it is given. The same arguments give the same picture on the same machine. Closing the generator ends the
    work at its next step. Raises as
    `loading.load`, RunError where the device's memory does not suffice.
    """
    steps = card.steps
    yield Step(0, steps)
    pipeline = loading.load(card, device, inpaint=around is not None)
    told: queue.Queue[Step | Image | BaseException] = queue.Queue()
    stop = threading.Event()

    def on_step(_pipeline: Any, step: int, _time: Any, _tensors: dict[str, Any]) -> dict[str, Any]:
        if stop.is_set():
            raise _Cancelled
        told.put(Step(step + 1, steps))
        return {}

    def work() -> None:
        try:
            told.put(_call(card, pipeline, text, seed, size, around, on_step))
        except BaseException as error:
            told.put(error)

    thread = threading.Thread(target=work, name="draw", daemon=True)
    thread.start()
    try:
        while isinstance(item := told.get(), Step):
            yield item
    finally:
        stop.set()
        thread.join()
    if isinstance(item, BaseException):
        raise item
    return item


def _call(
    card: Card,
    pipeline: Any,
    text: str,
    seed: int,
    size: tuple[int, int],
    around: Around | None,
    on_step: Any,
) -> Image:
    import torch

    given: dict[str, Any] = {"width": size[0], "height": size[1]}
    if around is not None:
        given = {
            "image": PIL.Image.fromarray(around.image),
            "mask_image": PIL.Image.fromarray(around.mask),
            "strength": 1.0,  # from noise alone: nothing shines through of what was there
        }
    try:
        with torch.inference_mode():
            drawn = pipeline(
                prompt=text,
                num_inference_steps=card.steps,
                guidance_scale=card.guidance,
                # Noise of the processor's generator is the same on every device.
                generator=torch.Generator().manual_seed(seed),
                output_type="np",
                callback_on_step_end=on_step,
                **given,
                **dict(card.options),
            )
    except torch.OutOfMemoryError as error:
        raise RunError("limits.memory_device", label=card.helper.label) from error
    picture = np.nan_to_num(np.asarray(drawn.images[0], np.float32))
    return cast(Image, np.rint(picture.clip(0, 1) * 255).astype(np.uint8))
