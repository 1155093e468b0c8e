"""`python -m tests.ui.stand_in_app`: the server, with stand-ins among its models.

So have the nodes of a Ray cluster that RECORTE_RAY names.

SEGMENT_SECONDS in its environment is as for `tests.pipeline.stand_in`; RMBG_PUBLISHED, "BYTES SHA256", says
what RMBG's file of weights is, for a hub that is played. A tiny network for words in the folder of weights is
the default one, and never gets done with the words `tiny.HELD`; tiny ones that enlarge take the places of the
published ones.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

import app
from pipeline import models
from pipeline.cluster.driver import RayDriver
from pipeline.generation import backgrounds
from pipeline.propagation import spool
from pipeline.weights.spec import Weights
from tests.pipeline import stand_in
from tests.pipeline.cluster.stand_in_nodes import StandInNode
from tests.pipeline.generation import tiny


def publish() -> None:
    card = models.card("rmbg")
    bytes, _, sha256 = os.environ.get("RMBG_PUBLISHED", "").partition(" ")
    if bytes and card.weights is not None:
        (file,) = card.weights.files
        made = replace(file, bytes=int(bytes), sha256=sha256)
        models.cards()[card.key] = replace(card, weights=Weights((made,)))
    backgrounds.draw = tiny.hold(backgrounds.draw)
    weights = Path(os.environ.get("RECORTE_WEIGHTS", ""))
    tiny.register(weights)
    if (weights / "caidas").is_dir():  # the module imports torch
        from tests.pipeline.enlarging import tiny as enlarging

        enlarging.register(weights)


if __name__ == "__main__":
    publish()
    with stand_in.registered():
        status = app.main()
    sys.exit(status)
elif __name__ == "__mp_main__":  # a process that the server has started, which has the same models
    from pipeline.generation import filling  # with FFmpeg's libraries, which the server does without

    publish()
    filling.draw = tiny.hold(filling.draw)
    stand_in.register()
    RayDriver.node_class = StandInNode
    spool.CHUNK_SECONDS = float(os.environ.get("SEGMENT_SECONDS", spool.CHUNK_SECONDS))
