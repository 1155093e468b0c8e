"""Results that show masks: of each object, binary, and tinted frames."""

import zipfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest

from pipeline.compositing.background import Colour, Transparent
from pipeline.compositing.edges import Edges
from pipeline.job import Job
from pipeline.matte import MatteFile
from pipeline.process import process
from pipeline.prompts import Object, Point, Prompt
from pipeline.propagation import resume
from pipeline.rendering.masks import TINTS, add_layers, binarise, object_names, show_process, tint
from pipeline.video.reading.probe import probe_clip
from tests import ffprobe

pytestmark = pytest.mark.usefixtures("stand_ins")


@pytest.fixture
def job(counted_path: Path, tmp_path: Path) -> Job:
    """Two objects that are marked apart, and a third one that is switched off."""
    marks = tuple(Prompt(0, (Point(x, 32),), object=n) for n, x in ((1, 12), (3, 50), (4, 31)))
    objects = (Object(3, "Dog: «Bo»/2"), Object(4, on=False))
    return Job(
        counted_path,
        tmp_path / "o.zip",
        model="pointing",
        prompts=marks,
        objects=objects,
        format="objects",
        matte=tmp_path / "m.mkv",
    )


def run(job: Job) -> None:
    for _ in process(job):
        pass


def mattes(path: Path) -> dict[str, np.ndarray]:
    folder = path.with_suffix("")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
        return {name: ffprobe.frames(folder / name, "gray") for name in archive.namelist()}


def kept(job: Job) -> np.ndarray:
    assert job.matte is not None
    return np.stack([matte for _, matte in MatteFile.open(job.matte).read(probe_clip(job.source))])


def test_each_object_has_a_video_of_its_own(job: Job) -> None:
    run(job)
    found = mattes(job.output)
    assert list(found) == ["1.mkv", "3-Dog-Bo-2.mkv"]
    one, dog = found.values()
    assert (one[0, 32, 12], one[0, 32, 50]) == (255, 0) and (dog[0, 32, 12], dog[0, 32, 50]) == (0, 255)
    assert np.array_equal(np.maximum(one, dog), kept(job))
    for number, alone in ((1, one), (3, dog)):
        objects = tuple(Object(n, on=n == number) for n in (1, 3, 4))
        other = job.output.with_name("alone.mkv")
        run(replace(job, output=other, format="matte-lossless", objects=objects, matte=None))
        assert np.array_equal(ffprobe.frames(other, "gray"), alone)


def test_a_kept_matte_of_several_objects_does_not_stand_for_each(job: Job) -> None:
    run(replace(job, format="mp4", output=job.output.with_suffix(".mp4")))
    before = kept(job)
    run(job)
    assert list(mattes(job.output)) == ["1.mkv", "3-Dog-Bo-2.mkv"]
    assert np.array_equal(kept(job), before)


def test_a_kept_matte_of_one_object_is_its_own(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    job = replace(job, objects=(Object(1, on=False), Object(4, on=False)))
    run(job)
    whole = mattes(job.output)
    job.output.unlink()
    monkeypatch.setattr("pipeline.process.create_stream", lambda job: pytest.fail("the model is run"))
    run(job)
    assert list(whole) == ["3.mkv"]
    assert np.array_equal(whole["3.mkv"], mattes(job.output)["3.mkv"])


def test_an_interrupted_run_goes_on(job: Job) -> None:
    later = Prompt(0.2, (Point(40, 32),), object=3)
    job = replace(job, model="remembering", prompts=(*job.prompts, later))
    run(job)
    whole = mattes(job.output)
    assert not np.array_equal(*whole.values())
    assert job.matte is not None
    job.output.unlink()
    job.matte.unlink()
    steps = process(job)
    for step in steps:
        if step.done >= 5:
            break
    steps.close()
    assert resume.can_resume(job, probe_clip(job.source)) and not job.output.exists()
    run(job)
    again = mattes(job.output)
    assert list(again) == list(whole) and all(np.array_equal(again[name], whole[name]) for name in whole)


def test_crop_rate_and_edges_apply_to_each_object(job: Job) -> None:
    run(replace(job, rate=Fraction(5), edges=Edges(grow=2)))
    plain = kept(job)
    for found in mattes(job.output).values():
        assert found.shape[1:] == plain.shape[1:] and len(found) < len(plain)
    run(replace(job, crop="9:16"))
    found = mattes(job.output)
    assert {matte.shape[1:] for matte in found.values()} == {(64, 36)}


@pytest.mark.parametrize("transparent", [False, True])
def test_objects_are_layers_of_exr_pictures(job: Job, transparent: bool) -> None:
    run(job)
    apart = mattes(job.output)
    behind = Transparent() if transparent else job.background
    folder = job.output.with_name("layers")
    run(replace(job, format="exr-layers", output=folder, background=behind))
    plain = job.output.with_name("plain")
    run(replace(job, format="exr", output=plain, background=behind))
    # FFmpeg shows the picture without the layers.
    assert np.array_equal(ffprobe.light(folder / "%06d.exr"), ffprobe.light(plain / "%06d.exr"))
    for number in (0, len(apart["1.mkv"]) - 1):
        with OpenEXR.File(str(folder / f"{number:06}.exr"), separate_channels=True) as file:
            channels = {name: channel.pixels for name, channel in file.channels().items()}
        colours = "ABGR" if transparent else "BGR"
        assert sorted(channels) == [*colours, "object1.A", "object3_Dog_Bo_2.A"]
        for name, layer in (("1.mkv", "object1.A"), ("3-Dog-Bo-2.mkv", "object3_Dog_Bo_2.A")):
            assert channels[layer].dtype == np.float16
            assert np.abs(channels[layer] - apart[name][number] / 255).max() < 2**-11


def test_layers_of_sixteen_bits_span_the_same_range() -> None:
    image, matte = np.full((1, 2, 3), 65535, np.uint16), np.array([[128, 255]], np.uint8)
    layered = add_layers(image, [matte])
    assert layered.dtype == np.uint16 and layered[0, :, 3].tolist() == [128 * 257, 65535]
    assert add_layers(image.astype(np.uint8), [matte])[0, :, 3].tolist() == [128, 255]


@pytest.mark.parametrize(
    ("key", "name", "pixels"),
    [("mask", "masks", "gray"), ("mask-lossless", "m.mkv", "gray"), ("mask-gif", "m.gif", "bgra")],
)
def test_masks_are_black_and_white(clip_path: Path, tmp_path: Path, key: str, name: str, pixels: str) -> None:
    output = tmp_path / name
    job = Job(clip_path, output, model="threshold", format=key, matte=tmp_path / "matte.mkv", end=0.25)
    run(job)
    alpha = kept(job)
    assert len(np.unique(alpha)) > 10
    read = output / "%06d.png" if key == "mask" else output
    found = ffprobe.frames(read, "gray")
    assert ffprobe.stream(read)["pix_fmt"] == pixels
    assert np.array_equal(found, np.where(alpha > 127, 255, 0))
    assert np.array_equal(binarise(alpha[0]), found[0])


@pytest.mark.parametrize("key", ["overlay", "overlay-png", "overlay-gif"])
def test_objects_are_tinted_on_the_frame(job: Job, key: str) -> None:
    output = job.output.with_suffix({"overlay-gif": ".gif", "overlay-png": ""}.get(key, ".mp4"))
    run(replace(job, format=key, output=output))
    shown = ffprobe.frames(output / "%06d.png" if key == "overlay-png" else output)[0].astype(int)
    frame = ffprobe.frames(job.source)[0].astype(int)
    for number, x in ((1, 12), (3, 50)):
        mixed = (frame[32, x] + TINTS[number - 1]) / 2
        assert np.abs(shown[32, x] - mixed).max() < 16
    assert np.abs(shown[32, 31] - frame[32, 31]).max() < 16


def test_the_process_is_shown_in_quarters(clip_path: Path, tmp_path: Path) -> None:
    job = Job(
        clip_path,
        tmp_path / "o.gif",
        model="threshold",
        format="process",
        background=Colour(20, 90, 160),
        quality="best",
        end=0.25,
    )
    run(job)
    shown = ffprobe.frames(job.output)[0]
    whole = {}
    for key, suffix in (("png", ""), ("mask", "")):
        other = tmp_path / key
        run(replace(job, format=key, output=other.with_suffix(suffix)))
        whole[key] = ffprobe.frames(other / "000000.png")[0]
    frame = ffprobe.frames(clip_path)[0]
    height, width = frame.shape[0] // 2, frame.shape[1] // 2
    assert shown.shape == frame.shape
    quarters = shown[:height, :width], shown[:height, width:], shown[height:, :width], shown[height:, width:]

    def apart(quarter: np.ndarray, truth: np.ndarray) -> float:
        small = cv2.resize(truth, (width, height), interpolation=cv2.INTER_AREA)
        return float(np.abs(quarter[:height, :width].astype(int) - small).mean())

    assert apart(quarters[0], frame) < 6
    assert apart(quarters[3], whole["png"]) < 6
    inside = whole["mask"][::2, ::2, 0][:height, :width] == 255
    assert quarters[1][inside].mean() > 200 and quarters[1][~inside].mean() < 30
    cut = quarters[2].astype(int)
    assert np.abs(cut[inside] - quarters[0][inside]).mean() < 12
    assert 100 < cut[~inside].mean() < 160 and np.ptp(cut[~inside], axis=1).mean() < 12


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (3, 2)])
def test_the_process_of_small_frames_has_their_size(size: tuple[int, int]) -> None:
    image = np.full((*size, 3), 9, np.uint8)
    cut = np.full((*size, 4), 7, np.uint8)
    assert show_process(image, image[..., 0], cut, cut).shape == image.shape


def test_a_tint_is_as_strong_as_the_matte() -> None:
    image = np.full((1, 3, 3), 100, np.uint8)
    matte = np.array([[0, 128, 255]], np.uint8)
    shown = tint(image, [matte], [10])  # begins with the first colour again
    assert np.array_equal(shown[0, 0], (100, 100, 100))
    assert np.abs(shown[0, 2] - (100 + np.array(TINTS[0])) / 2).max() <= 0.5
    assert np.abs(shown[0, 1] - (100 + 0.251 * (np.array(TINTS[0]) - 100))).max() <= 0.6


def test_names_of_files_hold_what_files_may_have() -> None:
    objects = [Object(1, "../../etc"), Object(2, "Zoë 2"), Object(3, "///")]
    assert object_names([1, 2, 3, 4], objects) == ["1-etc", "2-Zoë-2", "3", "4"]
