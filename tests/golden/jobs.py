"""Fixed jobs, which between them have every field, every kind of background and every kind of model."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

from tests.golden import internals
from tests.golden.internals import (
    Blur,
    BorrowedMatte,
    Box,
    Colour,
    Edges,
    Footage,
    Job,
    Object,
    Picture,
    Point,
    Prompt,
    Stroke,
    Transparent,
)

DATA = Path(__file__).resolve().parent / "data"

BOX = Prompt(box=Box(4.0, 5.5, 27.0, 30.0))
CLICK = Prompt(0.25, (Point(12.5, 8.0),))


def fixed() -> dict[str, Job]:
    """The jobs by name; paths lie in `DATA`, but for one that lies outside of it."""
    source = DATA / "clip.mkv"
    return {
        "plain": Job(source, DATA / "out.mp4"),
        "marks": Job(
            source,
            DATA / "out.webm",
            "recorte",
            (
                BOX,
                Prompt(0.5, (Point(3.0, 4.0), Point(9.25, 30.0, keep=False)), object=2),
                Prompt(1.0, (Point(1.0, 1.0, keep=False),), object=3),
            ),
            (Object(1), Object(2, "hat"), Object(3, "chair", on=False)),
            Transparent(),
            "webm",
            matte=DATA / "matte.mkv",
        ),
        "candidate": Job(
            source,
            Path("/elsewhere/out.mp4"),
            "sam-vit-b",
            (Prompt(0.25, (Point(12.5, 8.0),), candidate=2),),
            background=Colour(255, 0, 127),
        ),
        "strokes": Job(
            source,
            DATA / "out.mp4",
            "recorte",
            (
                BOX,
                Prompt(
                    0.5,
                    strokes=(Stroke(((3.0, 4.0), (9.25, 30.0)), 5.5), Stroke(((8.0, 8.0),), 2.0, keep=False)),
                ),
            ),
        ),
        "range": Job(source, DATA / "out.mp4", "grabcut", (BOX,), start=0.35, end=1.5, quality="small"),
        "rate": Job(
            source, DATA / "out.mov", "grabcut", (CLICK,), format="prores", rate=Fraction(30000, 1001)
        ),
        "picture": Job(
            source,
            DATA / "out.mp4",
            "grabcut",
            background=Picture(DATA / "back.png", "fit"),
            edges=Edges(False, -1.5, 2.0, "green"),
            sound="none",
        ),
        "footage": Job(
            source,
            DATA / "out.mkv",
            "grabcut",
            background=Footage(DATA / "back.mp4", "stretch", hold_last=True),
            format="mkv",
            sound="behind",
            quality="best",
            hardware=True,
            device="cuda:1",
        ),
        "blur": Job(source, DATA / "out.mp4", "rmbg", background=Blur(24.5), format="hevc"),
        "unsteady": Job(source, DATA / "out.mp4", "rmbg", background=Blur(), deflicker=False),
        "classes": Job(source, DATA / "out.mp4", "classes", classes=("person", "dog")),
        "hair": Job(source, DATA / "out.mp4", "grabcut", (BOX,), hair=True),
        "enlarged": Job(
            source,
            DATA / "out.png",
            "grabcut",
            (BOX,),
            background=Picture(DATA / "back.png", enlarge=True),
            format="png-still",
            upscale=2,
        ),
        "matte-in": Job(
            source, DATA / "out.mp4", "matte-in", matte_in=BorrowedMatte(DATA / "matte.mkv", invert=True)
        ),
        "weights": Job(source, DATA / "out.mp4", "sam2-tiny", (CLICK,), weights=DATA / "weights.pt"),
    }


def listed() -> dict[str, Any]:
    """Each job as JSON, with the keys of its matte and its result."""
    return {
        name: {
            "json": job.to_json(DATA),
            "matte": internals.matte_key(job),
            "result": internals.result_key(job, DATA),
        }
        for name, job in fixed().items()
    }
