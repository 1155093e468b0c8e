"""A window of a frame and its image features, from which masks are decoded and memories made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pipeline import devices
from pipeline.arrays import Floats, Image, as_floats
from pipeline.models import prompt_maps
from pipeline.models.window import Window
from pipeline.prompts import Box, Point, Stroke

if TYPE_CHECKING:
    import torch

    from pipeline.networks.recorte import Features, Memory
    from pipeline.networks.recorte import Recorte as Network

GRID_PIXELS = 288 * 288
"""Of the grid that the network sees, whatever its shape: a little more than it was trained with."""


def frame_size(image: Image) -> tuple[int, int]:
    return image.shape[0], image.shape[1]


class EncodedWindow:
    """A window of a frame with its image features, from which masks are decoded."""

    def __init__(self, network: Network, device: torch.device, image: Image, window: Window) -> None:
        import torch

        self.window = window
        self._network, self._device = network, device
        self.small: Image = window.crop(image)
        with torch.inference_mode(), devices.autocast(device):
            picture = torch.from_numpy(self.small).to(device).permute(2, 0, 1)[None].float() / 255
            self._features: Features = network.embed(picture.contiguous(memory_format=torch.channels_last))

    def mask(
        self,
        points: Sequence[Point] = (),
        box: Box | None = None,
        so_far: Floats | None = None,
        comparison: torch.Tensor | None = None,
        strokes: Sequence[Stroke] = (),
    ) -> Floats:
        """Decode the matte on the window's grid, `[rows, columns]`, 0 to 1.

        Marks are in the frame's pixels; `so_far` is the mask there is, on the grid; `comparison` is
        what `compare` returned.
        """
        import torch

        window = self.window
        on_grid = [window.point(point) for point in points]
        boxed = None if box is None else window.box(box)
        painted = [window.stroke(stroke) for stroke in strokes]
        maps = prompt_maps.draw(window.rows, window.columns, on_grid, boxed, so_far, painted)
        marks = torch.from_numpy(maps)
        with torch.inference_mode(), devices.autocast(self._device):
            prompt = marks[None].to(self._device).contiguous(memory_format=torch.channels_last)
            compared = torch.zeros_like(self._features.sixteenth[:, :3]) if comparison is None else comparison
            logits, _ = self._network.decode(self._features, prompt, compared)
            return as_floats(logits[0, 0].float().sigmoid().cpu().numpy())

    def compare(self, memories: Sequence[Memory]) -> torch.Tensor:
        """Compare each place with the memories; returned as by `networks.recorte.Recorte.compare`."""
        import torch

        from pipeline.networks.recorte import Memory

        memory = Memory(*(torch.cat(parts, -1) for parts in zip(*memories, strict=True)))
        with torch.inference_mode(), devices.autocast(self._device):
            return self._network.compare(self._features, memory).to(self._features.sixteenth.dtype)

    def memorise(self, mask: Floats) -> Memory:
        """Return a memory of the window and its mask, to be compared with other frames."""
        import torch

        with torch.inference_mode(), devices.autocast(self._device):
            matte = torch.from_numpy(mask)[None, None].to(self._device)
            return self._network.memorise(self._features, matte)


Encode = Callable[[Image, Window], EncodedWindow]
"""Encodes a window of a frame: `Recorte.encode`."""
