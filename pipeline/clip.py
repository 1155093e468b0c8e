"""Clip: the properties of a probed video."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from pipeline.errors import InputError

Transfer = Literal["sdr", "pq", "hlg"]
Remark = Literal["hdr", "interlaced", "mended", "alpha", "missing"]

CONTAINER_SUFFIXES = (".mkv", ".mov", ".avi", ".mxf", ".mts", ".m2ts", ".ts", ".flv", ".wmv", ".3gp", ".ogv")
"""Suffixes of containers that browsers, or some systems' tables of file types, do not know to be video."""


PICTURE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".png", ".webp", ".tif", ".tiff", ".avif", ".bmp", ".dib"),
    *(".heic", ".heif", ".hif"),
)
"""Suffixes of pictures that are clips, the last three where the package pillow-heif is installed."""

MAX_RATE = 240
"""Most frames a second that can be asked for; the least is 1."""


@dataclass(frozen=True)
class Clip:
    """Properties of a probed video. Sizes are those of the displayed frame: upright, square pixels."""

    path: Path
    name: str
    width: int
    height: int
    frames: int
    """Number of displayed frames by the container; a damaged stream may decode to fewer."""
    duration: float
    """Seconds from the start of the first frame to the end of the last one."""
    rate: Fraction
    """Mean frames per second."""
    variable: bool
    """True if frame durations differ by more than one tick of the container's clock."""
    time_base: Fraction
    """Seconds per tick of a frame's pts."""
    codec: str
    depth: int
    """Bits per colour sample."""
    sound: tuple[str, ...]
    """Codec name of each audio stream."""
    transfer: Transfer = "sdr"
    """Transfer function of the coded signal; HDR (ITU-R BT.2100) is tone-mapped to SDR when read."""
    interlaced: bool = False
    """True if frames hold two fields; they are deinterlaced when read."""
    mended: int = 0
    """Number of frames whose missing or repeated timestamp was repaired."""
    alpha: bool = False
    """True if the first frame has transparent pixels; these stay transparent in the result."""

    missing: int = 0
    """Number of pictures that are missing by the numbers of a sequence's files."""
    untimed: bool = False
    """True for pictures without times of their own, which follow each other at the rate that is asked for."""

    @property
    def is_still(self) -> bool:
        """True if there is one frame only."""
        return self.frames == 1

    @property
    def is_picture(self) -> bool:
        """True for one picture, which is no video of one frame."""
        return self.is_still and self.untimed

    @property
    def length(self) -> Fraction:
        """`duration` as an exact number of seconds: a whole number of ticks."""
        return round(self.duration / self.time_base) * self.time_base

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """Conversions applied while reading that the user should know of."""
        applies: dict[Remark, bool] = {
            "hdr": self.transfer != "sdr",
            "interlaced": self.interlaced,
            "mended": self.mended > 0,
            "alpha": self.alpha,
            "missing": self.missing > 0,
        }
        return tuple(remark for remark, applied in applies.items() if applied)

    def to_json(self) -> dict[str, Any]:
        """Return all fields but the path, which differs between machines, as JSON values."""
        data = asdict(self)
        del data["path"]
        for name in ("missing", "untimed"):  # only where they apply: what was stored before has none
            if not data[name]:
                del data[name]
        return data | {"rate": str(self.rate), "time_base": str(self.time_base), "sound": list(self.sound)}

    @classmethod
    def from_json(cls, data: dict[str, Any], path: Path) -> Clip:
        """Read what `to_json` wrote; raises InputError for anything else."""
        try:
            read = {
                "path": path,
                "rate": Fraction(data["rate"]),
                "time_base": Fraction(data["time_base"]),
                "sound": tuple(data["sound"]),
            }
            return cls(**data | read)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise InputError("choices.unreadable") from error
