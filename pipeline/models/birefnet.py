"""BiRefNet and RMBG-2.0, which has its architecture: fine mattes of the main subject, or of a marked one.

The network is our own (`pipeline.networks.birefnet`); checkpoints are read as data by their published names.
The model around it is that of `pipeline.models.isnet`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from pipeline import devices
from pipeline.models import loading
from pipeline.models.base import Card
from pipeline.models.isnet import SIDE, TRACKER, Isnet, create_card
from pipeline.weights import checkpoints
from pipeline.weights.spec import HUB, File

_FRAME_BYTES = 4 * 2**30
"""About what one frame takes on the device while the network works on it, at SIDE."""


def _load(tiny: bool, side: int, device: str, files: list[Path]) -> Isnet:
    import torch

    from pipeline.networks import birefnet, swin

    chosen = devices.pick(device)
    with torch.device("meta"):  # without drawing 220 million numbers that are replaced at once
        network = birefnet.Birefnet(swin.TINY if tiny else swin.LARGE).to_empty(device="cpu")
    checkpoints.load_into(network, files[0])
    return Isnet(
        birefnet.CentredInput(network),
        chosen,
        partial(loading.load, TRACKER, device),
        side=side,
        frame_bytes=_FRAME_BYTES * (side // SIDE) ** 2,
        weights=files[0],
    )


def _card(
    key: str,
    label: str,
    purpose: str,
    folder: str,
    revision: str,
    bytes: int,
    sha256: str,
    *,
    tiny: bool = False,
    side: int = SIDE,
    licence: tuple[str, str] = ("MIT", "https://github.com/ZhengPeng7/BiRefNet/blob/main/LICENSE"),
    restriction: str = "",
) -> Card:
    """`folder` and `revision` are those of the published checkpoint on the hub."""
    name = "model.safetensors"
    file = File(f"{folder}/{name}", f"{HUB}/{folder}/resolve/{revision}/{name}", bytes, sha256)
    load = partial(_load, tiny, side)
    return create_card(key, label, purpose, licence, load, file, restriction=restriction)


CARDS = (
    _card(
        "birefnet",
        "BiRefNet",
        "Finds the subject of every frame by itself, finer than IS-Net and slower: for a GPU.",
        "ZhengPeng7/BiRefNet",
        "e2bf8e4460fc8fa32bba5ea4d94b3233d367b0e4",
        444_473_596,
        "9ab37426bf4de0567af6b5d21b16151357149139362e6e8992021b8ce356a154",
    ),
    _card(
        "birefnet-lite",
        "BiRefNet Lite",
        "Finds the subject of every frame by itself; the smallest and fastest of its family.",
        "ZhengPeng7/BiRefNet_lite",
        "aa62cd87eafb9cc43056d08ef3615a14628b831d",
        177_634_392,
        "4417d89795250e698c3cb0ae8df15743810065f646f48a694fdfa7ca052d0815",
        tiny=True,
    ),
    _card(
        "birefnet-matting",
        "BiRefNet Matting",
        "Finds the subject of every frame by itself, with what is see-through in it: hair, veils; for a GPU.",
        "ZhengPeng7/BiRefNet-matting",
        "eccde0a8cbdce7ac5fecfeb06340fe7b949e85d9",
        884_878_856,
        "a9875de5b1e6c8eb5fdaa8c727a82927ce442cdc87ba3abee6a77e6fa46c25bb",
    ),
    _card(
        "birefnet-hr",
        "BiRefNet HR",
        "Finds the subject of every frame by itself at twice the resolution, four times as slow: for a GPU.",
        "ZhengPeng7/BiRefNet_HR",
        "a7a562f6fd16021180f2f4348f4de003a2d3d1e1",
        444_473_596,
        "9d678bafec0b0019fbb073b7fd02f05ede25dc4b15254f23b2fb0be333200c0d",
        side=2 * SIDE,
    ),
    _card(
        "rmbg-2",
        "RMBG-2.0",
        "Finds the subject of every frame by itself, finer than RMBG-1.4 and slower: for a GPU.",
        "briaai/RMBG-2.0",
        "5df4c9c76d8170882c34f6986e848ee07fd0ba43",
        884_878_856,
        "566ed80c3d95f87ada6864d4cbe2290a1c5eb1c7bb0b123e984f60f76b02c3a7",
        licence=("CC BY-NC 4.0", "https://huggingface.co/briaai/RMBG-2.0"),
        restriction="RMBG-2.0's weights may not be used commercially without an agreement with BRIA.",
    ),
)
