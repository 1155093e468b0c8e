"""Output formats: one table entry for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal, get_args

from pipeline.errors import FormatError

Quality = Literal["small", "balanced", "high", "best"]
QUALITIES: tuple[Quality, ...] = get_args(Quality)


Options = Mapping[str, str]
QualityOptions = Mapping[Quality, Options]


def _quality_options(option: str, *values: int) -> QualityOptions:
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
    content: Literal["picture", "matte", "pair"] = "picture"
    """The composite ("picture"), the matte alone, or foreground and matte as two videos ("pair")."""
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
    """True if browsers can play it."""
    qualities: QualityOptions = field(default_factory=dict)
    """Codec options for each quality; empty if quality cannot be chosen."""
    codec_tag: str | None = None
    """Codec tag (fourcc) in the container, where players need another than FFmpeg's default."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Allowed file name suffixes; an empty one means a folder of images."""
        return (self.suffix, "") if self.codec == "png" else (self.suffix,)

    @property
    def alpha(self) -> bool:
        """True if the format can hold alpha."""
        return self.alpha_pixel_format is not None

    @property
    def needs_background(self) -> bool:
        """True if the background cannot be transparent: the format holds neither alpha nor a matte."""
        return not self.alpha and self.content == "picture"

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

    def accepts_size(self, width: int, height: int) -> bool:
        """Return True if frames of this size, in pixels, are not too large for the format."""
        wide, high = self.padded_size(width, height)
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


_X264_MOST = 16384, 16384
# WebM, Matroska and WebP count time in milliseconds.
_MILLISECONDS = Fraction(1000)
_X264 = {"preset": "veryfast", "profile": "high"}
_X264_STEPS = _quality_options("crf", 28, 23, 18, 14)
# FFmpeg's factor from a quantizer to `global_quality` (FF_QP2LAMBDA).
_LAMBDA = 118
# The index (moov) goes to the front so that browsers can start playback while downloading.
_INDEX_FIRST = {"movflags": "+faststart"}

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
            options=_X264,
            qualities=_X264_STEPS,
            container_options=_INDEX_FIRST,
            even=True,
            max_size=_X264_MOST,
            sound_codec="aac",
            copied_sound_codecs=frozenset({"aac", "mp3"}),
            hardware=Hardware("h264_nvenc", _quality_options("cq", 32, 27, 22, 17)),
        ),
        Format(
            key="hevc",
            label="MP4 · HEVC",
            suffix=".mp4",
            mime="video/mp4",
            container="mp4",
            codec="libx265",
            codec_tag="hvc1",  # Apple's players do not show what is called hev1
            pixel_format="yuv420p",
            high_pixel_format="yuv420p10le",
            options={"preset": "veryfast", "x265-params": "log-level=error"},
            qualities=_quality_options("crf", 30, 25, 20, 16),
            container_options=_INDEX_FIRST,
            even=True,
            max_size=(65535, 65535),
            min_side=64,  # x265 writes beyond its memory where a picture is smaller than its largest block
            sound_codec="aac",
            copied_sound_codecs=frozenset({"aac", "mp3"}),
            hardware=Hardware(
                "hevc_nvenc", _quality_options("cq", 33, 28, 23, 18), high_pixel_format="p010le"
            ),
            plays_in_browsers=False,
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
            options={"b": "0", "deadline": "good", "cpu-used": "6", "row-mt": "1", "auto-alt-ref": "0"},
            max_size=(65535, 65535),
            qualities=_quality_options("crf", 42, 33, 24, 15),
            max_rate=_MILLISECONDS,
            sound_codec="libopus",
            copied_sound_codecs=frozenset({"opus", "vorbis"}),
        ),
        Format(
            key="av1",
            label="WebM · AV1",
            suffix=".webm",
            mime="video/webm",
            container="webm",
            codec="libsvtav1",
            pixel_format="yuv420p",
            high_pixel_format="yuv420p10le",
            min_side=4,
            max_size=(16384, 8704),
            max_rate=_MILLISECONDS,
            max_encoder_rate=Fraction(240),  # SVT-AV1 refuses more
            options={"preset": "8"},
            qualities=_quality_options("crf", 48, 38, 28, 18),
            sound_codec="libopus",
            copied_sound_codecs=frozenset({"opus", "vorbis"}),
            hardware=Hardware(
                "av1_nvenc", _quality_options("cq", 42, 36, 29, 22), high_pixel_format="p010le"
            ),
        ),
        Format(
            key="mkv",
            label="MKV · H.264",
            suffix=".mkv",
            mime="video/x-matroska",
            container="matroska",
            codec="libx264",
            pixel_format="yuv420p",
            options=_X264,
            qualities=_X264_STEPS,
            even=True,
            max_size=_X264_MOST,
            sound_codec="aac",
            copied_sound_codecs=frozenset(
                {"aac", "mp3", "opus", "vorbis", "flac", "alac", "ac3", "eac3", "pcm_s16le", "pcm_s24le"}
            ),
            hardware=Hardware("h264_nvenc", _quality_options("cq", 32, 27, 22, 17)),
            plays_in_browsers=False,
        ),
        Format(
            key="prores",
            bytes_per_pixel=1.6,
            label="MOV · ProRes 4444",
            suffix=".mov",
            mime="video/quicktime",
            container="mov",
            codec="prores_ks",
            pixel_format="yuv444p10le",
            alpha_pixel_format="yuva444p10le",
            high_pixel_format="yuv444p10le",
            high_alpha_pixel_format="yuva444p10le",
            # A fixed quantizer: looking for one that fits a rate takes six times as long.
            options={"profile": "4444", "vendor": "apl0", "alpha_bits": "16", "flags": "+qscale"},
            qualities=_quality_options("global_quality", 12 * _LAMBDA, 8 * _LAMBDA, 4 * _LAMBDA, 2 * _LAMBDA),
            container_options=_INDEX_FIRST,
            max_size=(65535, 65535),
            sound_codec="aac",
            copied_sound_codecs=frozenset({"aac", "mp3", "alac", "pcm_s16le", "pcm_s16be", "pcm_s24le"}),
            plays_in_browsers=False,
        ),
        Format(
            key="gif",
            bytes_per_pixel=0.5,
            label="GIF",
            suffix=".gif",
            mime="image/gif",
            container="gif",
            codec="gif",
            pixel_format="pal8",
            alpha_pixel_format="pal8",
            container_options={"loop": "0"},
            max_size=(65535, 65535),
            qualities=_quality_options("colours", 32, 80, 160, 255),
            max_frame_duration=Fraction(65535, 100),  # 16 bits
            max_rate=Fraction(50),  # browsers show a picture for a fiftieth of a second or else for a tenth
        ),
        Format(
            key="webp",
            bytes_per_pixel=0.4,
            label="WebP · animated",
            suffix=".webp",
            mime="image/webp",
            container="webp",
            # libwebp_anim would hold the whole file in memory; here the muxer joins single pictures.
            codec="libwebp",
            pixel_format="bgra",
            alpha_pixel_format="bgra",
            container_options={"loop": "0"},
            max_size=(16383, 16383),
            max_rate=_MILLISECONDS,
            max_frame_duration=Fraction(2**24 - 1, 1000),  # 24 bits
            options={"compression_level": "2"},  # twice as fast as more, and hardly larger
            qualities=_quality_options("quality", 45, 65, 82, 95),
        ),
        Format(
            key="png",
            bytes_per_pixel=4.0,
            label="PNG sequence",
            suffix=".zip",
            mime="application/zip",
            container="zip",
            codec="png",
            pixel_format="rgb24",
            alpha_pixel_format="rgba",
            high_pixel_format="rgb48be",
            high_alpha_pixel_format="rgba64be",
            options={"compression_level": "3", "pred": "sub"},
            plays_in_browsers=False,
        ),
        Format(
            key="matte",
            label="Matte · MP4 H.264",
            suffix=".mp4",
            mime="video/mp4",
            container="mp4",
            codec="libx264",
            pixel_format="yuv420p",
            options=_X264,
            qualities=_X264_STEPS,
            container_options=_INDEX_FIRST,
            even=True,
            max_size=_X264_MOST,
            content="matte",
            hardware=Hardware("h264_nvenc", _quality_options("cq", 32, 27, 22, 17)),
        ),
        Format(
            key="matte-lossless",
            label="Matte · MKV FFV1",
            suffix=".mkv",
            mime="video/x-matroska",
            container="matroska",
            codec="ffv1",
            pixel_format="gray",
            options={"g": "1", "level": "3", "slicecrc": "1"},
            max_rate=_MILLISECONDS,
            content="matte",
            plays_in_browsers=False,
        ),
        Format(
            key="pair",
            bytes_per_pixel=0.15,
            label="Foreground + matte · MP4 H.264",
            suffix=".zip",
            mime="application/zip",
            container="zip",
            codec="libx264",
            pixel_format="yuv420p",
            options=_X264,
            qualities=_X264_STEPS,
            container_options=_INDEX_FIRST,
            even=True,
            max_size=_X264_MOST,
            sound_codec="aac",
            copied_sound_codecs=frozenset({"aac", "mp3"}),
            content="pair",
            hardware=Hardware("h264_nvenc", _quality_options("cq", 32, 27, 22, 17)),
            plays_in_browsers=False,
        ),
    )
}


def by_key(key: str) -> Format:
    """Return the format with this key; raises FormatError if there is none."""
    try:
        return FORMATS[key]
    except KeyError:
        raise FormatError("choices.no_such_format", key=key, keys=", ".join(FORMATS)) from None


def by_suffix(path: Path) -> Format:
    """Return the first format with the suffix of `path`; no suffix means a folder of images.

    Raises FormatError if no format has this suffix.
    """
    for entry in FORMATS.values():
        if path.suffix.lower() in entry.suffixes:
            return entry
    suffixes = ", ".join(dict.fromkeys(entry.suffix for entry in FORMATS.values()))
    raise FormatError("choices.suffix", path=path.name, suffixes=suffixes)
