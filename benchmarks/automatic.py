"""Automatic models side by side: python -m benchmarks.automatic FOLDER [--models isnet recorte]

For each clip of a folder with true masks (laid out as for `benchmarks.masked`) and each model without marks:
J, the mean over all frames of intersection over union, and the flicker (`benchmarks.flicker`, in excess of
the truth's), of the mattes as the model predicts them. For a model that predicts each frame by itself J and
flicker of the deflickered mattes as well, which are those of a default job: the network runs once for both.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.flicker import flicker
from benchmarks.masked import GROUPS, Scores, group_means, ious, predict, read_clips, soften
from pipeline import models
from pipeline.arrays import Mask, Matte
from pipeline.job import Job
from pipeline.models import Prediction, PromptedFrame
from pipeline.propagation.stream import run_model
from pipeline.stream_state import State
from pipeline.video.reading.frames import read_frames


class Replay:
    """Model whose predictions are the mattes of an earlier run, in order."""

    def __init__(self, mattes: Sequence[Matte]) -> None:
        self._mattes = iter(mattes)

    def predict(self, frames: Iterator[PromptedFrame], state: State | None = None) -> Iterator[Prediction]:
        for _ in frames:
            yield Prediction(next(self._mattes))


def evaluate(job: Job, truth: Sequence[Mask]) -> Scores:
    """Return the scores of one clip without marks, by column heading."""
    images = [frame.image for frame in read_frames(job.source)]
    soft = [soften(mask) for mask in truth]

    def score(mattes: Sequence[Matte]) -> tuple[float, float]:
        return float(np.mean(ious(mattes, truth))), flicker(images, mattes, soft)

    mattes = predict(replace(job, deflicker=False))
    scores: Scores = dict(zip(("J", "flicker"), score(mattes), strict=True))
    if models.card(job.model).deflickers:
        steady = run_model(Replay(mattes), read_frames(job.source), {}, deflickered=True)
        names = ("deflickered J", "deflickered flicker")
        scores |= zip(names, score([prediction.matte for _, prediction in steady]), strict=True)
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", nargs="+", default=["isnet", "recorte"])
    parser.add_argument("--isnet", type=Path, help="the weights of `isnet`; without, those that are here")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, help="where the figures are written as well")
    options = parser.parse_args()
    clips = [*read_clips(options.folder)]
    if not clips:
        parser.error(f"there are no clips with masks in {options.folder}")
    written = {}
    for model in options.models:
        rows: dict[str, Scores] = {}
        for name, path, truth in clips:
            weights = options.isnet if model == "isnet" else None
            rows[name] = evaluate(Job(path, path, model, device=options.device, weights=weights), truth)
            if len(rows) == 1:
                print(f"\n| {model} | {' | '.join(rows[name])} |\n{'|---' * (1 + len(rows[name]))}|")
            _print_row(name, rows[name])
        means = group_means([(GROUPS[path.parent.name], rows[name]) for name, path, _ in clips])
        for group, scores in means.items():
            _print_row(f"mean, {group}", scores)
        written[model] = {"clips": rows, "means": means}
    if options.json is not None:
        options.json.write_text(json.dumps(written, indent=1))


def _print_row(name: str, scores: Scores) -> None:
    print(f"| {name} | {' | '.join(f'{score:.3f}' for score in scores.values())} |", flush=True)


if __name__ == "__main__":
    main()
