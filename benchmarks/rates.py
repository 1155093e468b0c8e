"""Rates of reading and writing: python -m benchmarks.rates CLIP [--heights 720 1080] [--formats KEY ...]

Frames per second at each height of decoding, of compositing a cut-out over a background (with and without the
old background's colour taken out of the edges), and of decoding and encoding to each format, beside the
ffmpeg program doing the same: medians of interleaved rounds, and ours over ffmpeg's as a ratio.

ffmpeg runs in two ways: with frames in YUV from decoder to encoder, its fastest; and by way of RGB, which
compositing needs, so that the cost of the conversion is known.
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

from benchmarks.memory import run_ffmpeg, scale_clip
from pipeline import formats
from pipeline.compositing.background import Colour
from pipeline.compositing.composite import open_composer
from pipeline.compositing.edges import CLEAN, Edges
from pipeline.formats import Format
from pipeline.video.reading.frames import read_frames
from pipeline.video.reading.probe import probe_clip
from pipeline.video.writing.output import create_output
from pipeline.video.writing.timing import StreamSpec

# As exact as our conversion; ffmpeg's default repeats chroma samples and truncates.
_CLEAN = "scale=flags=bicubic+accurate_rnd+full_chroma_int"

# The formats that the ffmpeg program writes by the same encoder with the same options.
_SAME_ENCODER = ["mp4", "hevc", "webm", "av1", "prores"]

Action = Callable[[], object]


def measure_seconds(action: Action) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def draw_disc(width: int, height: int) -> np.ndarray:
    """Return a disc as a matte whose soft edge has a person's length and width, `[H, W]` uint8."""
    matte = np.zeros((height, width), np.uint8)
    cv2.circle(matte, (width // 2, height // 2), height // 3, 255, cv2.FILLED)
    return np.asarray(cv2.GaussianBlur(matte, (0, 0), height / 360))


def decoders(clip: Path) -> dict[str, Action]:
    return {
        "ours": lambda: sum(1 for _ in read_frames(clip)),
        "ffmpeg": lambda: run_ffmpeg("-i", clip, "-f", "null", "-"),
        "ffmpeg, RGB": lambda: run_ffmpeg("-i", clip, "-vf", f"{_CLEAN},format=gbrp", "-f", "null", "-"),
    }


def composers(clip: Path) -> dict[str, Action]:
    clip_info = probe_clip(clip)
    frames = [frame.image for frame, _ in zip(read_frames(clip), range(12), strict=False)]
    matte = draw_disc(clip_info.width, clip_info.height)

    def composite_all(edges: Edges) -> None:
        with closing(open_composer(Colour(0, 177, 64), clip_info.width, clip_info.height, edges)) as compose:
            for n in range(clip_info.frames):
                compose(frames[n % len(frames)], matte, 0.0)

    return {
        "clean edges": lambda: composite_all(CLEAN),
        "edges as they are": lambda: composite_all(Edges(clean=False)),
    }


def encoders_of(clip: Path, form: Format, folder: Path) -> dict[str, Action]:
    clip_info = probe_clip(clip)

    def encode() -> None:
        out = create_output(
            folder / f"ours{form.suffix}",
            form,
            StreamSpec(clip_info.width, clip_info.height, clip_info.time_base, clip_info.rate),
        )
        with out:
            for frame in read_frames(clip):
                out.write(frame.image, frame.pts)

    chosen = form.codec_options("high")
    options = [argument for name, value in chosen.items() for argument in (f"-{name}", value)]
    output = ["-c:v", form.codec, *options, "-an", "-f", form.container, folder / "theirs"]

    def encode_with_ffmpeg(*filters: str) -> None:
        run_ffmpeg("-i", clip, "-vf", ",".join([*filters, f"format={form.pixel_format}"]), *output)

    return {
        "ours": encode,
        "ffmpeg": encode_with_ffmpeg,
        "ffmpeg, RGB": lambda: encode_with_ffmpeg(_CLEAN, "format=gbrp", _CLEAN),
    }


def list_encoders() -> str:
    return subprocess.run(["ffmpeg", "-v", "error", "-encoders"], capture_output=True, text=True).stdout


def measure(label: str, actions: dict[str, Action], frames: int, rounds: int) -> None:
    durations: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            durations[name].append(measure_seconds(action))
    rates = {name: frames / statistics.median(rounds_taken) for name, rounds_taken in durations.items()}
    own_durations = next(iter(durations.values()))
    listing = "  ".join(f"{name} {rate:.1f}" for name, rate in rates.items())
    ratios = [
        f"{statistics.median(b / a for a, b in zip(own_durations, rounds_taken, strict=True)):.2f}"
        for rounds_taken in list(durations.values())[1:]
    ]
    print(f"  {label:24} {listing}   ratio {', '.join(ratios)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--heights", type=int, nargs="+", default=[720, 1080])
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--formats", nargs="+", default=_SAME_ENCODER)
    options = parser.parse_args()
    if shutil.which("ffmpeg") is None:
        parser.error("the ffmpeg program is what is measured against, and is not installed")
    available = list_encoders()
    length = options.frames / float(probe_clip(options.clip).rate)
    for height in options.heights:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            clip = scale_clip(options.clip, height, length, folder)
            frames = probe_clip(clip).frames
            print(f"{options.clip.name} at {height} lines, {frames} frames: frames a second")
            measure("decode", decoders(clip), frames, options.rounds)
            measure("composite", composers(clip), frames, options.rounds)
            for form in map(formats.by_key, options.formats):
                if f" {form.codec} " in available:
                    measure(f"decode to {form.key}", encoders_of(clip, form, folder), frames, options.rounds)


if __name__ == "__main__":
    main()
