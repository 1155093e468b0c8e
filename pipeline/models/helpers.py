"""Networks that help models: stages behind them and finders of marks, with licence and weights of their own.

A helper is downloaded as a model is, by its key, and is never chosen as one.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import InputError
from pipeline.models.registry import card, cards
from pipeline.weights import locate
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
        """Return what names its results: its key and version; its weights are pinned."""
        return [self.key, self.version]


_APACHE = "https://www.apache.org/licenses/LICENSE-2.0"

VITMATTE = Helper(
    key="vitmatte",
    label="ViTMatte",
    licence="Apache-2.0",
    licence_url=_APACHE,
    weights=Weights(
        (
            File(
                "hustvl/vitmatte-small-composition-1k/model.safetensors",
                f"{HUB}/hustvl/vitmatte-small-composition-1k/resolve/"
                "6a58ad7646403c1df626fbd746900aec7361ea1d/model.safetensors",
                103_294_572,
                "bda9289db1bb6762d978b42d1c62ae3f34daf7497171a347a1d09657efd788cb",
            ),
        )
    ),
)

_GROUNDING_DINO_FILES = (
    f"{HUB}/IDEA-Research/grounding-dino-tiny/resolve/a2bb814dd30d776dcf7e30523b00659f4f141c71"
)

GROUNDING_DINO = Helper(
    key="grounding-dino",
    label="GroundingDINO",
    licence="Apache-2.0",
    licence_url=_APACHE,
    weights=Weights(
        (
            File(
                "IDEA-Research/grounding-dino-tiny/model.safetensors",
                f"{_GROUNDING_DINO_FILES}/model.safetensors",
                689_359_096,
                "1a2412ef99bd74bcd3c2a246fa1e48581f8889a1300c9051974741314fc042f3",
            ),
            File(
                "IDEA-Research/grounding-dino-tiny/vocab.txt",
                f"{_GROUNDING_DINO_FILES}/vocab.txt",
                231_508,
                "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
            ),
        )
    ),
)

HELPERS = {helper.key: helper for helper in (VITMATTE, GROUNDING_DINO)}


def find_weights(key: str) -> tuple[str, Weights | None]:
    """Return the label and weights of a model or helper. Raises InputError for an unknown key."""
    if key in HELPERS:
        return HELPERS[key].label, HELPERS[key].weights
    if key not in cards():
        raise InputError("choices.no_such_model", key=key, keys=", ".join([*cards(), *HELPERS]))
    return card(key).label, card(key).weights
