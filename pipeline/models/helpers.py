"""Networks that help models: stages behind them and finders of marks, with licence and weights of their own.

A helper is downloaded as a model is, by its key, and is never chosen as one.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import InputError
from pipeline.models.registry import card, cards
from pipeline.weights import locate, verify
from pipeline.weights.spec import HUB, File, Weights


@dataclass(frozen=True)
class Helper:
    """Declaration of a helper."""

    key: str
    label: str
    licence: str
    licence_url: str
    weights: Weights
    version: int = 1
    """Raised when the same input would give another result, so that kept mattes are not reused."""

    @property
    def present(self) -> bool:
        """True if its weights are on this machine."""
        return locate.are_present(self.weights)

    def identify(self) -> list[str | int]:
        """Return what names its results: key, version, and the weights that have no known SHA-256."""
        paths = locate.find_files(self.weights, self.label, self.key)
        unpinned = [
            verify.identify(path)
            for file, path in zip(self.weights.files, paths, strict=True)
            if not file.sha256
        ]
        return [self.key, self.version, *unpinned]


_APACHE = "https://www.apache.org/licenses/LICENSE-2.0"

VITMATTE = Helper(
    key="vitmatte",
    label="ViTMatte",
    licence="Apache-2.0",
    licence_url=_APACHE,
    # Neither its revision nor its SHA-256 is known here: mattes are filed under its content instead.
    weights=Weights(
        (
            File(
                "hustvl/vitmatte-small-composition-1k/model.safetensors",
                f"{HUB}/hustvl/vitmatte-small-composition-1k/resolve/main/model.safetensors",
                103_000_000,
            ),
        )
    ),
)

HELPERS = {helper.key: helper for helper in (VITMATTE,)}


def find_weights(key: str) -> tuple[str, Weights | None]:
    """Return the label and weights of a model or helper. Raises InputError for an unknown key."""
    if key in HELPERS:
        return HELPERS[key].label, HELPERS[key].weights
    if key not in cards():
        raise InputError("choices.no_such_model", key=key, keys=", ".join([*cards(), *HELPERS]))
    return card(key).label, card(key).weights
