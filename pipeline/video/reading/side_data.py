"""Side data of a frame, of which PyAV 18 names too few kinds.

FFmpeg attaches kinds that are younger than PyAV's table (the view of a stereoscopic video, EXIF), and PyAV
then refuses a frame all of its side data: PyAV#2392. Until a release knows them or passes over them, a kind
without a name gets one here. A test fails when that is no longer needed.
"""

from __future__ import annotations

from typing import Any, cast

import av
from av.sidedata.sidedata import Type


def _name(cls: type[Type], value: object) -> Type:
    """Make a member of the enumeration for a kind that PyAV has no name for."""
    unnamed: Any = object.__new__(cls)
    unnamed._name_, unnamed._value_ = f"UNNAMED_{value}", value
    return cast(Type, unnamed)


Type._missing_ = classmethod(_name)  # type: ignore[assignment]


def side_data(frame: av.VideoFrame, kind: str) -> bytes | None:
    """A frame's side data of a kind, by FFmpeg's name (AV_FRAME_DATA_…); None where it has none.

    PyAV ties a frame that was asked to its side data in a circle: it stays in memory until the garbage
    collector comes by. So ask one frame for all.
    """
    found: Any = frame.side_data.get(kind)
    return None if found is None else bytes(found)
