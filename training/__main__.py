"""Train Recorte's own network: python -m training DATA FOLDER [--start WEIGHTS] [--steps N]

DATA holds photos/KIND_NAME.jpg, and for each masks/KIND_NAME.png (hard) or alphas/KIND_NAME.png (soft).
FOLDER holds the state, which the same command resumes from, and the best weights so far as
recorte.safetensors, with their scores on the held-out data in recorte.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import save_file
from torch import nn

from pipeline import devices
from pipeline.errors import RecorteError
from pipeline.weights import checkpoints
from training import evaluation, pretrained
from training.photos import Photos
from training.trainer import Recipe, Training


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--start", type=Path, help="weights of this network, to learn on from; else the encoder's"
    )
    parser.add_argument("--steps", type=int, default=3000, help="of the whole schedule")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=300, help="steps between two measurements")
    parser.add_argument("--save", type=int, default=50, help="steps after which the state is kept")
    parser.add_argument("--workers", type=int, default=2, help="processes that make what is learnt from")
    try:
        _train(parser.parse_args(argv))
    except RecorteError as error:
        sys.exit(str(error))


def _train(options: argparse.Namespace) -> None:
    photos, held_out = (Photos(options.data, held_out=out) for out in (False, True))
    recipe = Recipe(options.steps, options.seed, options.workers)
    weights = pretrained.load_encoder() if options.start is None else checkpoints.read(options.start)
    training = Training(recipe, photos, devices.pick(options.device), weights)
    options.folder.mkdir(parents=True, exist_ok=True)
    state = options.folder / "state.pt"
    if state.exists():
        training.load(state)
        print(f"Going on from step {training.step}.", flush=True)
    started, mean = time.monotonic(), 0.0
    for cost, rate in training.run():
        since = training.step % options.every or options.every
        mean += (cost - mean) * max(0.02, 1 / since)  # over about the last fifty steps since an evaluation
        if training.step % 25 == 0:
            print(f"step {training.step} cost {mean:.3f} {rate:.1f} frames a second", flush=True)
        measured = since == options.every or training.step == recipe.steps
        if measured:
            _evaluate(training, held_out, options.folder, time.monotonic() - started)
        if measured or training.step % options.save == 0:
            training.save(state)


def _evaluate(training: Training, held_out: Photos, folder: Path, seconds: float) -> None:
    """Print the scores of the averaged weights, and save these if they are the best so far."""
    scores = evaluation.evaluate(training.average, held_out, training.device)
    overall = evaluation.overall_score(scores)
    report = {
        "step": training.step,
        "episodes": training.episodes,
        "seconds": round(seconds),
        "overall": overall,
        **scores,
    }
    print(json.dumps(report), flush=True)
    if overall > training.best:
        training.best = overall
        _save_weights(training.average, folder / "recorte.safetensors")
        (folder / "recorte.json").write_text(json.dumps(report, indent=1) + "\n")


def _save_weights(network: nn.Module, path: Path) -> None:
    """Write the weights atomically, in half precision."""
    weights = {
        name: (value.half() if value.is_floating_point() else value).contiguous().cpu()
        for name, value in network.state_dict().items()
    }
    part = path.with_suffix(".part")
    save_file(weights, part)
    part.replace(path)


if __name__ == "__main__":
    main()
