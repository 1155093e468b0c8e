"""Reading checkpoints as data, without running code from them; those that do not fit are refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor, nn

_SHOWN = 3
"""Names of each kind that an error lists at most."""


def read(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint by their names, on the CPU.

    `.safetensors` holds nothing else; `.pth`, `.pt` and `.bin` are pickles, of which torch reads tensors and
    plain containers alone (`weights_only`). Raises WeightsError for a file that is missing, damaged, of
    another kind, or with anything else in it.
    """
    import pickle

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if path.suffix not in (".pth", ".pt", ".bin"):
            raise WeightsError(
                f"{path.name}: weights are read from .safetensors, .pth, .pt and .bin files only."
            )
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path.name} in {path.parent} holds more than plain tensors, or is damaged, and was not loaded. "
            "Delete it, and download it again."
        ) from error
    except OSError as error:
        raise WeightsError(f"{path.name} cannot be read: {error.strerror or error}.") from error
    # A damaged archive or pickle fails wherever its reader happens to stumble.
    except (SafetensorError, RuntimeError, EOFError, ValueError, LookupError, TypeError) as error:
        raise WeightsError(
            f"{path.name} in {path.parent} is damaged or no checkpoint. Delete it, and download it again."
        ) from error
    if not isinstance(tensors, Mapping) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in tensors.items()
    ):
        raise WeightsError(f"{path.name} holds something other than tensors by name, and was not loaded.")
    return dict(tensors)


def load_into(module: nn.Module, path: Path) -> None:
    """Load a checkpoint into `module`, whose names and shapes it must have exactly.

    Raises WeightsError as `read`, and where a name is missing, is not the module's, or has another shape or
    a number format that is not kept in this one; the module is then as it was.
    """
    given, own = read(path), module.state_dict()
    faults = {
        "lacks": [name for name in own if name not in given],
        "has in excess": [name for name in given if name not in own],
        "has in another shape": [
            f"{name} ({_shape(given[name])} for {_shape(own[name])})"
            for name in own
            if name in given and given[name].shape != own[name].shape
        ],
        "has as another kind of number": [
            f"{name} ({given[name].dtype} for {own[name].dtype})"
            for name in own
            if name in given and given[name].is_floating_point() != own[name].is_floating_point()
        ],
    }
    faults_text = "; it ".join(f"{fault} {_list_names(names)}" for fault, names in faults.items() if names)
    if faults_text:
        raise WeightsError(f"{path.name} is not this model's: it {faults_text}.")
    module.load_state_dict(given, strict=True)


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "one number"


def _list_names(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
