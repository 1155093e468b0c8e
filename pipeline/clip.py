"""What probing a video tells."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from pipeline.errors import UNREADABLE, InputError

Transfer = Literal["sdr", "pq", "hlg"]
Remark = Literal["hdr", "interlaced", "mended", "alpha"]


@dataclass(frozen=True)
class Clip:
    """A video that was looked at. Sizes are those of the displayed frame: upright, square pixels."""

    path: Path
    name: str
    width: int
    height: int
    frames: int
    """Pictures that the container promises to show; a damaged stream may decode to fewer."""
    duration: float
    """Seconds from the first frame's time to the end of the last one's."""
    rate: Fraction
    """Mean frames per second."""
    variable: bool
    """The gaps between frames differ by more than a tick of the container's clock."""
    time_base: Fraction
    """Seconds per tick of a frame's pts."""
    codec: str
    depth: int
    """Bits per colour sample."""
    sound: tuple[str, ...]
    """The codec of each sound track."""
    transfer: Transfer = "sdr"
    """How light was coded; what is HDR (ITU-R BT.2100) is brought to SDR when it is read."""
    interlaced: bool = False
    """Frames hold two fields, which are made into one picture when they are read."""
    mended: int = 0
    """Frames whose time was missing or repeated, and was put right."""
    alpha: bool = False
    """The first frame is transparent in part, and what is transparent stays out."""

    @property
    def length(self) -> Fraction:
        """`duration`, exactly: a whole number of ticks."""
        return round(self.duration / self.time_base) * self.time_base

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """What was done to the video on its way in, and a person should know."""
        said: dict[Remark, bool] = {
            "hdr": self.transfer != "sdr",
            "interlaced": self.interlaced,
            "mended": self.mended > 0,
            "alpha": self.alpha,
        }
        return tuple(remark for remark, holds in said.items() if holds)

    def to_json(self) -> dict[str, Any]:
        """Everything but the path, which belongs to the machine."""
        data = asdict(self)
        del data["path"]
        return data | {"rate": str(self.rate), "time_base": str(self.time_base), "sound": list(self.sound)}

    @classmethod
    def from_json(cls, data: dict[str, Any], path: Path) -> Clip:
        """Raises InputError where `data` is not what `to_json` writes."""
        try:
            read = {
                "path": path,
                "rate": Fraction(data["rate"]),
                "time_base": Fraction(data["time_base"]),
                "sound": tuple(data["sound"]),
            }
            return cls(**data | read)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise InputError(UNREADABLE) from error
