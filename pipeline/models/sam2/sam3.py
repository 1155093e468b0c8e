"""SAM 3's tracker: SAM 2's memory behind a larger encoder, which it shares with a detector of words.

Carion et al., "SAM 3: Segment Anything with Concepts" (2025), with its authors' own weights.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.models.base import Card, Model
from pipeline.models.sam2.model import Sam2
from pipeline.weights.spec import HUB, File, Weights

_LABEL = "SAM 3"


def _load(device: str, files: list[Path]) -> Model:
    from pipeline.networks import sam3

    return Sam2(sam3.load_tracker(files[0], device), _LABEL)


def _file(name: str, bytes: int, sha256: str) -> File:
    revision = "3c879f39826c281e95690f02c7821c4de09afae7"
    return File(f"facebook/sam3/{name}", f"{HUB}/facebook/sam3/resolve/{revision}/{name}", bytes, sha256)


# The files are given only to accounts that Meta has let in. The size and hash of the first are those that
# others who have it name: rsyncOSX/RawCull (ModelAssets/Notices/SAM3/PROVENANCE.json, at this revision) and
# storytold/lightcraft (crates/segment/src/fetch/mod.rs). The other two are CLIP's, as in
# Xenova/clip-vit-base-patch32; the hub's listing has files of these sizes.
CARDS = (
    Card(
        key="sam3",
        label=_LABEL,
        purpose="Follows what you click on through the whole clip; the largest and slowest of the trackers, "
        "for a large GPU.",
        points=True,
        box=True,
        automatic=False,
        # Of 19 November 2025. Section 1 allows use, changes and passing on, free of charge and for work too,
        # on the same terms and with a copy of them; 1.b.v names what is forbidden.
        licence="SAM License",
        licence_url="https://github.com/facebookresearch/sam3/blob/main/LICENSE",
        load=_load,
        weights=Weights(
            (
                _file(
                    "model.safetensors",
                    3_439_938_512,
                    "6d06f0a5f84e435071fe6603e61d0b4cc7b40e0d39d487cfd4d67d8cc11cc14a",
                ),
                # For words alone.
                _file(
                    "vocab.json",
                    862_328,
                    "5047b556ce86ccaf6aa22b3ffccfc52d391ea4accdab9c2f2407da5b742d4363",
                ),
                _file(
                    "merges.txt",
                    524_619,
                    "9fd691f7c8039210e0fced15865466c65820d09b63988b0174bfe25de299051a",
                ),
            )
        ),
        restriction="SAM 3's weights may not be used for military ends, weapons, espionage or nuclear "
        "industries, nor against trade controls.",
        candidates=True,
        slow_encoder=True,
        has_memory=True,
        preview_frames=8,
    ),
)
