"""The light of a scene in the page's pictures: that of the run, once all is cut."""

from __future__ import annotations

import zipfile
from contextlib import closing
from dataclasses import replace
from io import BytesIO
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.compositing.background import Colour
from pipeline.compositing.light import Light
from pipeline.job import Job
from pipeline.process import process
from pipeline.propagation.ahead import compute_ahead
from pipeline.video.reading.probe import probe_clip
from tests.pipeline import stand_in
from tests.rendered import subject_over_background, write_clip
from ui.sessions.rendering.inference import InferenceService
from ui.sessions.rendering.protocol import EncodedImage, RenderRequest


@pytest.fixture
def job(tmp_path: Path) -> Job:
    stand_in.register()
    frames, _ = subject_over_background(24, 320, 180)
    path = write_clip(tmp_path / "clip.mp4", frames)
    return Job(
        path,
        tmp_path / "out.zip",
        model="threshold",
        background=Colour(220, 130, 50),
        format="png",
        matte=tmp_path / "matte.mkv",
        light=Light(match=0.9),
    )


def picture(service: InferenceService, job: Job, index: int) -> tuple[np.ndarray, EncodedImage]:
    request = RenderRequest("a", probe_clip(job.source), job, job.output.parent)
    image = service.render_frame(request, 0, index, "over", False, None, "png")
    return np.asarray(Image.open(BytesIO(image.data)).convert("RGB")).astype(int), image


def test_a_picture_has_the_light_of_the_run_once_all_is_cut(job: Job) -> None:
    service = InferenceService()
    alone, image = picture(service, job, 0)
    assert not image.surveyed
    with closing(compute_ahead(job, 0)) as steps:
        for _ in islice(steps, 12):
            pass
        assert not picture(service, job, 0)[1].surveyed
        for _ in steps:
            pass
    cut, image = picture(service, job, 0)
    assert image.final and image.surveyed
    assert 0 < np.abs(cut - alone).max() < 12  # the same subject, but all of its frames

    with closing(process(job)) as progress:
        for _ in progress:
            pass
    with zipfile.ZipFile(job.output) as archive:
        name = sorted(n for n in archive.namelist() if n.endswith(".png"))[0]
        made = np.asarray(Image.open(archive.open(name)).convert("RGB")).astype(int)
    assert np.array_equal(made, cut)
    kept, image = picture(InferenceService(), job, 0)  # from the matte that the run has kept
    assert image.surveyed and np.array_equal(kept, cut)


def test_pictures_without_matched_colours_need_no_survey(job: Job) -> None:
    _, image = picture(InferenceService(), replace(job, light=Light(wrap=0.3)), 0)
    assert image.surveyed
