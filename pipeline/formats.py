"""The output formats: one entry each."""

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
    """What an encoder is told at each quality, the smallest first."""
    return {quality: {option: str(value)} for quality, value in zip(QUALITIES, values, strict=True)}


@dataclass(frozen=True)
class Hardware:
    """An encoder of a graphics card."""

    codec: str
    qualities: QualityOptions
    high_pixel_format: str | None = None
    options: Options = field(
        default_factory=lambda: {"preset": "p5", "tune": "hq", "rc": "vbr", "b": "0", "spatial-aq": "1"}
    )


@dataclass(frozen=True)
class Format:
    key: str
    label: str
    suffix: str
    mime: str
    container: str
    """FFmpeg's name of the muxer; "zip" for files in a zip."""
    codec: str
    pixel_format: str
    alpha_pixel_format: str | None = None
    """The pixel format that also holds alpha; None where the format has no place for it."""
    options: Options = field(default_factory=dict)
    container_options: Options = field(default_factory=dict)
    even: bool = False
    """Width and height must be even."""
    min_side: int = 1
    """Pixels that width and height must have."""
    max_size: tuple[int, int] | None = None
    """The widest and highest picture that encoder and container take; None: any."""
    sound_codec: str | None = None
    """What sound is encoded to where it cannot be copied; None where the format has no sound."""
    copied_sound_codecs: frozenset[str] = frozenset()
    """Sound codecs that go over bit for bit."""
    high_pixel_format: str | None = None
    """The pixel format with more than 8 bits; None where the format has none."""
    high_alpha_pixel_format: str | None = None
    content: Literal["picture", "matte", "pair"] = "picture"
    """What is in it: the picture over its background, the matte alone, or foreground and matte apart."""
    max_rate: Fraction | None = None
    """Frames a second that players can show or times can tell apart; of what has more some are left out."""
    max_encoder_rate: Fraction | None = None
    """Frames a second that the encoder may be told of at most, whatever their times are."""
    max_frame_duration: Fraction | None = None
    """Seconds that a picture can last; one that lasts longer is written again."""
    hardware: Hardware | None = None
    """What makes the same on a graphics card; None where there is nothing."""
    bytes_per_pixel: float = 0.1
    """What a frame may take on the disk at the usual quality: rather more than less."""
    plays_in_browsers: bool = True
    """Whether browsers show it."""
    qualities: QualityOptions = field(default_factory=dict)
    """The codec's options at each quality; empty where there is nothing to choose."""
    codec_tag: str | None = None
    """The codec's name in the container where players want another than FFmpeg's."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """How a name may end; without a suffix, single pictures go into a folder of that name."""
        return (self.suffix, "") if self.codec == "png" else (self.suffix,)

    @property
    def alpha(self) -> bool:
        return self.alpha_pixel_format is not None

    @property
    def needs_background(self) -> bool:
        """Whether there must be something behind the subject: no alpha, and no matte either."""
        return not self.alpha and self.content == "picture"

    def supports_high_bit_depth(self, alpha: bool) -> bool:
        """Whether it holds more than 8 bits, with alpha where that is asked for."""
        return (self.high_alpha_pixel_format if alpha else self.high_pixel_format) is not None

    def choose_pixel_format(self, *, alpha: bool, high_bit_depth: bool) -> str:
        """The pixel format that holds what is asked for, or the most of it."""
        plain, rich = self.pixel_format, self.high_pixel_format
        if alpha and self.alpha_pixel_format is not None:
            plain, rich = self.alpha_pixel_format, self.high_alpha_pixel_format
        return rich if high_bit_depth and rich is not None else plain

    def padded_size(self, width: int, height: int) -> tuple[int, int]:
        """What pictures of this size are padded to."""
        wide, high = max(width, self.min_side), max(height, self.min_side)
        return (wide + wide % 2, high + high % 2) if self.even else (wide, high)

    def accepts_size(self, width: int, height: int) -> bool:
        """Return True if pictures of this size are not too large for it."""
        wide, high = self.padded_size(width, height)
        return self.max_size is None or (wide <= self.max_size[0] and high <= self.max_size[1])

    def codec_options(self, quality: Quality) -> Options:
        """What the codec is told."""
        return {**self.options, **self.qualities.get(quality, {})}

    @property
    def accelerated(self) -> Format:
        """The same, made by the graphics card; itself where there is nothing for that."""
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
# What FFmpeg multiplies a quantizer with where it stands for a quality (FF_QP2LAMBDA).
_LAMBDA = 118
# The index goes to the front so that a browser starts to play before it has it all.
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
    """Raises FormatError for a key that is none."""
    try:
        return FORMATS[key]
    except KeyError:
        raise FormatError(f"There is no format called {key!r}. There are: {', '.join(FORMATS)}.") from None


def by_suffix(path: Path) -> Format:
    """The first format with the suffix of `path`, which for a folder of pictures is none.

    Raises FormatError where there is no such format.
    """
    for entry in FORMATS.values():
        if path.suffix.lower() in entry.suffixes:
            return entry
    suffixes = ", ".join(dict.fromkeys(entry.suffix for entry in FORMATS.values()))
    raise FormatError(f"{path.name}: the name must end in one of {suffixes}, or be that of a folder.")
