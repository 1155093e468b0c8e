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

_FLUX2_KLEIN = "black-forest-labs/FLUX.2-klein-4B"
_FLUX2_KLEIN_FILES = (
    ("model_index.json", 446, "51a76cb1cf3ed37423a1128c79c22faee8e6fbe7f5aaeb737f0a258930dbaac0"),
    (
        "scheduler/scheduler_config.json",
        486,
        "067afb012cef64553a763447d1efd93daeffcc0123ca7e25b09f8de20b90762e",
    ),
    (
        "text_encoder/config.json",
        1_536,
        "214b4c29a0d975e9fddf9994a5673f22cb2c4c5750352f9227c2c3251ebeab40",
    ),
    (
        "text_encoder/generation_config.json",
        214,
        "4347b1aeed2b2b78bc059920a0b7f5fec71482e1344952b76d7665d638d71f13",
    ),
    (
        "text_encoder/model-00001-of-00002.safetensors",
        4_967_215_360,
        "8c0506e7f4936fa7e26183a4fd8da4e2bdbc5990ba64ae441f965d51228f36ea",
    ),
    (
        "text_encoder/model-00002-of-00002.safetensors",
        3_077_766_632,
        "82f2bd839378541b0557bfabaf37c7d3d637071fdcb73302dedd7cf61162ce07",
    ),
    (
        "text_encoder/model.safetensors.index.json",
        32_855,
        "06b3d5319b6d76d1a4a2433419180016cfd54ed62d086a5e6567a809f8c82634",
    ),
    (
        "tokenizer/added_tokens.json",
        707,
        "c0284b582e14987fbd3d5a2cb2bd139084371ed9acbae488829a1c900833c680",
    ),
    (
        "tokenizer/chat_template.jinja",
        4_168,
        "a55ee1b1660128b7098723e0abcd92caa0788061051c62d51cbe87d9cf1974d8",
    ),
    ("tokenizer/merges.txt", 1_671_853, "8831e4f1a044471340f7c0a83d7bd71306a5b867e95fd870f74d0c5308a904d5"),
    (
        "tokenizer/special_tokens_map.json",
        613,
        "76862e765266b85aa9459767e33cbaf13970f327a0e88d1c65846c2ddd3a1ecd",
    ),
    (
        "tokenizer/tokenizer_config.json",
        5_404,
        "443bfa629eb16387a12edbf92a76f6a6f10b2af3b53d87ba1550adfcf45f7fa0",
    ),
    ("tokenizer/vocab.json", 2_776_833, "ca10d7e9fb3ed18575dd1e277a2579c16d108e32f27439684afa0e10b1440910"),
    ("transformer/config.json", 541, "09733c74a3da6d17dd0a0472a091a8950c7c6935889c32c16cc800ede05029de"),
    (
        "transformer/diffusion_pytorch_model.safetensors",
        7_751_109_744,
        "9f29f9edcfdae452a653ffb51a534ca4decd389952c225724ff3b94042612a6e",
    ),
    ("vae/config.json", 821, "0d6dfb69ae95a5e2ac9836284bbb63d8b38ce67b25ba2dff380752b2a10ab948"),
    (
        "vae/diffusion_pytorch_model.safetensors",
        168_120_878,
        "ca70d2202afe6415bdbcb8793ba8cd99fd159cfe6192381504d6c4d3036e0f04",
    ),
)
"""Name, bytes and SHA-256 of each file of the pipeline, as the hub has them in this revision."""

FLUX2_KLEIN = Helper(
    key="flux2-klein",
    label="FLUX.2 [klein] 4B",
    licence="Apache-2.0",
    licence_url=_APACHE,
    weights=Weights(
        tuple(
            File(
                f"{_FLUX2_KLEIN}/{name}",
                f"{HUB}/{_FLUX2_KLEIN}/resolve/e7b7dc27f91deacad38e78976d1f2b499d76a294/{name}",
                size,
                digest,
            )
            for name, size, digest in _FLUX2_KLEIN_FILES
        )
    ),
)


def _swin2sr(scale: int, revision: str, size: int, digest: str) -> Helper:
    name = f"caidas/swin2SR-classical-sr-x{scale}-64"
    file = File(
        f"{name}/model.safetensors", f"{HUB}/{name}/resolve/{revision}/model.safetensors", size, digest
    )
    return Helper(f"swin2sr-x{scale}", f"Swin2SR ×{scale}", "Apache-2.0", _APACHE, Weights((file,)))


SWIN2SR = {
    2: _swin2sr(
        2,
        "cee1c923c6a37361c6e5650b65dcf4be821e5d52",
        48_460_660,
        "a515955815ab6dba3a9331d8c75db13a5166a5ffbcebf1a95ab676a5656ac4fb",
    ),
    4: _swin2sr(
        4,
        "c69ef3e2d2ac5777ff4a9f2f5afcd86d20604b7e",
        49_051_724,
        "e4e0680f28b663d62a64a3e1884336d0bac5b215da7903c618f41f58f4cc0ff4",
    ),
}
"""Networks that enlarge pictures, by how many times."""

HELPERS = {helper.key: helper for helper in (VITMATTE, GROUNDING_DINO, FLUX2_KLEIN, *SWIN2SR.values())}


def find_weights(key: str) -> tuple[str, Weights | None]:
    """Return the label and weights of a model or helper. Raises InputError for an unknown key."""
    if key in HELPERS:
        return HELPERS[key].label, HELPERS[key].weights
    if key not in cards():
        raise InputError("choices.no_such_model", key=key, keys=", ".join([*cards(), *HELPERS]))
    return card(key).label, card(key).weights
