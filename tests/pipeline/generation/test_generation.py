"""Pictures made of words: the picture's file, its steps, and what is refused."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.compositing.background import Picture, Words, format_spec, parse
from pipeline.errors import BackgroundError, InputError, RunError, WeightsError
from pipeline.generation import backgrounds, cards, drawing, loading
from pipeline.generation.cards import FLUX2_KLEIN
from pipeline.generation.cards import Generator as Card
from pipeline.generators import complete, retell
from pipeline.jobs import preflight
from tests.pipeline.generation import tiny

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

LOFT = Words("a sunlit loft, soft morning light", seed=7)


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Card]:
    yield tiny.install(tmp_path / "weights", monkeypatch)
    loading.unload()


def run(steps: Generator[drawing.Step, None, Any]) -> tuple[list[drawing.Step], Any]:
    """Run a generator; return the values that it yields, and its own."""
    done: list[drawing.Step] = []
    return done, complete(retell(steps, done.append))


# ---------------------------------------------------------------- the text form


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("words:a sunlit loft?seed=7", Words("a sunlit loft", 7)),
        ("words: a loft ", Words("a loft")),
        ("words:./a.jpg", Words("./a.jpg")),
        ("words:a loft?seed=7,model=tiny,fit", Words("a loft", 7, "tiny", "fit")),
        ("words:who? me?", Words("who? me?")),
        ("words:who? me?seed=3", Words("who? me", 3)),
        ("words:a loft?seed=x", Words("a loft?seed=x")),
        ("words:two\nlines", Words("two\nlines")),
    ],
)
def test_words_are_read_and_written(spec: str, words: Words) -> None:
    assert parse(spec) == words
    assert parse(format_spec(words)) == words


@pytest.mark.parametrize("spec", ["words:", "words: ?seed=7", f"words:{'a' * 1001}"])
def test_no_words_and_too_many_are_refused(spec: str) -> None:
    with pytest.raises(BackgroundError):
        parse(spec)


def test_a_file_whose_name_begins_like_words_stays_a_file(tmp_path: Path) -> None:
    path = tmp_path / "words:loft.png"
    assert parse(format_spec(Picture(path), tmp_path), tmp_path) == Picture(path)


# ---------------------------------------------------------------- pictures


@pytest.mark.parametrize("size", [(1920, 1080), (1080, 1920), (640, 480), (7, 5), (4000, 100)])
def test_a_picture_has_the_shape_of_the_frames(size: tuple[int, int]) -> None:
    width, height = backgrounds.picture_size(FLUX2_KLEIN, *size)
    assert width % 16 == height % 16 == 0
    assert 0.9 * 2**20 < width * height < 1.1 * 2**20
    assert width / height == pytest.approx(min(4, max(0.25, size[0] / size[1])), rel=0.03)


def test_a_picture_is_made_once_and_kept(card: Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps, path = run(backgrounds.make_picture(LOFT, (320, 180), tmp_path / "made", "cpu"))
    assert steps == [drawing.Step(n, 3) for n in range(4)]
    with Image.open(path) as picture:
        assert picture.size == backgrounds.picture_size(card, 320, 180)
        drawn = np.asarray(picture.convert("RGB"))
    assert drawn.std() > 5
    monkeypatch.setattr(backgrounds, "draw", None)  # not called again
    assert run(backgrounds.make_picture(LOFT, (320, 180), tmp_path / "made", "cpu")) == ([], path)
    others = [Words("a garden", 7), Words(LOFT.text, 8)]
    names = {backgrounds.picture_name(words, 320, 180) for words in (LOFT, *others)}
    assert len({*names, backgrounds.picture_name(LOFT, 180, 320)}) == 4


def test_the_same_seed_gives_the_same_picture_and_another_another(card: Card) -> None:
    one, same, other, said = (
        run(drawing.draw(card, text, seed, (64, 48), "cpu"))[1]
        for text, seed in (("a loft", 1), ("a loft", 1), ("a loft", 2), ("two lofts", 1))
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other) and not np.array_equal(one, said)


def test_words_never_leave_the_machine(card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("something is sent")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    run(drawing.draw(card, "a loft", 1, (64, 48), "cpu"))


def test_closing_ends_the_work_and_leaves_nothing(card: Card, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    steps = backgrounds.make_picture(LOFT, (320, 180), folder, "cpu")
    assert [next(steps), next(steps)] == [drawing.Step(0, 3), drawing.Step(1, 3)]
    steps.close()
    assert not folder.exists()
    assert not [thread for thread in threading.enumerate() if thread.name == "draw"]


def test_the_oldest_pictures_are_deleted(card: Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backgrounds, "_MOST", 2)
    paths = [run(backgrounds.make_picture(Words("a", n), (64, 64), tmp_path, "cpu"))[1] for n in range(3)]
    run(backgrounds.make_picture(Words("a", 0), (64, 64), tmp_path, "cpu"))  # used again
    backgrounds.delete_oldest(tmp_path)
    assert [path.exists() for path in paths] == [True, False, True]


# ---------------------------------------------------------------- what is refused


def test_only_declared_files_are_read(card: Card, tmp_path: Path) -> None:
    root = tmp_path / "weights" / "example" / "tiny"
    for name in ("transformer/diffusion_pytorch_model.bin", "vae/diffusion_pytorch_model.bin", "pipeline.py"):
        (root / name).write_bytes(b"raise SystemExit")
    assert run(drawing.draw(card, "a loft", 1, (64, 48), "cpu"))[1].shape == (48, 64, 3)


def test_missing_weights_and_packages_are_said(
    card: Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    next((tmp_path / "weights").rglob("model.safetensors")).unlink()
    with pytest.raises(WeightsError, match=r"Tiny needs its weights, .*download tiny"):
        backgrounds.check(LOFT, (320, 180))
    monkeypatch.setattr(cards, "_EXTRA", ("diffusers", "no_such_package"))
    with pytest.raises(BackgroundError, match=r"requirements-generate\.txt"):
        backgrounds.check(LOFT, (320, 180))
    with pytest.raises(InputError, match="tiny, flux2-klein"):
        backgrounds.check(Words("a loft", model="unknown"), (320, 180))


@pytest.mark.parametrize("name", ["model_index.json", "vae/config.json", "transformer/config.json"])
def test_damaged_weights_are_said(card: Card, tmp_path: Path, name: str) -> None:
    (tmp_path / "weights" / "example" / "tiny" / name).write_text("{")
    with pytest.raises(WeightsError):
        run(drawing.draw(card, "a loft", 1, (64, 48), "cpu"))


def test_a_pipeline_of_another_kind_is_said(card: Card, tmp_path: Path) -> None:
    path = tmp_path / "weights" / "example" / "tiny" / "vae" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(WeightsError):
        run(drawing.draw(card, "a loft", 1, (64, 48), "cpu"))


def test_too_little_memory_is_said(card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "_free_memory", lambda: 1000)
    with pytest.raises(InputError, match="Tiny needs about"):
        run(drawing.draw(card, "a loft", 1, (64, 48), "cpu"))


def test_a_full_graphics_card_is_said(card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    def fill(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(type(loading.load(card, "cpu")), "__call__", fill)
    with pytest.raises(RunError, match="graphics card"):
        run(drawing.draw(card, "a loft", 1, (64, 48), "cpu"))
