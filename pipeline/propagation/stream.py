"""One stream: a model run over frames in order, with scene cuts, deflickering, fine edges, strokes, review.

Brush strokes hold on their own frame to the pixel, whatever the model made of them. They are painted into its
matte here and nowhere else: after deflickering, which would carry them to other frames, and before the matte
is stored or shown. So does a mask that was given for a frame, unless points correct it, or fine edges are
found anew.

A scene cut ends the propagation of what was prompted before it: the frames behind it are empty until a prompt
initialises the object again. A model without memory is run anew on each scene.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from pipeline import models
from pipeline.errors import RunError
from pipeline.imaging import mask_files, scene_cuts, strokes
from pipeline.imaging.fine_edges import Matting
from pipeline.imaging.scene_cuts import SceneCutDetector
from pipeline.job import Job
from pipeline.models import ChoosesClasses, Model, Prediction, PromptedDeviceFrame, PromptedFrame
from pipeline.prompts import Prompt
from pipeline.propagation import borrowed, deflicker, fine_edges
from pipeline.propagation.borrowed import BorrowedMattes
from pipeline.propagation.plan import PromptsByFrame
from pipeline.propagation.predictions import FramePrediction
from pipeline.propagation.raw import RawMattes
from pipeline.propagation.review import Review
from pipeline.stream_state import State
from pipeline.video.reading.frames import Frame
from pipeline.video.reading.probe import load_clip

Stream = Callable[[Iterator[Frame], PromptsByFrame, State | None], Iterator[FramePrediction]]
"""Runs a model over frames that begin with the initial one; given the state behind one of its predictions,
over the frames that follow that one."""


FrameMattes = BorrowedMattes | RawMattes
"""Mattes that are known, by the pts of their frames."""


def create_stream(job: Job, *, thinned: bool = False, raw: Sequence[Path] = ()) -> Stream:
    """Load the job's model and return a stream of it.

    Raises WeightsError and InputError as `models.load`, and InputError for a mask that does not fit.

    In a thinned clip neighbouring frames are far apart, so that cuts, flicker and jumps cannot be told
    from movement: scene cuts, deflickering and review are off. `raw` are the folders of resume data of the
    job's pieces, whose predictions stand for the model's, see `propagation.raw`.
    """
    card = models.card(job.model)
    _check_masks(job)
    model: Model | FrameMattes
    if card.given:
        model = borrowed.find_mattes(job)
    else:
        model = models.load(job.model, job.device, job.weights)
        if card.classes and isinstance(model, ChoosesClasses):
            model = model.choose(job.classes)
        if raw:
            model = RawMattes.of(model, load_clip(job.source, job.source_rate), raw)
    return partial(
        run_model,
        model,
        has_memory=card.has_memory or thinned,
        deflickered=card.deflickers and job.deflicker and not thinned,
        reviewed=not thinned,
        matting=fine_edges.find_matting(job),
        steadied=not thinned,
    )


def _check_masks(job: Job) -> None:
    """Raise InputError for a mask of the job's prompts that cannot be used."""
    masks = [prompt.mask for prompt in job.active_prompts if prompt.mask is not None]
    if masks:
        clip = load_clip(job.source, job.source_rate)
        for mask in masks:
            mask_files.read(mask, clip.height, clip.width)


def run_model(
    model: Model | FrameMattes,
    frames: Iterator[Frame],
    marks: PromptsByFrame,
    state: State | None = None,
    *,
    has_memory: bool = False,
    deflickered: bool = False,
    reviewed: bool = False,
    matting: Matting | None = None,
    steadied: bool = True,
) -> Iterator[FramePrediction]:
    """Yield each frame with the model's prediction; raises RunError if these are not one for one.

    With `state`, taken behind an earlier frame of the same stream, `frames` are those that follow it. A model
    that `has_memory` runs through scene cuts. `deflickered` smooths the mattes over time. `reviewed` lowers
    the confidence of implausible mattes, see `pipeline.propagation.review`. `matting`
    finds the alpha along their edges anew; `steadied`: not by each frame alone.
    """
    frames = iter(frames)
    if state is None:
        first = next(frames, None)
        if first is None:
            return
        frames = itertools.chain([first], frames)
        state = {"scene": 0, "told": first.pts in marks and marks[first.pts].initialises, "small": None}
    resuming = "found" in state
    prompted = state["told"]
    # States written before reviews existed have none.
    review = Review.from_state(state["review"]) if state.get("review") else Review()
    scenes = itertools.groupby(frames, SceneCutDetector(state["scene"], state["small"]))
    for number, scene in [(0, frames)] if has_memory else scenes:
        # In the scene of the state, the model continues from its own state, if it was run there at all.
        model_state = state["found"] if resuming and number == state["scene"] else None
        if number and prompted and model_state is None:
            for frame in scene:
                if frame.pts in marks and marks[frame.pts].initialises:
                    scene = itertools.chain([frame], scene)
                    break
                empty = Prediction(np.zeros(frame.image.shape[:2], np.uint8), 0, prompted=False)
                behind = partial(_stream_state, frame, number, prompted, review, None)
                yield frame, _hold_marks(empty, marks.get(frame.pts))._replace(state=behind)
            else:
                continue
        # The states of the stages are nested, the last stage's outermost.
        before_edges = model_state if matting is None else model_state and model_state["found"]
        if deflickered:
            inner = before_edges and before_edges["found"]
            predictions = deflicker.deflicker(_predict(model, scene, marks, inner), before_edges)
        else:
            predictions = _predict(model, scene, marks, before_edges)
        if matting is not None:
            predictions = fine_edges.refine(predictions, matting, model_state, steadied=steadied)
        if model_state is None:
            review.begin_scene()
        for frame, prediction in predictions:
            result = _hold_marks(prediction, marks.get(frame.pts), masks=matting is None)
            if reviewed:
                result = review(frame.image, result, frame.pts in marks)
            behind_it = result.state and partial(_stream_state, frame, number, prompted, review, result.state)
            yield frame, result._replace(state=behind_it)


def _hold_marks(prediction: Prediction, prompt: Prompt | None, *, masks: bool = False) -> Prediction:
    """Return the prediction with its frame's strokes, and with `masks` its frame's mask, in the matte."""
    if prompt is None:
        return prediction
    matte = prediction.matte
    if masks and prompt.mask is not None and not prompt.points:
        matte = mask_files.read(prompt.mask, *matte.shape)
    return prediction._replace(matte=strokes.paint(matte, prompt.strokes))


def _stream_state(
    frame: Frame, scene: int, prompted: bool, review: Review, model_state: Callable[[], State] | None
) -> State:
    """Return the state of a stream behind a frame; `model_state` is None where the model was not run.

    The keys are stored on disk.
    """
    return {
        "scene": scene,
        "told": prompted,
        "small": scene_cuts.shrink(frame),
        "review": review.state(),
        "found": model_state and model_state(),
    }


def _predict(
    model: Model | FrameMattes, frames: Iterator[Frame], marks: PromptsByFrame, state: State | None
) -> Iterator[FramePrediction]:
    """Run the model over frames and check that its mattes fit them one for one."""
    if isinstance(model, FrameMattes):
        yield from model.predict(frames)
        return
    waiting: deque[Frame] = deque()

    def prompted_frames() -> Iterator[PromptedFrame]:
        for frame in frames:
            waiting.append(frame)
            prompt, tensor = marks.get(frame.pts), frame.tensor
            if tensor is None:
                yield PromptedFrame(frame.image, prompt)
            else:
                yield PromptedDeviceFrame.of(frame.image, prompt, tensor)

    # A model that yields no state is never given one, and need not have the parameter.
    given = prompted_frames()
    for prediction in model.predict(given) if state is None else model.predict(given, state):
        matte = prediction.matte
        if not waiting or matte.dtype != np.uint8 or matte.shape != waiting[0].image.shape[:2]:
            raise RunError("devices.foreign_matte")
        yield waiting.popleft(), prediction
    if waiting or next(frames, None) is not None:
        raise RunError("devices.too_few_mattes")
