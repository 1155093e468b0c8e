"""Frames at an even rate."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.video.writing.constant_rate import ConstantRate


def resampled(seconds: list[Fraction], rate: Fraction, length: Fraction) -> list[tuple[int, int]]:
    even = ConstantRate[int](rate, length)
    shown_frames = [shown for n, at in enumerate(seconds) for shown in even.add(at, n)]
    return shown_frames + list(even.flush())


def test_a_faster_rate_repeats_and_a_slower_one_drops_frames() -> None:
    times = [Fraction(n, 10) for n in range(5)]
    assert [n for _, n in resampled(times, Fraction(20), Fraction(1, 2))] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert [n for _, n in resampled(times, Fraction(5), Fraction(1, 2))] == [0, 2, 4]
    assert [n for _, n in resampled(times, Fraction(10), Fraction(1, 2))] == [0, 1, 2, 3, 4]


def test_the_first_picture_is_shown_before_its_time() -> None:
    assert resampled([Fraction(1, 2), Fraction(1)], Fraction(4), Fraction(5, 4)) == [
        (0, 0), (1, 0), (2, 0), (3, 0), (4, 1),
    ]  # fmt: skip


@pytest.mark.parametrize("length", [Fraction(0), Fraction(1, 1000)])
def test_at_least_one_frame_is_output(length: Fraction) -> None:
    assert resampled([Fraction(0)], Fraction(25), length) == [(0, 0)]


@given(
    gaps=st.lists(st.fractions(Fraction(1, 240), 2, max_denominator=1001), max_size=30),
    rate=st.sampled_from([Fraction(5), Fraction(24000, 1001), Fraction(25), Fraction(50)]),
    tail=st.fractions(Fraction(1, 240), 1, max_denominator=1001),
)
def test_each_output_frame_shows_the_source_frame_of_its_time(
    gaps: list[Fraction], rate: Fraction, tail: Fraction
) -> None:
    times = [Fraction(0)]
    for gap in gaps:
        times.append(times[-1] + gap)
    length = times[-1] + tail
    shown_frames = resampled(times, rate, length)
    assert [number for number, _ in shown_frames] == list(range(len(shown_frames)))
    assert (len(shown_frames) - 1) / rate < length <= len(shown_frames) / rate
    assert all(n == max(k for k, at in enumerate(times) if at <= number / rate) for number, n in shown_frames)
