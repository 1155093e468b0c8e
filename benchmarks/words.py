"""From words to the first mask: python -m benchmarks.words VIDEO [--rounds 3] [--networks grounding-dino]

The search on the first frame by a network of the published size with random weights, then the mask of a
model around a box (Recorte by default): seconds of each, the median of the rounds after a warm-up, and the
processor time of both, which other work on the machine changes less. The networks are in memory already. What
the random network finds means nothing, and so a box around the middle goes on.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline import devices, preview
from pipeline.arrays import Floats, Image
from pipeline.imaging.detection import Detector
from pipeline.job import Job
from pipeline.networks import grounding_dino, sam3
from pipeline.prompts import Prompt
from pipeline.propagation import words
from pipeline.video.reading.probe import probe_clip

PHRASES = ("a dog", "the red car")


def create_grounding_dino(folder: Path) -> Detector:
    """Return the network with random weights and a vocabulary of the phrases' letters."""
    vocabulary = folder / "vocab.txt"
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "."]
    vocabulary.write_text("\n".join([*special, *" ".join(PHRASES).split()]) + "\n", encoding="utf-8")
    from transformers import GroundingDinoForObjectDetection

    module = GroundingDinoForObjectDetection(grounding_dino.configure())
    return grounding_dino.GroundingDino(module, vocabulary, devices.pick("cpu"))


def create_sam3(folder: Path) -> Detector:
    """Return the detector with random weights and a vocabulary of letters."""
    from transformers import Sam3Model

    letters = sorted(set("".join(PHRASES)) - {" "})
    parts = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    vocabulary, merges = folder / "vocab.json", folder / "merges.txt"
    vocabulary.write_text(json.dumps({part: n for n, part in enumerate(parts)}), encoding="utf-8")
    merges.write_text("#version: 0.2\n", encoding="utf-8")
    module = Sam3Model(sam3.configure().detector_config)  # type: ignore[arg-type]
    return sam3.Sam3Detector(module, vocabulary, merges, devices.pick("cpu"))


NETWORKS: dict[str, Callable[[Path], Detector]] = {
    "grounding-dino": create_grounding_dino,
    "sam3": create_sam3,
}


def find_middle(detect: Detector) -> Detector:
    """Return a detector that asks another one, and finds a box around the middle."""

    def found(image: Image, phrases: Sequence[str]) -> tuple[Floats, Floats]:
        detect(image, phrases)
        height, width = image.shape[:2]
        box = np.array([[width / 4, height / 4, 3 * width / 4, 3 * height / 4]], np.float32)
        return box, np.array([[1.0] + [0.0] * (len(phrases) - 1)], np.float32)

    return found


def measure(video: Path, model: str, detect: Detector) -> tuple[float, float, float]:
    """Return the seconds to the box on the first frame, from there to its mask, and of processor time."""
    clip = probe_clip(video)
    started, processor = time.perf_counter(), time.process_time()
    with closing(words.search(clip, (0, 2**62), PHRASES, find_middle(detect))) as steps:
        (hit,) = next(steps).hits
    found = time.perf_counter()
    prompt: Prompt = replace(hit.prompt, object=1)
    job = Job(video, Path("unused.mp4"), model, (prompt,), device="cpu")
    (_mask,) = preview.predict_frames(job, [0.0])
    return found - started, time.perf_counter() - found, time.process_time() - processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="recorte")
    parser.add_argument("--networks", choices=NETWORKS, nargs="+", default=["grounding-dino"])
    options = parser.parse_args()
    print(f"{options.video.name}, {len(PHRASES)} phrases, random weights: seconds")
    print("  network          words to box   box to mask    in all   processor")
    for key in options.networks:
        with tempfile.TemporaryDirectory() as folder:
            detect = NETWORKS[key](Path(folder))
            rounds = [measure(options.video, options.model, detect) for _ in range(options.rounds + 1)][1:]
        box, mask, processor = (statistics.median(values) for values in zip(*rounds, strict=True))
        print(f"  {key:15} {box:13.2f} {mask:13.2f} {box + mask:9.2f} {processor:11.2f}", flush=True)


if __name__ == "__main__":
    main()
