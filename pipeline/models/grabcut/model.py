"""The GrabCut model: the prompted frame is segmented, and the mask is tracked from there."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import cv2
import numpy as np

from pipeline.arrays import Image, Matte, as_floats
from pipeline.imaging import guided_filter, mask_files
from pipeline.models.base import Candidate, Card, Prediction, PromptedFrame
from pipeline.models.grabcut.initial import (
    SIDE,
    correct_mask,
    look_ahead,
    mask_from_prompt,
    propose_mask,
    scale_points,
    scale_strokes,
)
from pipeline.models.grabcut.tracking import Subject
from pipeline.models.parts import Candidates
from pipeline.prompts import Point, Prompt, Stroke
from pipeline.stream_state import State


class GrabCut:
    """The model; each stream has its own state."""

    def __init__(self) -> None:
        self._candidates = Candidates(_segment_by_point, _segment_by_point)

    def candidates(self, frame: PromptedFrame) -> list[Candidate]:
        """As `OffersCandidates.candidates`."""
        return self._candidates(frame)

    def predict(self, frames: Iterator[PromptedFrame], state: State | None = None) -> Iterator[Prediction]:
        frames = iter(frames)
        if state is not None:
            yield from self._track(Subject.from_state(state), frames)
            return
        first = next(frames, None)
        if first is None:
            return
        image, prompt = first
        if prompt and (prompt.candidate is not None or prompt.mask is not None):
            subject, prediction = self._take_mask(image, prompt)
            yield prediction
            yield from self._track(subject, frames)
            return
        small = guided_filter.shrink(image, SIDE)
        if prompt and prompt.initialises:
            mask = mask_from_prompt(image, small, prompt)
        else:
            ahead = list(itertools.islice(frames, look_ahead(image)))
            frames = itertools.chain(ahead, frames)
            mask = propose_mask(small, [guided_filter.shrink(frame.image, SIDE) for frame in ahead])
        if prompt:
            mask = correct_mask(small, mask, *_corrections(prompt, image, small))
        subject = Subject.from_mask(small, mask)
        yield Prediction(guided_filter.upsample(mask, image), state=subject.state)
        yield from self._track(subject, frames)

    def _take_mask(self, image: Image, prompt: Prompt) -> tuple[Subject, Prediction]:
        """Start anew with a mask that was given, or chosen for a single click."""
        given = mask_files.of_prompt(prompt, *image.shape[:2])
        matte = self._candidates.choose(image, prompt) if given is None else given
        small = guided_filter.shrink(image, SIDE)
        mask = cv2.resize(matte, small.shape[1::-1], interpolation=cv2.INTER_AREA)
        # A click is what its candidate stands for; beside a mask that was given it corrects that.
        points = () if given is None else scale_points(prompt, image, small)
        corrected = correct_mask(
            small, as_floats(mask) / np.float32(255), points, scale_strokes(prompt, image, small)
        )
        subject = Subject.from_mask(small, corrected)
        shown = guided_filter.upsample(corrected, image) if points else matte
        return subject, Prediction(shown, state=subject.state)

    def _track(self, subject: Subject, frames: Iterator[PromptedFrame]) -> Iterator[Prediction]:
        """Yield the subject on the frames after the prompted one."""
        for image, prompt in frames:
            if prompt and (prompt.candidate is not None or prompt.mask is not None):
                subject, prediction = self._take_mask(image, prompt)
                yield prediction
                continue
            small = guided_filter.shrink(image, SIDE)
            mask = subject.track(small)
            if prompt and (prompt.points or prompt.strokes):
                mask = subject.correct(small, *_corrections(prompt, image, small))
            yield Prediction(
                guided_filter.upsample(mask, image), 0.0 if subject.lost else 1.0, state=subject.state
            )


def _corrections(prompt: Prompt, frame: Image, small: Image) -> tuple[tuple[Point, ...], tuple[Stroke, ...]]:
    """Return the prompt's points and strokes on the working grid."""
    return scale_points(prompt, frame, small), scale_strokes(prompt, frame, small)


def _segment_by_point(image: Image, point: Point) -> Matte:
    """Segment by the colours around a point to keep, as on the first frame of a stream."""
    small, prompt = guided_filter.shrink(image, SIDE), Prompt(points=(point,))
    mask = mask_from_prompt(image, small, prompt)
    mask = correct_mask(small, mask, scale_points(prompt, image, small))
    return guided_filter.upsample(mask, image)


CARDS = (
    Card(
        key="grabcut",
        label="GrabCut",
        purpose="Needs no weights: a subject whose colours or movement set it apart, on any processor.",
        points=True,
        box=True,
        candidates=True,
        automatic=True,
        licence="Apache-2.0",
        licence_url="https://github.com/opencv/opencv/blob/5.x/LICENSE",
        load=lambda device, files: GrabCut(),
    ),
)
