"""Prompts from words: boxes of what phrases name, on the first frame of every scene.

They are ordinary prompts of ordinary objects, to be changed or deleted as the user's own; a job holds them
and not the words. GroundingDINO finds them, or the detector of SAM 3 where its weights are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from pipeline import devices
from pipeline.clip import Clip
from pipeline.imaging.detection import MOST_OBJECTS, THRESHOLD, Detector, Hit, check_threshold, find_boxes
from pipeline.imaging.scene_cuts import SceneCutDetector
from pipeline.models import helpers, loading, registry, word_networks
from pipeline.prompts import Prompt
from pipeline.video.reading.frames import read_frames
from pipeline.video.reading.index_cache import load_index
from pipeline.weights import locate, verify

_AGAIN_SECONDS = 1.0
"""Time after which a scene is searched again where nothing was found; it doubles each time."""


class Search(NamedTuple):
    """Progress of a search."""

    done: int
    total: int
    """Frames."""
    hits: tuple[Hit, ...]
    """Those found so far, by time."""


def load_detector(device: str, network: str = word_networks.GROUNDING_DINO) -> Detector:
    """Return a network on a device; the last one is kept.

    Raises WeightsError where its weights are missing or damaged, or its licence is not acknowledged;
    InputError for an unknown key, and for a device that is not there.
    """
    label = word_networks.find_label(network)
    if network == word_networks.SAM3:
        card = registry.card(network)
        loading.check_licence(card)
        weights = card.weights
        assert weights is not None
    else:
        weights = helpers.GROUNDING_DINO.weights
    paths = locate.find_files(weights, label, network)
    verify.verify_files(weights, paths)
    return _load(network, tuple(paths), device, paths[0].stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _load(network: str, paths: tuple[Path, ...], device: str, _changed: int) -> Detector:
    if network == word_networks.SAM3:
        from pipeline.networks import sam3

        weights, vocabulary, merges = paths
        return sam3.Sam3Detector(sam3.load_detector(weights), vocabulary, merges, devices.pick(device))
    from pipeline.networks import grounding_dino

    weights, vocabulary = paths
    module = grounding_dino.load(weights, grounding_dino.configure())
    return grounding_dino.GroundingDino(module, vocabulary, devices.pick(device))


def search(
    clip: Clip,
    span: tuple[int, int],
    phrases: Sequence[str],
    detect: Detector,
    threshold: float = THRESHOLD,
    again: Iterable[float] = (),
    scenes: bool = True,
) -> Generator[Search, None, None]:
    """Search each scene from pts `span[0]` to before `span[1]`; yields once for each frame.

    A scene on whose first frame nothing is found is searched again on later ones. A new search begins at each
    of the times `again`, in seconds, such as those where a subject was lost; without `scenes` only there,
    each until its scene ends. Objects are numbered by phrase and by score within it, so that the best hit of
    a phrase is one object in all scenes.
    """
    check_threshold(threshold)
    total = len(load_index(clip.path).between(*span))
    find_scene, scene, wait, at = SceneCutDetector(), -1, 0.0, 0.0
    begins = deque(sorted(again))
    numbers: dict[tuple[int, int], int] = {}
    hits: list[Hit] = []
    for done, frame in enumerate(read_frames(clip.path, *span), 1):
        number, time = find_scene(frame), float(frame.pts * clip.time_base)
        due = bool(begins) and time >= begins[0]
        while begins and time >= begins[0]:
            begins.popleft()
        if due or number != scene:
            wait, at = _AGAIN_SECONDS, time if due or scenes else float("inf")
        scene = number
        if time >= at:
            boxes = find_boxes(frame.image, phrases, detect, threshold)
            for k, (box, phrase, score) in enumerate(boxes):
                rank = sum(other == phrase for _, other, _ in boxes[:k])
                if (phrase, rank) not in numbers and len(numbers) == MOST_OBJECTS:
                    continue
                thing = numbers.setdefault((phrase, rank), len(numbers) + 1)
                hits.append(Hit(Prompt(time, box=box, object=thing), phrases[phrase], score))
            at, wait = (float("inf") if boxes else time + wait), 2 * wait
        yield Search(done, total, tuple(hits))
