"""The data folder: what is learnt from is not what is measured by, and what is amiss is said."""

import shutil
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.errors import InputError
from tests.training import made
from training import photos
from training.photos import Photos


def every(loaded: Photos) -> set[str]:
    return {name for names in loaded.names.values() for name in names}


def test_training_and_held_out_photographs_are_disjoint(data: Path) -> None:
    learnt, held_out = Photos(data), Photos(data, held_out=True)
    assert every(learnt) | every(held_out) == set(made.names())
    assert not every(learnt) & every(held_out)
    assert not learnt.scenes["davis"].keys() & held_out.scenes["davis"].keys()
    counts = {kind: len(names) for kind, names in held_out.names.items()}
    assert {kind: count for kind, count in counts.items() if count} == {
        "ecssd": 1,
        "ccp": 1,
        "cat": 1,
        "davis": made.LENGTH,
    }
    assert [*held_out.scenes["davis"]] == ["scene-2"] and len(learnt.scenes["davis"]) == made.SCENES - 1


def test_the_frames_of_a_scene_are_in_order(learnt: Photos) -> None:
    assert learnt.scenes["davis"]["scene-1"] == [f"davis_scene-1_{n:03}" for n in range(made.LENGTH)]
    assert photos.scene_name("davis_dance-twirl_00012") == "dance-twirl"


def test_photographs_are_read_as_rgb_with_their_mask(learnt: Photos) -> None:
    name = learnt.names["ecssd"][0]
    picture, alpha = learnt.read(name)
    assert picture.shape == (*made.SIZE, 3) and picture.dtype == alpha.dtype == np.uint8
    assert np.array_equal(alpha, made.disc())
    assert np.abs(picture[alpha > 0].mean(0) - made.colour(name)).max() < 3
    assert np.abs(picture[alpha == 0].mean(0) - made.GROUND).max() < 3


def test_kinds_are_drawn_by_their_shares(learnt: Photos) -> None:
    rng = np.random.default_rng(0)
    drawn = [learnt.draw(rng) for _ in range(2000)]
    assert all(name in learnt.names[kind] for kind, name in drawn)
    assert {name for _, name in drawn} == every(learnt)
    shares = {kind: photos.KINDS[kind].share for kind, names in learnt.names.items() if names}
    for kind, count in Counter(kind for kind, _ in drawn).items():
        assert count / len(drawn) == pytest.approx(shares[kind] / sum(shares.values()), abs=0.04)


def test_unmarked_shares_apply_to_episodes_without_prompt(
    learnt: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(photos.KINDS, "horse", photos.KINDS["horse"]._replace(share=0.5, unmarked=0))
    for marked in (True, False):
        rng = np.random.default_rng(0)
        kinds = {learnt.draw(rng, marked)[0] for _ in range(200)}
        assert ("horse" in kinds) == marked and "ecssd" in kinds


def test_every_kind_has_valid_values() -> None:
    assert sum(kind.share for kind in photos.KINDS.values()) > 0.9
    for kind in photos.KINDS.values():
        assert kind.share > 0 and 0 <= kind.unmarked <= 1 and kind.step >= 0


def test_alphas_are_preferred_for_training_and_masks_for_evaluation(tmp_path: Path, data: Path) -> None:
    folder = shutil.copytree(data, tmp_path / "data")
    (folder / "alphas").mkdir()
    cv2.imwrite(str(folder / "alphas" / "horse_00.png"), np.full(made.SIZE, 77, np.uint8))
    cv2.imwrite(str(folder / "alphas" / "horse_01.png"), np.full(made.SIZE, 78, np.uint8))
    (folder / "masks" / "horse_01.png").unlink()
    loaded = Photos(folder)
    assert (loaded.read("horse_00").alpha == 77).all()
    assert np.array_equal(loaded.read("horse_00", hard=True).alpha, made.disc())
    assert (loaded.read("horse_01", hard=True).alpha == 78).all()


@pytest.mark.parametrize(("held_out", "what"), [(False, "to learn by"), (True, "to measure by")])
def test_a_folder_without_photographs_is_named(tmp_path: Path, held_out: bool, what: str) -> None:
    with pytest.raises(InputError, match=rf"^{tmp_path.name} has too few photos/KIND_\*.jpg {what}"):
        Photos(tmp_path, held_out)


def test_a_folder_with_only_held_out_photographs_is_refused_for_training(tmp_path: Path, data: Path) -> None:
    (tmp_path / "photos").mkdir()
    shutil.copy(data / "photos" / "cat_00.jpg", tmp_path / "photos")
    assert every(Photos(tmp_path, held_out=True)) == {"cat_00"}
    with pytest.raises(InputError, match="to learn by"):
        Photos(tmp_path)


@pytest.mark.parametrize("fault", ["no mask", "no picture", "another size", "damaged"])
def test_a_photograph_that_cannot_be_used_is_named(tmp_path: Path, data: Path, fault: str) -> None:
    folder = shutil.copytree(data, tmp_path / "data")
    picture, mask = folder / "photos" / "horse_00.jpg", folder / "masks" / "horse_00.png"
    if fault == "no mask":
        mask.unlink()
    elif fault == "another size":
        cv2.imwrite(str(mask), made.disc(20, 30))
    elif fault == "damaged":
        picture.write_bytes(b"no picture")
    loaded = Photos(folder)
    if fault == "no picture":
        picture.unlink()
    with pytest.raises(InputError, match=r"^The photograph horse_00.jpg or its mask horse_00.png"):
        loaded.read("horse_00")
