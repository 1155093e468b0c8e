"""Rates of reading and writing: python -m benchmarks.rates CLIP [--heights 720 1080] [--formats KEY ...]

Frames per second at each height of decoding, of laying a cut-out over a background (with and without the old
background's colour taken out of the edges), and of decoding and encoding to each format, beside what the
ffmpeg program alone does for the same: medians of interleaved rounds, and ours over ffmpeg's as a ratio.

ffmpeg is asked for the same twice: as it likes best, frames staying YUV from decoder to encoder; and by way
of RGB, which compositing needs, so that the difference is the price of that and not of our code.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np

from benchmarks.memory import ffmpeg, scaled
from pipeline import formats
from pipeline.compositing.background import Colour
from pipeline.compositing.composite import open_composer
from pipeline.compositing.edges import CLEAN, Edges
from pipeline.formats import Format
from pipeline.video.reading.frames import read_frames
from pipeline.video.reading.probe import probe_clip
from pipeline.video.writing.output import create_output
from pipeline.video.writing.timing import StreamSpec

# As exactly as we convert; what ffmpeg does by itself repeats chroma samples and cuts off fractions.
_CLEAN = "scale=flags=bicubic+accurate_rnd+full_chroma_int"

# The formats that the ffmpeg program writes by the same encoder with the same options.
_SAME = ["mp4", "hevc", "webm", "av1", "prores"]

Action = Callable[[], object]


def seconds(action: Action) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def disc(width: int, height: int) -> np.ndarray:
    """A matte whose soft edge is as long and as wide as a person's: `[H, W]` uint8."""
    matte = np.zeros((height, width), np.uint8)
    cv2.circle(matte, (width // 2, height // 2), height // 3, 255, cv2.FILLED)
    return np.asarray(cv2.GaussianBlur(matte, (0, 0), height / 360))


def decoding(clip: Path) -> dict[str, Action]:
    return {
        "ours": lambda: sum(1 for _ in read_frames(clip)),
        "ffmpeg": lambda: ffmpeg("-i", clip, "-f", "null", "-"),
        "ffmpeg, RGB": lambda: ffmpeg("-i", clip, "-vf", f"{_CLEAN},format=gbrp", "-f", "null", "-"),
    }


def compositing(clip: Path) -> dict[str, Action]:
    told = probe_clip(clip)
    frames = [frame.image for frame, _ in zip(read_frames(clip), range(12), strict=False)]
    matte = disc(told.width, told.height)

    def composed(edges: Edges) -> None:
        with closing(open_composer(Colour(0, 177, 64), told.width, told.height, edges)) as compose:
            for n in range(told.frames):
                compose(frames[n % len(frames)], matte, 0.0)

    return {"clean edges": lambda: composed(CLEAN), "edges as they are": lambda: composed(Edges(clean=False))}


def encoding(clip: Path, form: Format, folder: Path) -> dict[str, Action]:
    told = probe_clip(clip)

    def ours() -> None:
        out = create_output(
            folder / f"ours{form.suffix}",
            form,
            StreamSpec(told.width, told.height, told.time_base, told.rate),
        )
        with out:
            for frame in read_frames(clip):
                out.write(frame.image, frame.pts)

    chosen = form.codec_options("high")
    options = [word for name, value in chosen.items() for word in (f"-{name}", value)]
    coded = ["-c:v", form.codec, *options, "-an", "-f", form.container, folder / "theirs"]

    def theirs(*filters: str) -> None:
        ffmpeg("-i", clip, "-vf", ",".join([*filters, f"format={form.pixel_format}"]), *coded)

    return {"ours": ours, "ffmpeg": theirs, "ffmpeg, RGB": lambda: theirs(_CLEAN, "format=gbrp", _CLEAN)}


def encoders() -> str:
    return subprocess.run(["ffmpeg", "-v", "error", "-encoders"], capture_output=True, text=True).stdout


def measured(what: str, actions: dict[str, Action], frames: int, rounds: int) -> None:
    taken: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            taken[name].append(seconds(action))
    rates = {name: frames / statistics.median(took) for name, took in taken.items()}
    ours = next(iter(taken.values()))
    told = "  ".join(f"{name} {rate:.1f}" for name, rate in rates.items())
    ratios = [
        f"{statistics.median(b / a for a, b in zip(ours, took, strict=True)):.2f}"
        for took in list(taken.values())[1:]
    ]
    print(f"  {what:24} {told}   ratio {', '.join(ratios)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--heights", type=int, nargs="+", default=[720, 1080])
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--formats", nargs="+", default=_SAME)
    options = parser.parse_args()
    if shutil.which("ffmpeg") is None:
        parser.error("the ffmpeg program is what is measured against, and is not installed")
    able = encoders()
    length = options.frames / float(probe_clip(options.clip).rate)
    for height in options.heights:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            clip = scaled(options.clip, height, length, folder)
            frames = probe_clip(clip).frames
            print(f"{options.clip.name} at {height} lines, {frames} frames: frames a second")
            measured("decode", decoding(clip), frames, options.rounds)
            measured("composite", compositing(clip), frames, options.rounds)
            for form in map(formats.by_key, options.formats):
                if f" {form.codec} " in able:
                    measured(f"decode to {form.key}", encoding(clip, form, folder), frames, options.rounds)


if __name__ == "__main__":
    main()
