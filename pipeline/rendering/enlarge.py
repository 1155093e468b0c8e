"""Enlarging of the frames of a result, behind the renderer."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.enlarging.tiles import Network, enlarge
from pipeline.generators import retell
from pipeline.propagation.run import Step
from pipeline.rendering.renderer import RenderedFrame
from pipeline.video.writing.encoder_frames import to_host

_NO_FRAME = Step(None, 0)
"""Step behind each tile, where a run can be cancelled."""


def enlarge_frames(items: Iterator[RenderedFrame | Step], network: Network) -> Iterator[RenderedFrame | Step]:
    """Yield what a renderer does, its frames enlarged."""
    for item in items:
        if isinstance(item, RenderedFrame):
            tiles = enlarge(to_host(item.take()), network)
            item = RenderedFrame(item.pts, (yield from retell(tiles, lambda _: _NO_FRAME)))
        yield item
