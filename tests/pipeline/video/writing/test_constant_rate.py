"""More frames a second than a format takes, and pictures that stay for minutes."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from pipeline import formats
from pipeline.job import Job, Progress
from pipeline.process import process
from pipeline.video.writing.constant_rate import LimitedRate
from pipeline.video.writing.output import create_output
from pipeline.video.writing.timing import StreamSpec
from tests.pipeline.stand_in import numbered
from tests.pipeline.video.reading.test_last_duration import lengths
from tests.rendered import write_clip

pytestmark = pytest.mark.usefixtures("stand_ins")

FORMS = [key for key, form in formats.FORMATS.items() if form.suffix != ".zip" and not form.still]


def render(source: Path, folder: Path, form: str, **changed: Any) -> tuple[Path, Progress]:
    result = folder / f"result{formats.FORMATS[form].suffix}"
    *_, last = process(Job(source, result, model="threshold", format=form, **changed))
    return result, last


def clip(path: Path, milliseconds: list[float], rate: float = 25) -> Path:
    """Pictures at these times."""
    tick = Fraction(1, 12_000)
    pts = [round(Fraction(time) * 12) for time in milliseconds]
    options = {"preset": "veryfast", "crf": "20", "bf": "0"}
    return write_clip(
        path,
        numbered(len(pts)),
        rate=Fraction(rate).limit_denominator(100),
        pts=pts,
        time_base=tick,
        options=options,
    )


def thinned(rate: int, length: float, times: list[float]) -> list[tuple[float, int]]:
    thin = LimitedRate[int](Fraction(rate), Fraction(length))
    shown = [one for n, time in enumerate(times) for one in thin.add(Fraction(time), n)]
    return [(float(at), n) for at, n in (*shown, *thin.flush())]


def test_frames_that_come_too_soon_are_delayed_or_dropped() -> None:
    assert thinned(10, 1, [0, 0.5]) == [(0, 0), (0.5, 1)]
    assert thinned(10, 1, [0, 0.0625, 0.5]) == [(0, 0), (0.1, 1), (0.5, 2)]
    assert thinned(10, 1, [0, 0.03125, 0.0625, 0.5]) == [(0, 0), (0.1, 2), (0.5, 3)]
    assert thinned(10, 0.05, [0, 0.03125]) == [(0, 0)]
    assert thinned(10, 0.01, [0.5]) == [(0, 0)]
    every = [n / 64 for n in range(64)]
    assert [at for at, _ in thinned(10, 1, every)] == pytest.approx([n / 10 for n in range(10)])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rate", [240.2, 2000])
def test_every_format_takes_any_rate(form: str, rate: float, tmp_path: Path) -> None:
    source = clip(tmp_path / "clip.mov", [n * 1000 / rate for n in range(60)], rate)
    result, last = render(source, tmp_path, form)
    most = formats.FORMATS[form].max_rate
    shown = lengths(result)
    if most is None or rate < most:
        assert (len(shown), last.notes) == (60, ())
        return
    assert min(shown) >= float(1 / most) - 1e-6
    assert sum(shown) == pytest.approx(60 / rate, abs=0.021)
    assert len(shown) == pytest.approx(60 / rate * most, abs=1)
    assert [note for note in last.notes if f"{most} frames a second at most" in str(note)]


@pytest.mark.parametrize("form", FORMS)
def test_close_frames_and_a_long_frame_add_no_frames(form: str, tmp_path: Path) -> None:
    """As a recorder of the screen writes them: no format repeats what it can hold."""
    times = [*range(0, 400, 40), 375, *range(70_400, 70_800, 40)]
    result, _ = render(clip(tmp_path / "clip.mp4", times), tmp_path, form)
    shown = lengths(result)
    assert sum(shown) == pytest.approx(70.8, abs=0.011)
    assert max(shown) == pytest.approx(70.02, abs=0.05)
    assert 20 <= len(shown) <= 21


@pytest.mark.parametrize(("form", "longest"), [("gif", 655.35), ("webp", 16777.215)])
def test_frames_too_long_for_the_format_are_written_repeatedly(
    form: str, longest: float, tmp_path: Path
) -> None:
    entry = formats.FORMATS[form]
    path = tmp_path / f"out{entry.suffix}"
    lasting = [1.5 * longest, 0.1, 2.25 * longest]
    ends = [sum(lasting[:n]) for n in range(4)]
    tick = Fraction(1, 1000)
    shape = StreamSpec(64, 64, tick, Fraction(1), end=round(ends[3] / tick))
    with create_output(path, entry, shape) as out:
        for frame, begin in zip(numbered(3), ends, strict=False):
            out.write(frame, round(begin / tick))
    shown = lengths(path)
    assert max(shown) <= longest + 1e-6
    assert len(shown) == 6
    assert sum(shown) == pytest.approx(ends[3], abs=0.02)


def test_a_constant_rate_is_limited_to_the_formats_maximum(tmp_path: Path) -> None:
    source = clip(tmp_path / "clip.mp4", [n * 40 for n in range(10)])
    result, last = render(source, tmp_path, "gif", rate=Fraction(100))
    assert lengths(result) == pytest.approx([0.02] * 20)
    assert last.notes
    assert not render(source, tmp_path, "gif", rate=Fraction(10))[1].notes
