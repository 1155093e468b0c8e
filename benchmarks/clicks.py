"""Latency of clicks: python -m benchmarks.clicks [--model sam-vit-b] [--weights PATH]

Seconds on a 1080p frame: loading, the first click on a frame (which has to be embedded), further clicks there
(medians), the candidates of a single click, and each frame that the mask is propagated to. Without
`--weights` on random ones of the published architecture, which take the same time.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

from pipeline import models
from pipeline.models import Model, OffersCandidates, PromptedFrame
from pipeline.prompts import Point, Prompt
from tests.rendered import subject_over_background

Value = TypeVar("Value")


def write_random_weights(key: str, folder: Path) -> list[Path]:
    """Write random weights in the files that the model's loader takes; returns their paths."""
    torch.manual_seed(0)
    if key.startswith("sam-"):
        from segment_anything import sam_model_registry

        path = folder / "random.pth"
        torch.save(sam_model_registry[key.removeprefix("sam-").replace("-", "_")]().state_dict(), path)
        return [path]
    if key != "sam2-tiny":
        raise SystemExit(f"There are no untrained weights of {key} to be made: name some with --weights.")
    from transformers import Sam2VideoConfig, Sam2VideoModel

    Sam2VideoModel(Sam2VideoConfig()).save_pretrained(folder)  # the library's defaults are the smallest's
    return [folder / "model.safetensors", folder / "config.json"]


def measure(action: Callable[[], Value]) -> tuple[float, Value]:
    started = time.perf_counter()
    value = action()
    return time.perf_counter() - started, value


def click(model: Model, image: object, *points: Point) -> Callable[[], object]:
    return lambda: next(model.predict(iter([PromptedFrame(image, Prompt(points=points))])))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="sam-vit-b")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--frames", type=int, default=4)
    options = parser.parse_args()
    frames, _ = subject_over_background(options.frames, 1920, 1080)
    with tempfile.TemporaryDirectory() as name:
        if options.weights is None:
            files = write_random_weights(options.model, Path(name))
            seconds, model = measure(lambda: models.card(options.model).load(options.device, files))
        else:
            seconds, model = measure(lambda: models.load(options.model, options.device, options.weights))
    print(f"{options.model}, 1920x1080\n  load               {seconds:7.2f} s")
    centre = Point(960, 620)
    print(f"  first click        {measure(click(model, frames[0], centre))[0]:7.2f} s")
    later_clicks = [measure(click(model, frames[0], centre, Point(900 + 20 * n, 500)))[0] for n in range(7)]
    print(f"  further clicks     {statistics.median(later_clicks):7.2f} s")
    if isinstance(model, OffersCandidates):
        seconds, _ = measure(lambda: model.candidates(PromptedFrame(frames[0], Prompt(points=(centre,)))))
        print(f"  readings           {seconds:7.2f} s")
    stream = model.predict(
        PromptedFrame(f, None if n else Prompt(points=(centre,))) for n, f in enumerate(frames)
    )
    next(stream)
    propagated = [measure(lambda: next(stream))[0] for _ in frames[1:]]
    print(f"  each carried frame {statistics.median(propagated):7.2f} s")


if __name__ == "__main__":
    main()
