"""Reading and writing video files; the only package that imports av.

Frames leave here upright, whole, in square pixels, as full-range RGB for a screen of BT.709, however they
were coded; they arrive here as RGB or RGBA. Every pts is counted in ticks of `Clip.time_base` from the
clip's first frame, so 0 is the first picture.

The names are found when they are asked for: who only needs an index that was kept, as the server does, has no
FFmpeg in its process.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.video.hardware import accelerates, any_accelerates, encodes
    from pipeline.video.labels import Labels
    from pipeline.video.output import Output, create
    from pipeline.video.probing import probe
    from pipeline.video.reading import Frame, read, read_backward
    from pipeline.video.scanning import Index
    from pipeline.video.schedule import Shape
    from pipeline.video.sound import Heard
    from pipeline.video.source import metadata
    from pipeline.video.times import index, index_file, index_kept, keep_index
    from pipeline.video.writing import Writer

__all__ = [
    "Frame",
    "Heard",
    "Index",
    "Labels",
    "Output",
    "Shape",
    "Writer",
    "accelerates",
    "any_accelerates",
    "create",
    "encodes",
    "index",
    "index_file",
    "index_kept",
    "keep_index",
    "metadata",
    "probe",
    "read",
    "read_backward",
]

_HOMES = {
    "accelerates": "hardware",
    "any_accelerates": "hardware",
    "create": "output",
    "encodes": "hardware",
    "Frame": "reading",
    "Heard": "sound",
    "Index": "scanning",
    "index": "times",
    "index_file": "times",
    "index_kept": "times",
    "keep_index": "times",
    "Labels": "labels",
    "metadata": "source",
    "Output": "output",
    "probe": "probing",
    "read": "reading",
    "read_backward": "reading",
    "Shape": "schedule",
    "Writer": "writing",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        return found
