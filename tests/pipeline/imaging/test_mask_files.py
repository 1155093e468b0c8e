"""Masks of other tools, read from picture files."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.imaging import mask_files
from pipeline.prompts import MaskFile, Prompt, Stroke
from tests.pipeline.propagation.test_borrowed import write_exr

HEIGHT, WIDTH = 48, 64


def ramp() -> np.ndarray:
    return np.linspace(0, 255, HEIGHT * WIDTH).astype(np.uint8).reshape(HEIGHT, WIDTH)


def write(folder: Path, picture: np.ndarray) -> Path:
    path = folder / "mask.png"
    assert cv2.imwrite(str(path), picture)
    return path


def read(path: Path, *, invert: bool = False) -> np.ndarray:
    return mask_files.read(MaskFile(path, invert), HEIGHT, WIDTH)


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    return caught.value.message.key


def test_grey_of_8_and_16_bits_and_alpha_are_read_as_they_are(tmp_path: Path) -> None:
    mask = ramp()
    assert np.array_equal(read(write(tmp_path, mask)), mask)
    assert np.array_equal(read(write(tmp_path, mask.astype(np.uint16) * 257)), mask)
    coloured = np.dstack([np.full_like(mask, 30)] * 3 + [mask])
    assert np.array_equal(read(write(tmp_path, coloured)), mask)
    exr = write_exr(tmp_path / "mask.exr", mask.astype(np.float32) / 255)
    assert np.array_equal(read(exr), mask)


def test_a_mask_is_inverted_on_request(tmp_path: Path) -> None:
    assert np.array_equal(read(write(tmp_path, ramp()), invert=True), 255 - ramp())


def test_another_size_of_the_same_shape_is_resized(tmp_path: Path) -> None:
    large = cv2.resize(ramp(), (2 * WIDTH, 2 * HEIGHT), interpolation=cv2.INTER_NEAREST)
    assert np.array_equal(read(write(tmp_path, large)), ramp())
    small = cv2.resize(ramp(), (WIDTH // 2, HEIGHT // 2))
    assert read(write(tmp_path, small)).shape == (HEIGHT, WIDTH)


def test_what_cannot_be_a_mask_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere.png") == "mask_in.not_found"
    text = tmp_path / "text.png"
    text.write_text("not a picture")
    assert refusal(text) == "mask_in.unreadable"
    assert refusal(tmp_path) == "mask_in.unreadable"
    assert refusal(write(tmp_path, np.full((HEIGHT, HEIGHT), 255, np.uint8))) == "mask_in.size"
    assert refusal(write(tmp_path, np.full((HEIGHT, WIDTH), 127, np.uint8))) == "mask_in.empty"


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = write(tmp_path, ramp())
    before = read(path)
    write(tmp_path, 255 - ramp())
    assert not np.array_equal(read(path), before)


def test_strokes_are_painted_into_a_prompts_mask(tmp_path: Path) -> None:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[10:20, 10:20] = 255
    stroke = Stroke(((40.5, 30.5),), 5.0)
    painted = mask_files.of_prompt(
        Prompt(mask=MaskFile(write(tmp_path, mask)), strokes=(stroke,)), HEIGHT, WIDTH
    )
    assert painted is not None and painted[30, 40] == 255 and painted[15, 15] == 255
    assert mask_files.of_prompt(Prompt(strokes=(stroke,)), HEIGHT, WIDTH) is None
