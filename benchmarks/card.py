"""The figures of the card of Recorte's weights: python -m benchmarks.card DATA MASKED... [--weights FILE]

Prints, as Markdown: the held-out pictures of DATA, a data folder of `python -m training` (overlap by
kind and by what is marked, the error at the edges of keyed takes); the clicks that its photographs take; and
for each folder MASKED of clips with true masks (see `benchmarks.masked`) the overlap from a box, after
clicks by rule and without a mark, with the flicker.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.clicks_photos import evaluate_photos
from benchmarks.masked import Scores, evaluate_folder, group_means
from pipeline.networks.recorte import Recorte
from pipeline.weights import checkpoints
from training.evaluation import evaluate
from training.photos import Photos

_MODEL = "recorte"
_SHIPPED = Path(__file__).parents[1] / "assets/models/recorte.safetensors"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("masked", type=Path, nargs="*")
    parser.add_argument("--weights", type=Path, default=_SHIPPED, help="without, those that ship")
    parser.add_argument("--clicks", type=int, default=3)
    parser.add_argument("--every", type=int, default=1, help="ask for clicks on one photograph in so many")
    options = parser.parse_args()
    _print_held_out(options.data, options.weights)
    _print_table(
        "photographs", evaluate_photos(options.data, _MODEL, "cpu", options.weights, every=options.every)
    )
    for folder in options.masked:
        clicks: int | None
        for title, clicks in ((f"{folder.name}, marked", options.clicks), (f"{folder.name}, no mark", None)):
            rows = [
                (group, scores)
                for _, group, scores in evaluate_folder(folder, _MODEL, "cpu", options.weights, clicks)
            ]
            if not rows:
                parser.error(f"there are no clips with masks in {folder}")
            _print_table(title, group_means(rows))


def _print_held_out(data: Path, weights: Path) -> None:
    network = Recorte()
    checkpoints.load_into(network, weights)
    network.eval()
    scores = evaluate(network, Photos(data, held_out=True), torch.device("cpu"))
    _print_table("held out", {name: {"score": value} for name, value in scores.items()})


def _print_table(title: str, rows: dict[str, Scores]) -> None:
    """Print one row for each name, under the headings of the first."""
    headings: Sequence[str] = [*next(iter(rows.values()))]
    print(f"\n| {title} | {' | '.join(headings)} |")
    print("|---" * (1 + len(headings)) + "|")
    for name, scores in rows.items():
        print(f"| {name} | {' | '.join(f'{score:.3f}' for score in scores.values())} |", flush=True)


if __name__ == "__main__":
    main()
