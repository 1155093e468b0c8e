"""The GrabCut model: the prompted frame is segmented, and the mask is tracked from there."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from pipeline.imaging import guided_filter
from pipeline.models.base import Card, Prediction, PromptedFrame
from pipeline.models.grabcut.initial import (
    SIDE,
    correct_mask,
    look_ahead,
    mask_from_prompt,
    propose_mask,
    scale_points,
)
from pipeline.models.grabcut.tracking import Subject
from pipeline.stream_state import State


class GrabCut:
    """The model; it keeps no state, each stream has its own."""

    def predict(self, frames: Iterator[PromptedFrame], state: State | None = None) -> Iterator[Prediction]:
        frames = iter(frames)
        if state is not None:
            yield from _track(Subject.from_state(state), frames)
            return
        first = next(frames, None)
        if first is None:
            return
        image, prompt = first
        small = guided_filter.shrink(image, SIDE)
        if prompt and prompt.initialises:
            mask = mask_from_prompt(image, small, prompt)
        else:
            ahead = list(itertools.islice(frames, look_ahead(image)))
            frames = itertools.chain(ahead, frames)
            mask = propose_mask(small, [guided_filter.shrink(frame.image, SIDE) for frame in ahead])
        if prompt and prompt.points:
            mask = correct_mask(small, mask, scale_points(prompt, image, small))
        subject = Subject.from_mask(small, mask)
        yield Prediction(guided_filter.upsample(mask, image), state=subject.state)
        yield from _track(subject, frames)


def _track(subject: Subject, frames: Iterator[PromptedFrame]) -> Iterator[Prediction]:
    """Yield the subject on the frames after the prompted one."""
    for image, prompt in frames:
        small = guided_filter.shrink(image, SIDE)
        mask = subject.track(small)
        if prompt and prompt.points:
            mask = subject.correct(small, scale_points(prompt, image, small))
        yield Prediction(
            guided_filter.upsample(mask, image), 0.0 if subject.lost else 1.0, state=subject.state
        )


CARDS = (
    Card(
        key="grabcut",
        label="GrabCut",
        purpose="Needs no weights: a subject whose colours or movement set it apart, on any processor.",
        points=True,
        box=True,
        automatic=True,
        licence="Apache-2.0",
        licence_url="https://github.com/opencv/opencv/blob/5.x/LICENSE",
        load=lambda device, files: GrabCut(),
    ),
)
