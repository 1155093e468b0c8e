"""Whatever goes in, what comes out is the same video over another background: its times, size, way up, sound.

Each example draws a video with properties of its own, runs the whole pipeline, and reads the result with the
ffmpeg program.
"""

import tempfile
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import formats
from pipeline.compositing.background import Colour, Transparent
from pipeline.job import Job
from pipeline.process import process
from pipeline.video.reading.index_cache import load_index
from tests import ffprobe
from tests.rendered import write_clip

LANES = 4
SUBJECT, SCENE = (230, 30), (20, 90, 220)  # red and blue of what is kept, all of what is not
BEHIND = Colour(40, 200, 80)


def numbered(count: int, width: int, height: int, depth: int) -> list[np.ndarray]:
    """Upright frames, `[H, W, 3]`: the upper half is kept by the model and holds the frame's number."""
    lane = np.arange(width) * LANES // width
    frames = []
    for n in range(count):
        frame = np.empty((height, width, 3), np.uint8)
        frame[:] = SCENE
        frame[: height // 2, :, 0], frame[: height // 2, :, 2] = SUBJECT
        frame[: height // 2, :, 1] = np.where((n >> lane) & 1, 200, 20)
        frames.append(frame.astype(np.uint16) * 257 if depth > 8 else frame)
    return frames


def number(frame: np.ndarray) -> int:
    """Read what `numbered` wrote into a frame `[H, W, ≥3]` uint8, away from the edges of its parts."""
    height, width = frame.shape[:2]
    centres = (np.arange(LANES) * 2 + 1) * width // (2 * LANES)
    lanes = [frame[height // 8 : height // 4, x - 1 : x + 2, 1].mean() > 110 for x in centres]
    return sum(1 << bit for bit, lit in enumerate(lanes) if lit)


@dataclass(frozen=True)
class Source:
    """A video to be drawn."""

    width: int
    height: int
    rate: Fraction
    ticks: int
    """Return the ticks of the clock that a frame lasts at that rate."""
    gaps: tuple[int, ...]
    """Frames from each to the next: 1 everywhere is a constant rate."""
    rotation: int
    depth: int
    container: str
    sound: bool

    @property
    def tick(self) -> Fraction:
        return 1 / self.rate / self.ticks

    @property
    def pts(self) -> list[int]:
        times = [0]
        for gap in self.gaps:
            times.append(times[-1] + gap * self.ticks)
        return times

    def write(self, folder: Path) -> Path:
        frames = numbered(len(self.pts), self.width, self.height, self.depth)
        stored = [np.ascontiguousarray(np.rot90(frame, self.rotation // 90)) for frame in frames]
        return write_clip(
            folder / f"in{self.container}",
            stored,
            rate=self.rate,
            pts=self.pts,
            time_base=self.tick,
            sound=self.sound,
            rotation=self.rotation,
            pix_fmt="yuv420p10le" if self.depth > 8 else "yuv420p",
        )


@st.composite
def sources(draw: st.DrawFn) -> Source:
    container = draw(st.sampled_from([".mp4", ".mkv", ".mov"]))
    rates = ["5", "12", "24000/1001", "24", "25", "30000/1001", "30", "60000/1001"]
    # Matroska counts milliseconds, and has no word for turned pictures.
    exact = container != ".mkv"
    return Source(
        width=draw(st.integers(20, 60)) * 2,
        height=draw(st.integers(24, 40)) * 2,
        rate=Fraction(draw(st.sampled_from(rates))),
        ticks=draw(st.integers(1, 40)),
        gaps=tuple(draw(st.lists(st.sampled_from([1, 1, 1, 2, 5]), min_size=2, max_size=11))),
        rotation=draw(st.sampled_from([0, 90, 180, 270])) if exact else 0,
        depth=draw(st.sampled_from([8, 8, 10])),
        container=container,
        sound=draw(st.booleans()),
    )


VIDEOS = ("mp4", "hevc", "webm", "av1", "prores")


def shown(source: Source, path: Path) -> list[Fraction]:
    """Return the time of each frame, as the container was able to write it, from the first one on."""
    times = ffprobe.frame_times(path)
    return [time - times[0] for time in times]


@pytest.mark.usefixtures("stand_ins")
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    source=sources(),
    key=st.sampled_from(VIDEOS),
    alpha=st.booleans(),
    trim=st.tuples(st.integers(0, 11), st.integers(1, 12)),
)
def test_results_match_their_random_sources(
    source: Source, key: str, alpha: bool, trim: tuple[int, int]
) -> None:
    form = formats.FORMATS[key]
    alpha = alpha and form.alpha
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = source.write(folder)
        times = shown(source, path)
        first = min(trim[0], len(times) - 1)
        past = min(first + trim[1], len(times))
        result = folder / f"out{form.suffix}"
        job = Job(
            path,
            result,
            model="threshold",
            background=Transparent() if alpha else BEHIND,
            format=key,
            quality="best",
            start=float(times[first]),
            end=float(times[past]) if past < len(times) else None,
        )
        for _ in process(job):
            pass

        told = ffprobe.stream(result)
        width, height = source.width, source.height
        assert (told["width"], told["height"]) == form.padded_size(width, height)
        assert ffprobe.rotation(result) == 0

        pictures = ffprobe.frames(result, "rgba" if alpha else "rgb24")[:, :height, :width]
        assert [number(picture) for picture in pictures] == list(range(first, past))
        scene = pictures[:, height // 2 + 12 :]
        if alpha:
            assert pictures[:, : height // 2 - 12, :, 3].min() > 250
            assert scene[..., 3].max() < 5
        else:
            off = np.abs(scene.mean((1, 2)) - (BEHIND.red, BEHIND.green, BEHIND.blue))
            assert off.max() <= 2

        clock = max(Fraction(told["time_base"]), load_index(path).tick)
        wanted = [time - times[first] for time in times[first:past]]
        offsets = [abs(a - b) for a, b in zip(ffprobe.frame_times(result), wanted, strict=True)]
        assert max(offsets) <= clock / 2 + Fraction(1, 10**9)
        assert all(a < b for a, b in pairwise(ffprobe.frame_times(result)))

        tracks = [stream for stream in ffprobe.probe(result)["streams"] if stream["codec_type"] == "audio"]
        assert len(tracks) == source.sound
