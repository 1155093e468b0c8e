"""Reads results of every format through programs and libraries that share no code with what is tested."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from zipfile import ZipFile

import numpy as np
from PIL import Image

from pipeline.formats import Format
from tests import ffprobe


@dataclass
class Exported:
    pictures: np.ndarray
    """`[N, H, W, C]`, or `[N, H, W]` of gray."""
    times: Sequence[Fraction]
    """Time at which each is shown, in seconds."""
    end: Fraction
    """Time from which the last one is no longer shown, in seconds."""


def read(path: Path, form: Format, pixels: str = "rgb24", member: str = "foreground.mp4") -> Exported:
    """Return what a player shows of a result; of foreground and matte apart, the `member`."""
    if form.content == "stacked":
        return _half(path, pixels, above=member == "foreground.mp4")
    if path.is_dir():
        return _sequence(path, pixels, form)
    if form.content == "objects":
        member = "1.mkv"
    if form.container == "zip":
        folder = path.with_suffix(".unpacked")
        ZipFile(path).extractall(folder)
        return _sequence(folder, pixels, form) if form.sequence else _video(folder / member, pixels)
    return _animated(path, pixels) if form.key == "webp" else _video(path, pixels)


def _video(path: Path, pixels: str) -> Exported:
    end = Fraction(ffprobe.probe(path)["format"]["duration"])
    pictures = ffprobe.frames(path, pixels).copy()
    if pictures.dtype != np.uint8:
        # ffmpeg gives white of limited-range video, 940 of 10 bits, as 0xFF00.
        colours = pictures[..., :3] * (0xFFFF / 0xFF00)
        pictures[..., :3] = np.rint(np.minimum(colours, 0xFFFF))
    return Exported(pictures, ffprobe.frame_times(path), end)


def _half(path: Path, pixels: str, above: bool) -> Exported:
    """The foreground above, or the matte below; the foreground as RGBA has the matte as its alpha."""
    if pixels == "rgba":
        foreground, matte = (_half(path, kind, kind == "rgb24") for kind in ("rgb24", "gray"))
        pictures = np.concatenate((foreground.pictures, matte.pictures[..., None]), axis=3)
        return Exported(pictures, foreground.times, foreground.end)
    whole = _video(path, pixels)
    height = whole.pictures.shape[1] // 2
    whole.pictures = whole.pictures[:, :height] if above else whole.pictures[:, height:]
    return whole


def _sequence(folder: Path, pixels: str, form: Format) -> Exported:
    with (folder / "times.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = [row["picture"] for row in rows]
    assert sorted(names) == names == sorted(path.name for path in folder.glob(f"*.{form.codec}"))
    times = [Fraction(row["seconds"]) for row in rows]
    end = times[-1] + Fraction(rows[-1]["lasts"])
    if form.codec == "exr":
        light = ffprobe.light(folder / "%06d.exr")
        if not form.straight:
            light[..., :3] /= np.where(light[..., 3:] == 0, 1, light[..., 3:])
        return Exported(_displayed(light, pixels), times, end)
    return Exported(ffprobe.frames(folder / "%06d.png", pixels), times, end)


def _displayed(light: np.ndarray, pixels: str) -> np.ndarray:
    """The signal, in `pixels`, of linear light with straight alpha, `[N, H, W, 4]`."""
    straight, alpha = np.clip(light[..., :3], 0, 1), light[..., 3:]
    # IEC 61966-2-1, written anew.
    signal = np.where(straight > 0.0031308, 1.055 * straight ** (1 / 2.4) - 0.055, straight * 12.92)
    channels, dtype = ffprobe.LAYOUTS[pixels]
    if channels == 4:
        signal = np.concatenate((signal, alpha), axis=3)
    return np.rint(signal * np.iinfo(dtype).max).astype(dtype)


def _animated(path: Path, pixels: str) -> Exported:
    mode = {"rgb24": "RGB", "rgba": "RGBA", "gray": "L"}[pixels]
    pictures, lengths = [], []
    with Image.open(path) as image:
        for n in range(getattr(image, "n_frames", 1)):
            image.seek(n)
            pictures.append(np.asarray(image.convert("RGBA" if mode == "RGBA" else "RGB").convert(mode)))
            lengths.append(image.info.get("duration", 0))
    ends = [Fraction(ms, 1000) for ms in accumulate(lengths)]
    return Exported(np.stack(pictures), [Fraction(0), *ends[:-1]], ends[-1])
