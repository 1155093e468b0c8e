"""Conversion to palette images for GIF."""

from __future__ import annotations

from fractions import Fraction
from typing import cast

import av
import cv2
import numpy as np
from av.filter import Graph
from av.filter.context import FilterContext
from numpy.typing import NDArray

from pipeline.arrays import Pixels
from pipeline.video.writing.encoder_frames import to_frame

# Ordered dithering: static areas do not flicker, as they would with error diffusion.
_DITHER = "dither=bayer:bayer_scale=4:alpha_threshold=128"
# A palette is reused, so that colours stay stable, until the mean error of a frame exceeds that of the
# palette's own frame by this factor and these levels.
_WORSE, _LEVELS = 1.25, 0.5
# Sampling distance of the error, in pixels.
_APART = 4


class PaletteConverter:
    """Converter to frames of at most `colours` colours, plus a transparent one where alpha is below one half.

    Keeps one palette, which is recomputed when a frame needs other colours.
    """

    def __init__(self, colours: int) -> None:
        self._colours = colours
        self._mapper: Graph | None = None
        self._limit = 0.0

    def __call__(self, image: Pixels) -> av.VideoFrame:
        if image.ndim == 2:
            image = cast(Pixels, cv2.cvtColor(image, cv2.COLOR_GRAY2RGB))
        frame = to_frame(image)
        if self._mapper is not None:
            result = _filter_frame(self._mapper, frame)
            if _mean_error(result, image) <= self._limit:
                return result
        self._mapper = _build_mapper(self._palette(frame), frame)
        result = _filter_frame(self._mapper, frame)
        self._limit = _mean_error(result, image) * _WORSE + _LEVELS
        return result

    def _palette(self, frame: av.VideoFrame) -> av.VideoFrame:
        graph = Graph()
        # One more for transparency.
        maker = graph.add("palettegen", f"max_colors={self._colours + 1}:stats_mode=single")
        graph.link_nodes(_add_input(graph, frame), maker, graph.add("buffersink")).configure()
        return _filter_frame(graph, frame)


def _build_mapper(palette: av.VideoFrame, frame: av.VideoFrame) -> Graph:
    graph = Graph()
    mapper, sink = graph.add("paletteuse", _DITHER), graph.add("buffersink")
    _add_input(graph, frame).link_to(mapper, 0, 0)
    _add_input(graph, palette).link_to(mapper, 0, 1)
    mapper.link_to(sink)
    graph.configure()
    graph.vpush(palette, at=1)
    graph.vpush(None, at=1)
    return graph


def _add_input(graph: Graph, frame: av.VideoFrame) -> FilterContext:
    return graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1)
    )


def _filter_frame(graph: Graph, frame: av.VideoFrame) -> av.VideoFrame:
    graph.vpush(frame, at=0)
    return graph.vpull()


def _mean_error(paletted: av.VideoFrame, image: Pixels) -> float:
    """Return the mean absolute error of the opaque pixels, in levels of 0 to 255."""
    indices, colours = (np.frombuffer(memoryview(plane), np.uint8) for plane in paletted.planes)
    width = paletted.planes[0].line_size
    paletted_pixels = colours.reshape(-1, 4)[indices.reshape(-1, width)[::_APART, : image.shape[1] : _APART]]
    original = image[::_APART, ::_APART, :3]
    opaque = paletted_pixels[..., 3] > 0
    if not opaque.any():
        return 0.0
    levels: NDArray[np.int16] = (original >> (8 * (image.itemsize - 1))).astype(np.int16)
    return float(np.abs(paletted_pixels[..., 2::-1].astype(np.int16) - levels)[opaque].mean())
