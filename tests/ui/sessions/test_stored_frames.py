"""Frames of the stage and of the model, from files that are kept open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.video.reading.frames import read_frames
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.probe import load_clip, probe_clip
from pipeline.video.reading.source import Source
from tests.rendered import subject_over_background, write_clip
from ui.sessions.rendering.stored_frames import StoredFrames


def test_a_single_frame_is_read_from_the_open_file_and_others_as_ever(
    small_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pts, stored = load_index(small_clip).pts, StoredFrames()
    (direct,) = read_frames(small_clip, only=[pts[5]])
    opens, opening = [0], Source._open

    def opened(source: Source) -> None:
        opens[0] += 1
        opening(source)

    monkeypatch.setattr(Source, "_open", opened)
    for _ in range(2):
        (frame,) = stored.read(small_clip, pts[2], pts[9], only={pts[1], pts[5], pts[9]})  # one is inside
        assert frame.pts == pts[5] and np.array_equal(frame.image, direct.image)
    assert opens == [1]
    assert [frame.pts for frame in stored.read(small_clip)] == list(pts)
    assert [frame.pts for frame in stored.read(small_clip, only=pts[3:5])] == list(pts[3:5])
    (deep,) = stored.read(small_clip, only=[pts[5]], high_bit_depth=True)
    assert deep.image16 is not None and opens == [4]
    assert not list(stored.read(small_clip, only=[])) and not list(
        stored.read(small_clip, only=[pts[-1] + 1])
    )
    stored._readers.close()


def test_a_clip_is_probed_once_for_each_state_of_its_file(tmp_path: Path) -> None:
    frames, _alphas = subject_over_background(12, 160, 90)
    path = write_clip(tmp_path / "a.mp4", frames)
    assert load_clip(path) is load_clip(path) and load_clip(path) == probe_clip(path)
    write_clip(path, frames[:8])
    assert load_clip(path).frames == 8
