"""Search by words in the videos of sessions, while somebody waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from pipeline.arrays import Floats, Image
from pipeline.imaging.detection import Hit, split_phrases
from pipeline.keys import pts_range
from pipeline.models import word_networks
from pipeline.propagation import words
from ui.sessions.rendering.protocol import RenderRequest
from ui.sessions.rendering.turns import ModelTurns


class WordFinder:
    """Finds things by words: a newer search of a session ends the one before it. Thread-safe."""

    def __init__(self, turns: ModelTurns) -> None:
        self._turns = turns
        self._newest: dict[str, object] = {}
        """The newest search of each session."""

    def find(
        self, request: RenderRequest, text: str, network: str, again: Sequence[float]
    ) -> list[Hit] | None:
        """Return what the phrases of `text` name in each scene; None once there is a newer search.

        With `again`, times in seconds, only from each of them on. `network` is one of
        `word_networks.NETWORKS`. Raises InputError for a text without phrases,
        WeightsError for weights that are missing or damaged.
        """
        phrases, ticket = split_phrases(text), object()
        job, clip = request.job, request.clip
        self._newest[request.id] = ticket
        try:
            detect = words.load_detector(job.device, network)  # slow: not in a turn

            def in_turn(image: Image, phrases: Sequence[str]) -> tuple[Floats, Floats]:
                with self._turns.request():
                    return detect(image, phrases)

            hits: tuple[Hit, ...] = ()
            span, threshold = pts_range(job, clip), word_networks.THRESHOLDS[network]
            search = words.search(clip, span, phrases, in_turn, threshold, again, scenes=not again)
            with closing(search) as steps:
                for step in steps:
                    if self._newest.get(request.id) is not ticket:
                        return None
                    hits = step.hits
            return list(hits)
        finally:
            if self._newest.get(request.id) is ticket:
                self._newest.pop(request.id, None)
