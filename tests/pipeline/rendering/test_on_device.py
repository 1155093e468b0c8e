"""Runs with frames that stay on a device, beside the same runs on the host.

The device is torch's "cpu": the arithmetic, the exchange of planes and the seams are those of a graphics
card; NVDEC, NVENC and the copies through pinned memory are not tried here.
"""

import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pipeline import devices
from pipeline.compositing import device_composer
from pipeline.compositing.background import Blur, Colour, Footage, Picture, Transparent
from pipeline.compositing.edges import Edges
from pipeline.compositing.light import Light, Shadow
from pipeline.devices import FrameDevice
from pipeline.errors import RunError
from pipeline.job import Job, Progress
from pipeline.process import process
from pipeline.video.device import reading
from pipeline.video.device.writing import DeviceFrameConverter
from pipeline.video.reading.frames import DeviceFrame, read_frames
from tests import ffprobe
from tests.pipeline.video.test_video import ffmpeg
from tests.rendered import subject_over_background, write_clip

pytestmark = pytest.mark.usefixtures("stand_ins")

CPU = FrameDevice(torch.device("cpu"), None)


@pytest.fixture
def on_device(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Let frames stay on the device, or on the host."""

    def choose(stays: bool) -> None:
        monkeypatch.setattr(devices, "frame_device", lambda *_: CPU if stays else None)

    return choose


def run(job: Job) -> Progress:
    with closing(process(job)) as steps:
        *_, last = steps
    return last


def pictures(path: Path) -> Iterator[NDArray[Any]]:
    with zipfile.ZipFile(path) as archive:
        for name in sorted(n for n in archive.namelist() if n.endswith(".png")):
            yield cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_UNCHANGED)


def levels_apart(job: Job, on_device: Callable[[bool], None]) -> NDArray[Any]:
    """Render a job twice from one kept matte, and return the differences in levels of 255."""
    on_device(False)
    run(job)  # makes the matte
    run(job)
    host = list(pictures(job.output))
    on_device(True)
    run(job)
    device = list(pictures(job.output))
    assert len(host) == len(device) > 1 and host[0].dtype == device[0].dtype
    unit = 1 if host[0].dtype == np.uint8 else 257
    return np.abs(np.stack(host).astype(int) - np.stack(device)) / unit


@pytest.fixture
def job(clip_path: Path, tmp_path: Path) -> Job:
    out, kept = tmp_path / "out.zip", tmp_path / "matte.mkv"
    return Job(clip_path, out, model="threshold", format="png", end=0.25, matte=kept)


@pytest.mark.parametrize("behind", ["colour", "picture", "video", "blur", "transparent"])
def test_every_background_is_the_hosts(
    job: Job, counted_path: Path, tmp_path: Path, on_device: Callable[[bool], None], behind: str
) -> None:
    picture = tmp_path / "behind.png"
    cv2.imwrite(str(picture), np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8))
    backgrounds = {
        "colour": Colour(20, 90, 160),
        "picture": Picture(picture),
        "video": Footage(counted_path),
        "blur": Blur(20),
        "transparent": Transparent(),
    }
    apart = levels_apart(replace(job, background=backgrounds[behind]), on_device)
    # A level of the frame that is read can become more where alpha is small.
    assert (apart > 1).mean() < 1e-3 and apart.mean() < 0.2


def test_edges_shadow_and_light_are_the_hosts(job: Job, on_device: Callable[[bool], None]) -> None:
    asked = replace(
        job,
        edges=Edges(grow=6, feather=10, despill="green"),
        light=Light(Shadow(), 0.6),
        background=Colour(200, 190, 90),
    )
    apart = levels_apart(asked, on_device)
    assert (apart > 1).mean() < 1e-3
    apart = levels_apart(replace(asked, background=Transparent()), on_device)
    assert (apart > 1).mean() < 1e-3


def test_kept_shadows_and_matched_colours_are_the_hosts(job: Job, on_device: Callable[[bool], None]) -> None:
    matched = replace(job, light=Light(match=0.8), background=Colour(200, 190, 90))
    # A level in which the frames differ may become larger with the spread of the colours.
    assert (levels_apart(matched, on_device) > 2).mean() < 1e-3
    kept = replace(job, light=Light(keep=0.9), background=Colour(200, 190, 90))
    # The camera shakes: features of frames that differ in a level are found a little elsewhere.
    assert levels_apart(kept, on_device).mean() < 0.5


@pytest.mark.parametrize(
    "options",
    [
        ("-vf", "format=yuv420p10le", "-c:v", "libx265", "-x265-params", "log-level=none"),
        ("-vf", "format=yuv444p", "-c:v", "libx264"),
        ("-vf", "format=yuvj422p", "-c:v", "mjpeg", "-q:v", "2"),
        ("-vf", "scale=161:121,format=yuv420p", "-c:v", "libvpx-vp9"),
        ("-vf", "setsar=4/3", "-c:v", "libx264"),
        ("-vf", "format=yuva420p", "-c:v", "libvpx-vp9"),
        ("-c:v", "libx265", "-x265-params", "log-level=none:colorprim=9:transfer=16:colormatrix=9"),
    ],
    ids=["10 bits", "444", "full range", "odd size", "wide pixels", "alpha", "HDR"],
)
@pytest.mark.parametrize("high_bit_depth", [False, True])
def test_every_kind_of_frame_is_read_as_on_the_host(
    clip_path: Path, tmp_path: Path, options: tuple[str, ...], high_bit_depth: bool
) -> None:
    clip = tmp_path / "clip.mkv"
    ffmpeg("-i", clip_path, "-an", "-t", "0.2", *options, clip)
    host = list(read_frames(clip, high_bit_depth=high_bit_depth))
    device = list(read_frames(clip, high_bit_depth=high_bit_depth, device=CPU))
    assert [frame.pts for frame in device] == [frame.pts for frame in host] and len(host) > 2
    for theirs, ours in zip(host, device, strict=True):
        assert isinstance(ours, DeviceFrame)
        assert ours.tensor.shape == (3, *theirs.image.shape[:2])
        assert np.abs(theirs.image.astype(int) - ours.image).max() <= 1
        assert (theirs.image16 is None) == (ours.image16 is None)
        if theirs.image16 is not None and ours.image16 is not None:
            assert np.abs(theirs.image16.astype(int) - ours.image16).max() <= 1.2 * 257
        assert (theirs.alpha is None) == (ours.alpha is None)
        if theirs.alpha is not None:
            assert (theirs.alpha == ours.alpha).all()


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_turned_frames_are_upright(tmp_path: Path, degrees: int) -> None:
    frames, _ = subject_over_background(2, 160, 90)
    clip = write_clip(tmp_path / "turned.mp4", frames, rotation=degrees)
    host, device = next(iter(read_frames(clip))), next(iter(read_frames(clip, device=CPU)))
    assert host.image.shape == device.image.shape
    assert np.abs(host.image.astype(int) - device.image).max() <= 1


@pytest.mark.parametrize("key", ["mp4", "hevc", "webm", "prores", "gif", "matte", "pair", "stacked"])
def test_every_format_takes_frames_of_a_device(
    clip_path: Path, tmp_path: Path, on_device: Callable[[bool], None], key: str
) -> None:
    from pipeline import formats

    made = []
    for stays in (False, True):
        on_device(stays)
        job = Job(
            clip_path,
            tmp_path / f"out{stays}{formats.by_key(key).suffix}",
            model="threshold",
            format=key,
            end=0.25,
            background=Transparent() if key in ("prores", "webm", "pair", "stacked") else Colour(20, 90, 160),
        )
        run(job)
        if key == "pair":
            assert zipfile.is_zipfile(job.output)
            return
        made.append(ffprobe.frames(job.output).astype(int))
    assert made[0].shape == made[1].shape
    # What is lost in encoding is not the same twice.
    assert np.abs(made[0] - made[1]).mean() < (0.8 if key != "gif" else 1.5)


def test_a_constant_rate_a_crop_and_a_resumed_run(job: Job, on_device: Callable[[bool], None]) -> None:
    for change in ({"rate": Fraction(50)}, {"crop": "1:1"}):
        apart = levels_apart(replace(job, **change), on_device)  # type: ignore[arg-type]
        assert (apart > 1).mean() < 1e-3
        assert job.matte is not None
        job.matte.unlink()


def test_a_full_device_leaves_the_rest_to_the_host_and_says_so(
    job: Job, on_device: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    compose = device_composer.DeviceComposer._compose

    def fill(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise torch.OutOfMemoryError("full")
        return compose(*arguments)

    on_device(False)
    run(job)
    run(job)
    host = np.stack(list(pictures(job.output))).astype(int)
    on_device(True)
    monkeypatch.setattr(device_composer.DeviceComposer, "_compose", fill)
    last = run(job)
    assert calls == 3
    assert [note.key for note in last.notes] == ["notes.device_full"]
    assert (np.abs(host - np.stack(list(pictures(job.output)))) > 1).mean() < 1e-3


def test_a_frame_that_does_not_fit_is_read_on_the_host(
    clip_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_: Any) -> Any:
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(reading.colour, "to_rgb", fill)
    host, read = next(iter(read_frames(clip_path))), next(iter(read_frames(clip_path, device=CPU)))
    assert read.tensor is None
    assert (read.image == host.image).all()


@pytest.mark.parametrize("on_card", [False, True])
def test_a_frame_for_which_the_card_has_no_room(on_card: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(*_: Any) -> Any:
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(reading.colour, "from_rgb", fill)
    convert, image = DeviceFrameConverter("yuv420p", on_card), torch.zeros((3, 8, 8), dtype=torch.uint8)
    if on_card:
        with pytest.raises(RunError, match="too little free memory"):
            convert(image)
    else:
        assert convert(image) is None, "the host converts it"
