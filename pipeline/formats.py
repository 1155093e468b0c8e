"""The output formats: one entry each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal, get_args

from pipeline.errors import FormatError

Quality = Literal["small", "balanced", "high", "best"]
QUALITIES: tuple[Quality, ...] = get_args(Quality)


@dataclass(frozen=True)
class Format:
    key: str
    label: str
    suffix: str
    mime: str
    container: str
    """FFmpeg's name of the muxer."""
    codec: str
    pixel_format: str
    alpha_pixel_format: str | None = None
    """The pixel format that also holds alpha; None where the format has no place for it."""
    options: Mapping[str, str] = field(default_factory=dict)
    container_options: Mapping[str, str] = field(default_factory=dict)
    even: bool = False
    """Width and height must be even."""
    sound_codec: str | None = None
    """What sound is encoded to where it cannot be copied; None where the format has no sound."""
    sound_copied: frozenset[str] = frozenset()
    """Sound codecs that go over bit for bit."""
    deep_pixel_format: str | None = None
    """The pixel format with more than 8 bits; None where the format has none."""
    deep_alpha_pixel_format: str | None = None
    content: Literal["picture", "matte", "pair"] = "picture"
    """What is in it: the picture over its background, the matte alone, or foreground and matte apart."""
    most_rate: Fraction | None = None
    """Frames a second that players can show; what has more is resampled."""
    hardware: str | None = None
    """The encoder of a graphics card that makes the same; None where there is none."""
    bytes_per_pixel: float = 0.1
    """What a frame may take on the disk at the usual quality: rather more than less."""
    plays: bool = True
    """Whether browsers show it."""

    @property
    def alpha(self) -> bool:
        return self.alpha_pixel_format is not None

    def deep(self, alpha: bool) -> bool:
        """Whether it holds more than 8 bits, with alpha where that is asked for."""
        return (self.deep_alpha_pixel_format if alpha else self.deep_pixel_format) is not None


FORMATS: dict[str, Format] = {
    entry.key: entry
    for entry in (
        Format(
            key="mp4",
            label="MP4 · H.264",
            suffix=".mp4",
            mime="video/mp4",
            container="mp4",
            codec="libx264",
            pixel_format="yuv420p",
            options={"crf": "18", "preset": "veryfast", "profile": "high"},
            # The index goes to the front so that a browser starts to play before it has it all.
            container_options={"movflags": "+faststart"},
            even=True,
            sound_codec="aac",
            sound_copied=frozenset({"aac", "mp3"}),
        ),
        Format(
            key="webm",
            label="WebM · VP9",
            suffix=".webm",
            mime="video/webm",
            container="webm",
            codec="libvpx-vp9",
            pixel_format="yuv420p",
            alpha_pixel_format="yuva420p",
            # Alternate reference frames cannot be used with alpha (libvpx refuses to combine them).
            options={
                "crf": "24",
                "b": "0",
                "deadline": "good",
                "cpu-used": "6",
                "row-mt": "1",
                "auto-alt-ref": "0",
            },
            sound_codec="libopus",
            sound_copied=frozenset({"opus", "vorbis"}),
        ),
    )
}


def by_key(key: str) -> Format:
    """Raises FormatError for a key that is none."""
    try:
        return FORMATS[key]
    except KeyError:
        raise FormatError(f"There is no format called {key!r}. There are: {', '.join(FORMATS)}.") from None


def by_suffix(path: Path) -> Format:
    """The first format with the suffix of `path`; raises FormatError where there is none."""
    for entry in FORMATS.values():
        if entry.suffix == path.suffix.lower():
            return entry
    suffixes = ", ".join(dict.fromkeys(entry.suffix for entry in FORMATS.values()))
    raise FormatError(f"{path.name}: the name must end in one of {suffixes}.")
