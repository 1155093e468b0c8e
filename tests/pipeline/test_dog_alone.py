"""A journey through a real clip: a woman plays with a dog, and the dog alone is to be cut out.

No masks of this clip are known. Every 24th of its frames was looked at: a place on the woman's trunk and one
on her leg have to be out, and one on the dog has to be in where it is in the picture.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.job import Job
from pipeline.prompts import Box, Point, Prompt
from pipeline.propagation.ahead import compute_ahead
from pipeline.propagation.partial import find_mattes
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.probe import probe_clip

CLIPS = os.environ.get("RECORTE_CLIPS")

Place = tuple[float, float]
PLACES: dict[int, tuple[Place, Place, Place | None]] = {
    0: ((321, 338), (288, 440), (609, 447)),
    24: ((338, 226), (328, 375), (599, 423)),
    48: ((264, 230), (281, 389), (849, 389)),
    72: ((288, 233), (298, 379), None),
    96: ((396, 227), (372, 355), None),
    120: ((308, 244), (281, 379), (1042, 453)),
    144: ((244, 308), (244, 440), (609, 453)),
    168: ((244, 244), (210, 386), (514, 436)),
    192: ((247, 217), (240, 352), (721, 436)),
    216: ((210, 217), (210, 376), (886, 443)),
    240: ((210, 206), (210, 359), (802, 477)),
    264: ((274, 264), (298, 409), (551, 494)),
    288: ((379, 281), (338, 399), (616, 460)),
}
"""Places on the woman's trunk and leg, and on the dog, in pixels, by the number of a frame."""


BOXES: dict[int, tuple[float, float, float, float]] = {
    0: (433, 379, 704, 551),
    24: (501, 315, 717, 524),
    48: (765, 244, 981, 541),
    120: (890, 389, 1201, 555),
    144: (440, 386, 751, 555),
    168: (345, 318, 606, 541),
    192: (551, 345, 866, 541),
    216: (788, 382, 991, 545),
    240: (606, 409, 927, 629),
    264: (403, 382, 639, 585),
    288: (507, 348, 710, 562),
}
"""Boxes round the dog, as somebody draws them."""
MOST_MARKS = 9


def wrong_places(job: Job, number: int) -> tuple[list[Place], list[Place]]:
    """Return what is in of the woman on a frame, and what is out of the dog."""
    mattes = find_mattes(job, probe_clip(job.source), load_index(job.source).pts[number])
    assert mattes is not None
    trunk, leg, dog = PLACES[number]
    woman = [(x, y) for x, y in (trunk, leg) if mattes[1][round(y), round(x)] > 127]
    return woman, [] if dog is None or mattes[1][round(dog[1]), round(dog[0])] > 127 else [dog]


def mark(job: Job, number: int, remove: list[Place]) -> Prompt:
    """Return a mark on a frame: a box round the dog, or where it is out of the picture a click to remove."""
    time = float(load_index(job.source).pts[number] * probe_clip(job.source).time_base)
    if number in BOXES:
        return Prompt(time, box=Box(*BOXES[number]))
    return Prompt(time, tuple(Point(*place, keep=False, whole=True) for place in remove))


@pytest.mark.skipif(CLIPS is None, reason="RECORTE_CLIPS, the folder of the real clips, is not set")
@pytest.mark.timeout(3600)
def test_the_dog_alone_takes_a_mark_on_every_frame_that_is_wrong(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """The network takes woman and dog for one subject, and where they part it may stay with her.

    Measured: after 1 to 8 marked frames 4, 5, 4, 8, 9, 10, 11 and 12 of the 13 are clean; on the last one the
    dog is out of the picture. With clicks in the place of boxes no more than 5 are.
    """
    matte = tmp_path / "m.mkv"
    job = Job(Path(str(CLIPS), "01_dog.mp4"), tmp_path / "out.mp4", "recorte", matte=matte)
    job = replace(job, prompts=(mark(job, 0, []),))
    marked, clean = {0}, list[int]()
    while True:
        for _ in compute_ahead(job):
            pass
        wrong = {number: wrong_places(job, number) for number in PLACES}
        clean.append(sum(not woman and not dog for woman, dog in wrong.values()))
        # As a person would: the first frame that is wrong and has no mark yet gets one.
        bad = [number for number, (woman, dog) in wrong.items() if (woman or dog) and number not in marked]
        if not bad or len(marked) == MOST_MARKS:
            break
        marked.add(bad[0])
        job = replace(job, prompts=(*job.prompts, mark(job, bad[0], wrong[bad[0]][0][:1])))
    record_property("clean_frames_after_each_mark", clean)
    print(f"of {len(PLACES)} frames were clean, after each marked frame:", *clean)
    assert clean[0] >= 3, "one box"
    assert max(clean) >= 11, "a box or a click on each frame that is wrong"
