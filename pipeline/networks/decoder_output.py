"""Output of a mask decoder, without torch."""

from __future__ import annotations

from typing import NamedTuple

from pipeline.arrays import Floats


class DecoderOutput(NamedTuple):
    """The output of the network's mask decoder."""

    logits: Floats
    """`[N, h, w]`, one for each meaning of the marks, above zero inside the object; on the network's own
    small square, on which the frame lies at the top left."""
    scores: Floats
    """`[N]`: the overlap with the true mask that the network expects of each."""
