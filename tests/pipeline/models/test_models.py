"""Choice of the model, and the weights that it needs first."""

import hashlib
import re
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline import models
from pipeline.errors import InputError, WeightsError
from pipeline.job import Job
from pipeline.keys import matte_key
from pipeline.models import Card, registry
from pipeline.process import process
from pipeline.weights import licences
from pipeline.weights.spec import File, Weights
from tests.pipeline import stand_in
from tests.pipeline.stand_in import Threshold
from tests.waiting import DEADLINE

DATA = np.random.default_rng(2).bytes(4096)
RIGHT = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of weights, empty."""
    monkeypatch.setenv("RECORTE_WEIGHTS", str(tmp_path / "weights"))
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


@pytest.fixture
def heavy(place: Path, stand_ins: None) -> Card:
    """A model with one file of weights and a licence that forbids something; it counts its loads."""
    files = (File("someone/heavy.pth", "https://nowhere.invalid/heavy.pth", len(DATA), RIGHT),)
    card = stand_in.card(
        "heavy", Threshold, weights=Weights(files), restriction="Not to be sold.", points=False, box=False
    )
    models.cards()["heavy"] = card
    return card


def put(place: Path, data: bytes = DATA) -> Path:
    path = place / "someone" / "heavy.pth"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.fixture(autouse=True)
def forget() -> object:
    yield
    models.cards().pop("heavy", None)
    models.unload()


def test_loading_needs_weights_and_an_acknowledged_licence(heavy: Card, place: Path, clip_path: Path) -> None:
    job = Job(clip_path, place / "out.mp4", model="heavy")
    with pytest.raises(WeightsError, match=r"heavy\.pth .*python -m pipeline download heavy"):
        models.check_loadable(heavy)
    put(place)
    with pytest.raises(WeightsError, match=r"Not to be sold\. .*--accept-licence"):
        list(process(job))
    assert not job.output.exists()
    licences.acknowledge("heavy", heavy.licence_url)
    models.check_loadable(heavy)
    assert models.load("heavy", "auto") is models.load("heavy", "auto")


def test_a_stored_matte_needs_no_weights(heavy: Card, place: Path, clip_path: Path) -> None:
    job = Job(clip_path, place / "out.mp4", model="heavy", matte=place / "m.mkv")
    put(place)
    licences.acknowledge("heavy", heavy.licence_url)
    list(process(job))
    put(place).unlink()
    *_, last = process(replace(job, output=place / "again.mp4"))
    assert (last.stage, last.done, last.frames) == ("render", 24, 24)


def test_other_weights_change_the_matte_key(
    heavy: Card, place: Path, clip_path: Path, tmp_path: Path
) -> None:
    job = Job(clip_path, place / "out.mp4", model="heavy")
    own = tmp_path / "mine.pth"
    own.write_bytes(b"trained at home")
    keys = {matte_key(job), matte_key(replace(job, weights=own))}
    own.write_bytes(b"trained for longer")
    keys.add(matte_key(replace(job, weights=own)))
    assert len(keys) == 3
    models.cards()["heavy"] = replace(heavy, per_frame=True)
    assert matte_key(replace(job)) != matte_key(replace(job, deflicker=False))


def test_loading_a_model_does_not_block_other_models(heavy: Card, stand_ins: None) -> None:
    begun, free = threading.Event(), threading.Event()

    def slow() -> Threshold:
        begun.set()
        free.wait(DEADLINE)
        return Threshold()

    models.cards()["heavy"] = stand_in.card("heavy", slow)
    thread = threading.Thread(target=lambda: models.load("heavy", "auto"))
    thread.start()
    try:
        assert begun.wait(DEADLINE) and models.load("threshold", "auto")
    finally:
        free.set()
        thread.join()


def test_files_other_than_the_published_ones_are_not_loaded(heavy: Card, place: Path) -> None:
    licences.acknowledge("heavy", heavy.licence_url)
    put(place, DATA[:-1] + b"x")
    with pytest.raises(WeightsError, match=r"heavy\.pth.*SHA-256"):
        models.load("heavy", "auto")
    put(place)
    assert models.load("heavy", "auto")


def test_custom_weights_are_not_verified(heavy: Card, place: Path, tmp_path: Path) -> None:
    licences.acknowledge("heavy", heavy.licence_url)
    own = tmp_path / "mine.pth"
    own.write_bytes(b"trained at home")
    assert models.load("heavy", "auto", own)
    with pytest.raises(WeightsError, match="no such file"):
        models.load("heavy", "auto", tmp_path / "nothing")


def test_the_default_model_depends_on_weights_and_licence(
    heavy: Card, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "AUTOMATIC", "heavy")
    key, why = models.choose_default()
    assert key == "recorte" and "weights of Heavy are not here" in why
    put(place)
    key, why = models.choose_default()
    assert key == "recorte" and "licence of Heavy" in why
    licences.acknowledge("heavy", heavy.licence_url)
    key, why = models.choose_default()
    assert key == "heavy" and "weights are here" in why
    key, why = models.choose_default(marked=True)
    assert key == "recorte" and "takes marks" in why


def test_another_known_form_of_the_published_file_is_loaded(heavy: Card, place: Path) -> None:
    licences.acknowledge("heavy", heavy.licence_url)
    assert heavy.weights is not None
    (file,) = heavy.weights.files
    other = b"the same weights in half precision"
    file = replace(file, others=(hashlib.sha256(other).hexdigest(),))
    models.cards()["heavy"] = changed = replace(heavy, weights=Weights((file,)))
    names = set()
    for content in (other, DATA):
        put(place, content)
        assert models.load("heavy", "auto")
        names |= set(models.identify_weights(changed))
    assert len(names) == 2
    put(place, other + b"x")
    with pytest.raises(WeightsError, match=r"heavy\.pth.*SHA-256"):
        models.load("heavy", "auto")


KNOWN_IN_PART = {"classes"}
"""Models of whose files torchvision publishes the first digits of the SHA-256 alone, in their names."""


def test_every_card_is_complete() -> None:
    for key, card in models.cards().items():
        assert key == card.key and card.licence_url.startswith("https://")
        assert card.automatic or card.points or card.box
        for file in card.weights.files if card.weights else ():
            # What has no address comes with the application; all are known to the last byte.
            assert file.url.startswith("https://") or not file.url
            digits = 8 if key in KNOWN_IN_PART else 64
            assert file.bytes > 0 and re.fullmatch(rf"[0-9a-f]{{{digits}}}", file.sha256)
            assert file.sha256 in file.name or key not in KNOWN_IN_PART
            assert not file.on_hub or re.search(r"/resolve/[0-9a-f]{40}/", file.url), "it moves"
            assert not Path(file.name).is_absolute() and ".." not in Path(file.name).parts


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(InputError, match=r"no model called 'magic'.*grabcut"):
        models.load("magic", "auto")
