"""A tiny network with random weights, of the classes of FLUX.2 [klein], as a folder of weights."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipeline.generation import cards
from pipeline.generation.cards import Generator
from pipeline.models import helpers
from pipeline.models.helpers import Helper
from pipeline.weights.spec import HUB, File, Weights

KEY = "tiny"
HELD = "words that are held"
REPOSITORY = "example/tiny"
_TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def save(folder: Path) -> None:
    """Save a pipeline into a folder, as diffusers lays it out."""
    import torch
    from diffusers import (
        AutoencoderKLFlux2,
        FlowMatchEulerDiscreteScheduler,
        Flux2KleinPipeline,
        Flux2Transformer2DModel,
    )
    from transformers import Qwen2TokenizerFast, Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    letters = [chr(code) for code in (*range(33, 127), 288)]  # 288 is the space of byte-level vocabularies
    vocabulary = {"<|endoftext|>": 0, **{letter: number + 1 for number, letter in enumerate(letters)}}
    tokenizer = Qwen2TokenizerFast(
        vocab=vocabulary, merges=[], pad_token="<|endoftext|>", eos_token="<|endoftext|>"
    )
    tokenizer.chat_template = _TEMPLATE
    encoder = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(vocabulary),
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            head_dim=8,
            max_position_embeddings=512,
        )
    )
    transformer = Flux2Transformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        timestep_guidance_channels=32,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=False,
    )
    vae = AutoencoderKLFlux2(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(4, 4),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=1,
        sample_size=32,
    )
    pipeline = Flux2KleinPipeline(
        FlowMatchEulerDiscreteScheduler(), vae, encoder, tokenizer, transformer, is_distilled=True
    )
    pipeline.to(torch.bfloat16).save_pretrained(folder, safe_serialization=True)


def card_of(weights: Path) -> Generator:
    """Return the card of the pipeline that is saved in a folder of weights."""
    folder = weights / REPOSITORY
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    files = (
        File(
            f"{REPOSITORY}/{name}", f"{HUB}/{REPOSITORY}/resolve/main/{name}", (folder / name).stat().st_size
        )
        for name in names
    )
    helper = Helper(KEY, "Tiny", "Apache-2.0", "https://example.org/licence", Weights(tuple(files)))
    return Generator(
        helper,
        "Flux2KleinPipeline",
        steps=3,
        guidance=1.0,
        inpaint="Flux2KleinInpaintPipeline",
        pixels=64 * 64,
        options=(("text_encoder_out_layers", (1,)), ("max_sequence_length", 32)),
    )


def hold(draw: Callable[..., Any]) -> Callable[..., Any]:
    """Return a drawing that, with words that begin as `HELD`, stays at its first step until cancelled."""

    def drawn(card: Generator, text: str, *rest: Any) -> Iterator[Any]:
        if not text.startswith(HELD):
            return (yield from draw(card, text, *rest))
        with closing(draw(card, text, *rest)) as steps:
            for step in steps:
                while True:
                    yield step
                    time.sleep(0.05)

    return drawn


def register(weights: Path) -> None:
    """Make the pipeline in a folder of weights the default network of this process, if there is one."""
    if (weights / REPOSITORY).is_dir():
        card = card_of(weights)
        cards.GENERATORS = {KEY: card, **cards.GENERATORS}
        helpers.HELPERS[KEY] = card.helper


def install(weights: Path, monkeypatch: pytest.MonkeyPatch) -> Generator:
    """Save a pipeline into a folder of weights, and make it the default network; returns its card."""
    save(weights / REPOSITORY)
    monkeypatch.setenv("RECORTE_WEIGHTS", str(weights))
    card = card_of(weights)
    monkeypatch.setattr(cards, "GENERATORS", {KEY: card, **cards.GENERATORS})
    monkeypatch.setitem(helpers.HELPERS, KEY, card.helper)
    return card
