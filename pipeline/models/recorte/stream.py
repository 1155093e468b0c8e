"""A subject tracked through the frames of one stream.

The network sees a window around the subject. On each next frame it is given the mask before, warped by dense
flow, and compares the window with a memory of the frames on which the subject was marked or detected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pipeline.arrays import Floats, Image, Matte, as_floats
from pipeline.imaging import mask_files, optical_flow, strokes
from pipeline.models import window
from pipeline.models.base import LOW_CONFIDENCE, Prediction, PromptedFrame
from pipeline.models.parts import Candidates
from pipeline.models.recorte.encoded_window import GRID_PIXELS, Encode, EncodedWindow, frame_size
from pipeline.models.recorte.masks import (
    LOST,
    certainty,
    clear_veil,
    clip_to_box,
    drop_foreign_parts,
    enforce_points,
    hold_points,
    include_marks,
    matte_on_grid,
    paint_strokes,
    similarity,
)
from pipeline.models.window import Window
from pipeline.prompts import Point, Prompt
from pipeline.stream_state import State

if TYPE_CHECKING:
    import torch

    from pipeline.networks.recorte import Memory

_ROOM = 0.35
"""The margin of a window around a subject, as a share of its sides."""

_CLOSER = 0.7
"""A window this much smaller than the frame is encoded by itself."""

_REMEMBERED = 4
"""Frames in the memory at most: the first, and the last ones that were corrected."""

_OTHER = 0.75
"""The most similarity to the memory of a thing that a click removes, as a share of that of what stays: a part
of the subject itself is left to the network."""

_ALIKE = 0.5
"""The least similarity of a lost subject to the memory, as a share of its usual one."""


class Stream:
    """The state of one stream: a subject and its memory, from frame to frame."""

    def __init__(self, encode: Encode, candidates: Candidates) -> None:
        self._encode = encode
        self._candidates = candidates
        self._before: tuple[Image, Matte, Window] | None = None
        self._memories: list[Memory] = []
        """Empty: no subject has been found yet."""
        self._usual = 1.0
        """Moving average of the subject's similarity to the memory, 0 to 1."""

    @property
    def window(self) -> Window | None:
        """The window in which the latest frame was segmented."""
        return None if self._before is None else self._before[2]

    def state(self) -> State:
        """Return the state as plain data."""
        before = None
        if self._before is not None:
            image, matte, place = self._before
            before = {"image": image, "matte": matte, "window": list(place)}
        return {
            "before": before,
            "memories": [list(memory) for memory in self._memories],
            "usual": self._usual,
        }

    def restore(self, state: State, device: torch.device) -> None:
        """Restore what `state` returned."""
        from pipeline.networks.recorte import Memory

        before = state["before"]
        if before is not None:
            self._before = before["image"], before["matte"], Window(*before["window"])
        self._memories = [Memory(*(part.to(device) for part in memory)) for memory in state["memories"]]
        self._usual = state["usual"]

    def step(self, frame: PromptedFrame) -> Prediction:
        prediction = self._step(frame)
        if not frame.prompt or self._before is None:
            return prediction
        image, matte, place = self._before
        # The next frame's mask is tracked from what was painted.
        self._before = image, strokes.paint(matte, frame.prompt.strokes), place
        # Neither tracked nor remembered: the network refuses that disc, and would on every other frame.
        return prediction._replace(matte=hold_points(prediction.matte, place, frame.prompt.points))

    def _step(self, frame: PromptedFrame) -> Prediction:
        image, prompt = frame
        if prompt and prompt.candidate is not None:
            return self._begin(image, self._candidates.choose(image, prompt), prompt)
        if prompt and any(point.whole for point in prompt.points):
            return self._apply_things(image, prompt)
        return self._apply_marks(image, prompt or Prompt())

    def _apply(self, image: Image, prompt: Prompt | None) -> Prediction:
        """Track or find the subject, and correct it by the marks."""
        marks = prompt or Prompt()
        familiar = 1.0
        if prompt and prompt.initialises and (prompt.box is not None or not self._memories):
            view, mask = self._initialise(image, prompt)
        elif self._memories:
            view, mask, familiar = self._track(image, marks)
        else:
            view, mask = self._detect(image, marks)
        confidence = familiar * certainty(mask)
        if marks.points:
            mask = enforce_points(mask, view.window, marks.points)
        elif not prompt and (confidence < LOST if self._memories else not confidence):
            mask = np.zeros_like(mask)
        if prompt or confidence >= LOW_CONFIDENCE:
            self._update_memory(view, mask, prompt)
        matte = view.window.to_frame(clear_veil(mask), image)
        self._before = image, matte, view.window
        return Prediction(matte, confidence)

    def _begin(self, image: Image, matte: Matte, prompt: Prompt, points: Sequence[Point] = ()) -> Prediction:
        """Start anew with this mask of the frame, corrected by `points`."""
        extent = window.extent(matte)
        size = frame_size(image)
        place = window.whole(size, GRID_PIXELS)
        if extent is not None:
            place = window.around(include_marks(extent, prompt), _ROOM, size, GRID_PIXELS)
        view = self._encode(image, place)
        mask = matte_on_grid(matte, place)
        if points:
            mask = enforce_points(view.mask(points, None, mask), place, points)
            matte = place.to_frame(clear_veil(mask), image)
        self._memories = []
        self._update_memory(view, mask, prompt)
        self._before = image, matte, place
        return Prediction(matte, certainty(mask))

    def _apply_marks(self, image: Image, prompt: Prompt) -> Prediction:
        """Apply marks among which no whole point removes anything: whole points begin with their things."""
        whole = [point for point in prompt.points if point.whole]
        if not prompt:
            return self._apply(image, None)
        given = mask_files.of_prompt(prompt, *frame_size(image))
        if given is not None:
            return self._begin(image, given, prompt, prompt.points)
        if not whole or self._memories or prompt.box is not None:
            return self._apply(image, prompt)
        things = [self._candidates.choose(image, Prompt(points=(point,))) for point in whole]
        corrected = len(whole) < len(prompt.points)
        return self._begin(image, np.maximum.reduce(things), prompt, prompt.points if corrected else ())

    def _apply_things(self, image: Image, prompt: Prompt) -> Prediction:
        """Predict by the other marks, and remove the things that whole points to remove lie on.

        A point on nothing that can be told from the rest is given to the network, as one that is not whole.
        """
        saved = self._before, self._memories, self._usual
        things = [p for p in prompt.points if p.whole and not p.keep]
        others = tuple(p for p in prompt.points if p not in things)
        marks = replace(prompt, points=others)
        prediction = self._apply_marks(image, marks)
        matte, plain = self._remove(image, prediction.matte, marks, things, saved[1])
        if plain:
            self._before, self._memories, self._usual = saved
            marks = replace(prompt, points=(*others, *(replace(p, whole=False) for p in plain)))
            prediction = self._apply_marks(image, marks)
            things = [p for p in things if p not in plain]
            matte, _ = self._remove(image, prediction.matte, marks, things, saved[1])
        if not things or self._before is None:
            return prediction
        place = self._before[2]
        _, self._memories, self._usual = saved  # without that of the mask with the things
        view = self._encode(image, place)
        self._update_memory(view, matte_on_grid(matte, place), prompt)
        self._before = image, matte, place
        return prediction._replace(matte=matte)

    def _remove(
        self,
        image: Image,
        matte: Matte,
        marks: Prompt,
        points: Sequence[Point],
        memories: Sequence[Memory],
    ) -> tuple[Matte, list[Point]]:
        """Return the matte without the things at these points, and the points on none."""
        plain = []
        for point in points:
            rest = self._candidates.remove(image, matte, marks, point)
            if rest is None or not self._is_other(image, matte, rest, memories):
                plain.append(point)
            else:
                matte = rest
        return matte, plain

    def _is_other(self, image: Image, matte: Matte, rest: Matte, memories: Sequence[Memory]) -> bool:
        """Return True if what a matte has beside the rest is clearly less similar to the memories.

        There may be none.
        """
        if not memories or self._before is None:
            return True
        place = self._before[2]
        thing = np.where(rest > 127, 0, matte).astype(np.uint8)
        comparison = self._encode(image, place).compare(memories)
        of_thing, of_rest = (similarity(matte_on_grid(m, place), comparison) for m in (thing, rest))
        return of_thing <= _OTHER * of_rest

    def _update_memory(self, view: EncodedWindow, mask: Floats, prompt: Prompt | None) -> None:
        """Add a frame that initialises or corrects the subject to the memory."""
        if prompt:
            mask = paint_strokes(mask, view.window, prompt.strokes)
        if not (mask > 0.5).any():
            return
        if not self._memories or (prompt and prompt.box is not None):
            self._memories = [view.memorise(mask)]
            self._usual = max(1e-3, similarity(mask, view.compare(self._memories)))
        elif prompt and (prompt.points or prompt.strokes):
            self._memories = [
                self._memories[0],
                *self._memories[1:][2 - _REMEMBERED :],
                view.memorise(mask),
            ]

    # On the first frame

    def _initialise(self, image: Image, prompt: Prompt) -> tuple[EncodedWindow, Floats]:
        """Segment the object marked on the first frame."""
        if prompt.box is None:
            return self._detect(image, prompt)
        view = self._encode(
            image,
            window.around(include_marks(prompt.box, prompt), _ROOM, frame_size(image), GRID_PIXELS),
        )
        mask = view.mask(prompt.points, prompt.box, strokes=prompt.strokes)
        mask = view.mask(prompt.points, prompt.box, mask, strokes=prompt.strokes)
        return view, clip_to_box(mask, view.window.box(prompt.box))

    def _detect(self, image: Image, marks: Prompt) -> tuple[EncodedWindow, Floats]:
        """Segment by marks, or the most prominent object; in a closer window where it is small."""
        view = self._encode(image, window.whole(frame_size(image), GRID_PIXELS))
        mask = view.mask(marks.points, strokes=marks.strokes)
        matte = view.window.to_frame(mask, image)
        extent = window.extent(matte)
        if extent is not None:
            place = window.around(include_marks(extent, marks), _ROOM, frame_size(image), GRID_PIXELS)
            if place.area < _CLOSER * view.window.area:
                view = self._encode(image, place)
            so_far = matte_on_grid(matte, view.window)
            mask = view.mask(marks.points, None, so_far, strokes=marks.strokes)
        return view, mask

    # On the others

    def _track(self, image: Image, marks: Prompt) -> tuple[EncodedWindow, Floats, float]:
        """Warp the mask before and segment anew; also returns how similar it is to the memory, 0 to 1."""
        if self._before is None:
            raise RuntimeError("There is nothing to carry before the first frame.")
        picture, matte, old = self._before
        extent = window.extent(matte)
        if extent is None:
            return self._redetect(image, marks)
        place = window.follow(old, include_marks(extent, marks), _ROOM, frame_size(image), GRID_PIXELS)
        view = self._encode(image, place)
        flow = optical_flow.flow(optical_flow.grey(view.small), optical_flow.grey(place.crop(picture)))
        before = as_floats(optical_flow.warp(matte_on_grid(matte, place), flow))
        comparison = view.compare(self._memories)
        mask = view.mask(marks.points, None, before, comparison, marks.strokes)
        if marks:
            return view, mask, 1.0
        mask = drop_foreign_parts(mask, before, comparison)
        current = similarity(mask, comparison)
        familiar = min(1.0, current / self._usual)
        if familiar > _ALIKE:
            self._usual += 0.1 * (current - self._usual)
        return view, mask, familiar

    def _redetect(self, image: Image, marks: Prompt) -> tuple[EncodedWindow, Floats, float]:
        """Search the whole frame for a lost subject; the mask is empty if nothing is similar enough."""
        view = self._encode(image, window.whole(frame_size(image), GRID_PIXELS))
        comparison = view.compare(self._memories)
        mask = view.mask(marks.points, None, None, comparison, marks.strokes)
        if marks:
            return view, mask, 1.0
        familiar = min(1.0, similarity(mask, comparison) / self._usual)
        return view, mask if familiar > _ALIKE else np.zeros_like(mask), familiar
