"""Side data of a frame, including kinds that are missing in PyAV 18.

FFmpeg attaches kinds that are missing from PyAV's table (the view of a stereoscopic video, EXIF), and PyAV
then refuses access to all side data of the frame: PyAV#2392. Until a release handles them, a kind without a
name gets one here. A test fails when that is no longer needed.
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
    """Return a frame's side data by FFmpeg's name of its kind (AV_FRAME_DATA_…); None if it has none.

    In PyAV the access creates a reference cycle: the frame stays in memory until the garbage collector runs.
    So read side data from one frame only, not from all.
    """
    data: Any = frame.side_data.get(kind)
    return None if data is None else bytes(data)
