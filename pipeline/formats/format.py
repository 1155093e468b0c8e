"""An output format as one entry of the table in `pipeline.formats`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal, get_args

Quality = Literal["small", "balanced", "high", "best"]
Content = Literal[
    "picture", "matte", "pair", "stacked", "objects", "mask", "overlay", "process", "layers", "plate"
]
"""The composite ("picture"), the matte alone, foreground and matte as two videos ("pair") or as one with the
matte below ("stacked"), the mattes of the objects as a video each ("objects"), the matte as a mask of 0 and
255 ("mask"), the frame with its objects tinted ("overlay"), frame, matte, cut-out and result side by side
("process"), the composite with the mattes of the objects as further layers ("layers"), or the frame without
its subject ("plate")."""

QUALITIES: tuple[Quality, ...] = get_args(Quality)


Options = Mapping[str, str]
QualityOptions = Mapping[Quality, Options]


def quality_options(option: str, *values: int) -> QualityOptions:
    """Return the encoder options for each quality, from the smallest file to the best picture."""
    return {quality: {option: str(value)} for quality, value in zip(QUALITIES, values, strict=True)}


@dataclass(frozen=True)
class Hardware:
    """A GPU encoder for a format."""

    codec: str
    qualities: QualityOptions
    high_pixel_format: str | None = None
    options: Options = field(
        default_factory=lambda: {"preset": "p5", "tune": "hq", "rc": "vbr", "b": "0", "spatial-aq": "1"}
    )


@dataclass(frozen=True)
class Format:
    """An output format: container, codecs, pixel formats and their limits."""

    key: str
    label: str
    suffix: str
    mime: str
    container: str
    """FFmpeg's name of the muxer; "zip" for a zip archive of files."""
    codec: str
    pixel_format: str
    alpha_pixel_format: str | None = None
    """Pixel format with alpha; None if the format has no alpha."""
    options: Options = field(default_factory=dict)
    container_options: Options = field(default_factory=dict)
    even: bool = False
    """True if width and height must be even."""
    min_side: int = 1
    """Least width and height, in pixels."""
    max_size: tuple[int, int] | None = None
    """Largest width and height that encoder and container accept, in pixels; None: any."""
    sound_codec: str | None = None
    """Encoder for audio that cannot be copied; None if the format has no audio."""
    copied_sound_codecs: frozenset[str] = frozenset()
    """Audio codecs whose packets are copied without re-encoding."""
    high_pixel_format: str | None = None
    """Pixel format with more than 8 bits per sample; None if there is none."""
    high_alpha_pixel_format: str | None = None
    straight: bool = False
    """True for EXR pictures whose colours are not multiplied by their alpha."""
    content: Content = "picture"
    max_rate: Fraction | None = None
    """Most frames per second that players show or timestamps resolve; excess frames are dropped."""
    max_encoder_rate: Fraction | None = None
    """Largest frame rate that the encoder accepts as a parameter, whatever the timestamps are."""
    max_frame_duration: Fraction | None = None
    """Longest duration of one frame, in seconds; longer frames are written repeatedly."""
    hardware: Hardware | None = None
    """GPU encoder for the same codec; None if there is none."""
    bytes_per_pixel: float = 0.1
    """Upper estimate of bytes on disk per pixel of a frame at the default quality."""
    plays_in_browsers: bool = True
    """True if browsers can play it as it is."""
    qualities: QualityOptions = field(default_factory=dict)
    """Codec options for each quality; empty if quality cannot be chosen."""
    codec_tag: str | None = None
    """Codec tag (fourcc) in the container, where players need another than FFmpeg's default."""
    still: bool = False
    """True for one picture, written by Pillow or OpenCV: `container` is Pillow's name of the format."""
    more_suffixes: tuple[str, ...] = ()
    """Further suffixes; an empty one means a folder of images."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Allowed file name suffixes; an empty one means a folder of images."""
        return (self.suffix, *self.more_suffixes)

    @property
    def sequence(self) -> bool:
        """True for single pictures with a table of their times."""
        return "" in self.suffixes

    @property
    def alpha(self) -> bool:
        """True if the format can hold alpha."""
        return self.alpha_pixel_format is not None

    @property
    def needs_background(self) -> bool:
        """True if the background cannot be transparent: the format holds neither alpha nor a matte."""
        return not self.alpha and self.content == "picture"

    @property
    def composited(self) -> bool:
        """True if the format shows the composite."""
        return self.content in ("picture", "process", "layers")

    @property
    def has_foreground(self) -> bool:
        """True if the format holds the foreground and the matte apart, over no background."""
        return self.content in ("pair", "stacked")

    @property
    def objects_apart(self) -> bool:
        """True if the format needs the matte of each object, and not only their union."""
        return self.content in ("objects", "overlay", "layers")

    def supports_high_bit_depth(self, alpha: bool) -> bool:
        """Return True if the format holds more than 8 bits per sample (with alpha if `alpha`)."""
        return (self.high_alpha_pixel_format if alpha else self.high_pixel_format) is not None

    def choose_pixel_format(self, *, alpha: bool, high_bit_depth: bool) -> str:
        """Return the pixel format for the requested alpha and bit depth; alpha takes precedence."""
        plain, rich = self.pixel_format, self.high_pixel_format
        if alpha and self.alpha_pixel_format is not None:
            plain, rich = self.alpha_pixel_format, self.high_alpha_pixel_format
        return rich if high_bit_depth and rich is not None else plain

    def padded_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the width and height, in pixels, that frames of this size are padded to."""
        wide, high = max(width, self.min_side), max(height, self.min_side)
        return (wide + wide % 2, high + high % 2) if self.even else (wide, high)

    def encoded_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the width and height, in pixels, of what is encoded for frames of this size."""
        wide, high = self.padded_size(width, height)
        return (wide, 2 * high) if self.content == "stacked" else (wide, high)

    def accepts_size(self, width: int, height: int) -> bool:
        """Return True if frames of this size, in pixels, are not too large for the format."""
        wide, high = self.encoded_size(width, height)
        return self.max_size is None or (wide <= self.max_size[0] and high <= self.max_size[1])

    def codec_options(self, quality: Quality) -> Options:
        """Return the codec options at this quality."""
        return {**self.options, **self.qualities.get(quality, {})}

    @property
    def accelerated(self) -> Format:
        """The same format with its GPU encoder; itself if there is none."""
        if self.hardware is None:
            return self
        return replace(
            self,
            codec=self.hardware.codec,
            options=self.hardware.options,
            qualities=self.hardware.qualities,
            high_pixel_format=self.high_pixel_format and self.hardware.high_pixel_format,
        )
