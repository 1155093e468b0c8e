"""Reading checkpoints as data, without running code from them; those that do not fit are refused."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import WeightsError
from pipeline.languages.messages import Field, Message

if TYPE_CHECKING:
    from torch import Tensor, nn

_SHOWN = 3
"""Names of each kind that an error lists at most."""


def read(path: Path, within: str | None = None) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint by their names, on the CPU.

    `within` is the name of the one entry that a pickle may have, which then holds the tensors.

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
            raise WeightsError("weights.suffix", file=path.name)
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError("weights.not_plain", file=path.name, folder=str(path.parent)) from error
    except OSError as error:
        raise WeightsError(
            "weights.unreadable", file=path.name, reason=error.strerror or str(error)
        ) from error
    # A damaged archive or pickle fails wherever its reader happens to stumble.
    except (SafetensorError, RuntimeError, EOFError, ValueError, LookupError, TypeError) as error:
        raise WeightsError("weights.no_checkpoint", file=path.name, folder=str(path.parent)) from error
    if within is not None and isinstance(tensors, Mapping) and tensors.keys() == {within}:
        tensors = tensors[within]
    if not isinstance(tensors, Mapping) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in tensors.items()
    ):
        raise WeightsError("weights.not_tensors", file=path.name)
    return dict(tensors)


def load_into(module: nn.Module, path: Path) -> None:
    """Load a checkpoint into `module`, whose names and shapes it must have exactly.

    Raises WeightsError as `read` and `load_tensors`; the module is then as it was.
    """
    load_tensors(module, read(path), path.name)


def load_tensors(module: nn.Module, given: Mapping[str, Tensor], file: str) -> None:
    """Load tensors into `module`, whose names and shapes they must have exactly.

    Raises WeightsError, which names `file`, where a name is missing, is not the module's, or has another
    shape or a number format that is not kept in this one; the module is then as it was.
    """
    own = module.state_dict()
    lacking = [name for name in own if name not in given]
    excess = [name for name in given if name not in own]
    both = [name for name in own if name in given]
    shaped = [
        f"{name} ({_shape(given[name])} for {_shape(own[name])})"
        for name in both
        if given[name].shape != own[name].shape
    ]
    kinds = [
        f"{name} ({given[name].dtype} for {own[name].dtype})"
        for name in both
        if given[name].is_floating_point() != own[name].is_floating_point()
    ]
    faults = [
        *([Message("weights.lacks", {"names": _list_names(lacking)})] if lacking else []),
        *([Message("weights.has_excess", {"names": _list_names(excess)})] if excess else []),
        *([Message("weights.other_shape", {"names": _list_names(shaped)})] if shaped else []),
        *([Message("weights.other_number", {"names": _list_names(kinds)})] if kinds else []),
    ]
    if faults:
        told = reduce(lambda one, more: Message("weights.and", {"one": one, "more": more}), faults)
        raise WeightsError("weights.not_this_model", file=file, told=told)
    module.load_state_dict(given, strict=True)


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "one number"


def _list_names(names: list[str]) -> Field:
    shown, rest = ", ".join(names[:_SHOWN]), len(names) - _SHOWN
    return Message("weights.names_and_more", {"names": shown, "rest": rest}) if rest > 0 else shown
