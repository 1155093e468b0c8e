"""Output formats: one table entry for each."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from pipeline.errors import FormatError
from pipeline.formats.format import (
    QUALITIES,
    Content,
    Format,
    Hardware,
    Options,
    Quality,
    quality_options,
)

__all__ = [
    "FORMATS",
    "QUALITIES",
    "Content",
    "Format",
    "Hardware",
    "Options",
    "Quality",
    "by_key",
    "by_suffix",
    "default_for",
]

_X264_MOST = 16384, 16384
# WebM, Matroska and WebP count time in milliseconds.
_MILLISECONDS = Fraction(1000)
_X264 = {"preset": "veryfast", "profile": "high"}
_X264_STEPS = quality_options("crf", 28, 23, 18, 14)
_H264_HARDWARE = Hardware("h264_nvenc", quality_options("cq", 32, 27, 22, 17))
_MP4_SOUND = frozenset({"aac", "mp3"})
# FFmpeg's factor from a quantizer to `global_quality` (FF_QP2LAMBDA).
_LAMBDA = 118
# The index (moov) goes to the front so that browsers can start playback while downloading.
_INDEX_FIRST = {"movflags": "+faststart"}

_MP4 = Format(
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
    copied_sound_codecs=_MP4_SOUND,
    hardware=_H264_HARDWARE,
)

_GIF = Format(
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
    qualities=quality_options("colours", 32, 80, 160, 255),
    max_frame_duration=Fraction(65535, 100),  # 16 bits
    max_rate=Fraction(50),  # browsers show a picture for a fiftieth of a second or else for a tenth
)

_PNG = Format(
    key="png",
    bytes_per_pixel=4.0,
    label="PNG sequence",
    suffix=".zip",
    mime="application/zip",
    container="zip",
    more_suffixes=("",),
    codec="png",
    pixel_format="rgb24",
    alpha_pixel_format="rgba",
    high_pixel_format="rgb48be",
    high_alpha_pixel_format="rgba64be",
    options={"compression_level": "3", "pred": "sub"},
    plays_in_browsers=False,
)

_OPAQUE_GIF = replace(_GIF, alpha_pixel_format=None)
_OPAQUE_PNG = replace(_PNG, alpha_pixel_format=None, high_pixel_format=None, high_alpha_pixel_format=None)

_LOSSLESS = Format(
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
)

_EXR = replace(
    _PNG,
    key="exr",
    label="EXR sequence",
    codec="exr",
    pixel_format="gbrpf32le",
    alpha_pixel_format="gbrapf32le",
    high_pixel_format="gbrpf32le",
    high_alpha_pixel_format="gbrapf32le",
    options={},
    bytes_per_pixel=8.0,
)

FORMATS: dict[str, Format] = {
    entry.key: entry
    for entry in (
        _MP4,
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
            qualities=quality_options("crf", 30, 25, 20, 16),
            container_options=_INDEX_FIRST,
            even=True,
            max_size=(65535, 65535),
            min_side=64,  # x265 writes beyond its memory where a picture is smaller than its largest block
            sound_codec="aac",
            copied_sound_codecs=_MP4_SOUND,
            hardware=Hardware(
                "hevc_nvenc", quality_options("cq", 33, 28, 23, 18), high_pixel_format="p010le"
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
            qualities=quality_options("crf", 42, 33, 24, 15),
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
            qualities=quality_options("crf", 48, 38, 28, 18),
            sound_codec="libopus",
            copied_sound_codecs=frozenset({"opus", "vorbis"}),
            hardware=Hardware("av1_nvenc", quality_options("cq", 42, 36, 29, 22), high_pixel_format="p010le"),
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
            hardware=_H264_HARDWARE,
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
            qualities=quality_options("global_quality", 12 * _LAMBDA, 8 * _LAMBDA, 4 * _LAMBDA, 2 * _LAMBDA),
            container_options=_INDEX_FIRST,
            max_size=(65535, 65535),
            sound_codec="aac",
            copied_sound_codecs=frozenset({"aac", "mp3", "alac", "pcm_s16le", "pcm_s16be", "pcm_s24le"}),
            plays_in_browsers=False,
        ),
        _GIF,
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
            qualities=quality_options("quality", 45, 65, 82, 95),
        ),
        _PNG,
        _EXR,
        replace(_EXR, key="exr-straight", label="EXR sequence · straight alpha", straight=True),
        replace(
            _EXR,
            key="exr-layers",
            label="EXR sequence · a layer for each object",
            content="layers",
            bytes_per_pixel=10.0,
        ),
        replace(
            _MP4,
            key="matte",
            label="Matte · MP4 H.264",
            content="matte",
            sound_codec=None,
            copied_sound_codecs=frozenset(),
        ),
        _LOSSLESS,
        replace(
            _MP4,
            key="pair",
            label="Foreground + matte · MP4 H.264",
            suffix=".zip",
            mime="application/zip",
            container="zip",
            content="pair",
            bytes_per_pixel=0.15,
            plays_in_browsers=False,
        ),
        replace(
            _MP4,
            key="stacked",
            label="Stacked alpha · MP4 H.264",
            content="stacked",
            bytes_per_pixel=0.15,
            plays_in_browsers=False,
        ),
        replace(
            _LOSSLESS,
            key="objects",
            label="Matte of each object · MKV FFV1",
            suffix=".zip",
            mime="application/zip",
            container="zip",
            content="objects",
        ),
        replace(
            _OPAQUE_PNG,
            key="mask",
            label="Binary masks · PNG sequence",
            pixel_format="gray",
            content="mask",
            bytes_per_pixel=0.2,
        ),
        replace(_LOSSLESS, key="mask-lossless", label="Binary masks · MKV FFV1", content="mask"),
        replace(
            _OPAQUE_GIF,
            key="mask-gif",
            label="Binary masks · GIF",
            content="mask",
            options={"colours": "255"},
            qualities={},
        ),
        replace(_MP4, key="overlay", label="Coloured masks · MP4 H.264", content="overlay"),
        replace(_OPAQUE_PNG, key="overlay-png", label="Coloured masks · PNG sequence", content="overlay"),
        replace(_OPAQUE_GIF, key="overlay-gif", label="Coloured masks · GIF", content="overlay"),
        replace(_MP4, key="plate", label="Clean plate · MP4 H.264", content="plate"),
        replace(_OPAQUE_GIF, key="process", label="Process · GIF", content="process"),
        Format(
            key="png-still",
            bytes_per_pixel=4.0,
            label="PNG",
            suffix=".png",
            mime="image/png",
            container="PNG",
            codec="png",
            pixel_format="rgb24",
            alpha_pixel_format="rgba",
            high_pixel_format="rgb48le",
            high_alpha_pixel_format="rgba64le",
            still=True,
        ),
        Format(
            key="webp-still",
            bytes_per_pixel=0.8,
            label="WebP",
            suffix=".webp",
            mime="image/webp",
            container="WEBP",
            codec="webp",
            pixel_format="rgb24",
            alpha_pixel_format="rgba",
            max_size=(16383, 16383),
            qualities=quality_options("quality", 60, 75, 88, 95),
            still=True,
        ),
        Format(
            key="jpeg",
            bytes_per_pixel=1.0,
            label="JPEG",
            suffix=".jpg",
            more_suffixes=(".jpeg",),
            mime="image/jpeg",
            container="JPEG",
            codec="jpeg",
            pixel_format="rgb24",
            max_size=(65500, 65500),  # libjpeg's JPEG_MAX_DIMENSION
            qualities=quality_options("quality", 70, 82, 92, 97),
            still=True,
        ),
    )
}


def by_key(key: str) -> Format:
    """Return the format with this key; raises FormatError if there is none."""
    try:
        return FORMATS[key]
    except KeyError:
        raise FormatError("choices.no_such_format", key=key, keys=", ".join(FORMATS)) from None


def by_suffix(path: Path, still: bool = False) -> Format:
    """Return the first format with the suffix of `path`; no suffix means a folder of images.

    With `still` the formats of one picture come first. Raises FormatError if no format has this suffix.
    """
    for entry in sorted(FORMATS.values(), key=lambda entry: entry.still != still):
        if path.suffix.lower() in entry.suffixes:
            return entry
    suffixes = ", ".join(dict.fromkeys(entry.suffix for entry in FORMATS.values()))
    raise FormatError("choices.suffix", path=path.name, suffixes=suffixes)


def default_for(still: bool) -> Format:
    """Return the format where none is chosen: for a clip of one picture, or for a video."""
    return next(entry for entry in FORMATS.values() if entry.still == still)
