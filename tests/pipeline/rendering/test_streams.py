"""The streams of a run on a device: who works in which, and what waits for what.

There is no CUDA here: stand-ins of the same calls name a stream for each thread, and note what is marked and
taken where.
"""

import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline import devices
from pipeline.devices import FrameDevice
from pipeline.job import Job
from pipeline.process import process
from pipeline.tensors import streams
from pipeline.video.device import writing
from pipeline.video.reading.frames import read_frames

pytestmark = pytest.mark.usefixtures("stand_ins")

CPU = FrameDevice(torch.device("cpu"), None)


class Streams:
    """Stand-in of the streams of a card."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened = 0
        self.most_inside = 0
        self.inside = 0
        self.taken: set[tuple[int, int]] = set()
        """Streams in which tensors were made, and were taken."""
        self._here = threading.local()
        self._lock = threading.Lock()
        made = self

        class OwnStream:
            def __init__(self, device: torch.device) -> None:
                with made._lock:
                    made.opened += 1
                    self._number = made.opened

            def __enter__(self) -> None:
                self._before = made.here
                made._here.number = self._number
                with made._lock:
                    made.inside += 1
                    made.most_inside = max(made.most_inside, made.inside)

            def __exit__(self, *_: Any) -> None:
                made._here.number = self._before
                with made._lock:
                    made.inside -= 1

        class Mark:
            def __init__(self, device: torch.device) -> None:
                self._number = made.here

            def take(self, tensor: torch.Tensor) -> torch.Tensor:
                with made._lock:
                    made.taken.add((self._number, made.here))
                return tensor

        monkeypatch.setattr(streams, "OwnStream", OwnStream)
        monkeypatch.setattr(streams, "mark", Mark)
        monkeypatch.setattr(devices, "frame_device", lambda *_: CPU)

    @property
    def here(self) -> int:
        return getattr(self._here, "number", 0)


def test_decoder_model_compositor_and_encoder_have_streams_and_wait_for_each_other(
    clip_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Streams(monkeypatch)
    for _ in process(Job(clip_path, tmp_path / "out.mp4", model="threshold", end=0.25)):
        pass
    assert made.opened == 4 and made.inside == 0
    assert made.most_inside >= 3  # the encoder's is entered for each frame
    # Made in the decoder's stream, frames are taken in those of the model and of the compositor; what that
    # makes is taken where it is given to the encoder.
    makers = {maker for maker, _ in made.taken}
    assert len(makers) == 2 and 0 not in makers
    (compositor,) = (maker for maker, taker in made.taken if taker == 0)
    (decoder,) = makers - {compositor}
    takers = {taker for maker, taker in made.taken if maker == decoder}
    assert compositor in takers and len(takers - {compositor, decoder}) == 1


def test_queues_are_as_long_as_the_devices_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = 3840 * 2160 * 6
    assert devices.queue_depth(None, frame, 4) == devices.queue_depth(CPU, frame, 4) == 4
    card = FrameDevice(torch.device("cuda", 0), 0)
    for free, depth in ((80 * 2**30, 4), (8 * 2**30, 3), (2**30, 1)):
        monkeypatch.setattr(devices, "_free_memory", lambda _, free=free: free)
        assert devices.queue_depth(card, frame, 4) == depth


def test_on_the_processor_there_are_no_streams() -> None:
    tensor = torch.zeros(3)
    stream = streams.OwnStream(CPU.torch)
    for _ in range(2):
        with stream:
            assert streams.mark(CPU.torch).take(tensor) is tensor
    assert streams.number(CPU.torch) == 0
    with devices.own_stream(None):
        streams.finish(CPU.torch)
        streams.wait_for_decoder(CPU.torch)


def test_frames_that_do_not_fit_are_encoded_on_the_host_and_a_note_says_so(
    clip_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Streams(monkeypatch)
    calls = 0
    convert = writing.DeviceFrameConverter._convert

    def fill(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise torch.OutOfMemoryError("full")
        return convert(*arguments)

    monkeypatch.setattr(writing.DeviceFrameConverter, "_convert", fill)
    *_, last = process(Job(clip_path, tmp_path / "out.mp4", model="threshold", end=0.25))
    assert calls == 3
    assert [note.key for note in last.notes] == ["notes.device_full"]
    assert len(list(read_frames(tmp_path / "out.mp4"))) == last.frames


def test_a_note_tells_of_frames_that_were_read_on_the_host(
    clip_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.video.device import reading

    def fill(*_: Any) -> Any:
        raise torch.OutOfMemoryError("full")

    Streams(monkeypatch)
    monkeypatch.setattr(reading.colour, "to_rgb", fill)
    *_, last = process(Job(clip_path, tmp_path / "out.mp4", model="threshold", end=0.25))
    assert [note.key for note in last.notes] == ["notes.device_full"]
