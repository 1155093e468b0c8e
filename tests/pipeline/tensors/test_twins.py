"""Every function on tensors beside its twin on the host, on pictures with noise and with smooth parts."""

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pipeline.arrays import Floats, Image, Matte, Pixels, as_floats
from pipeline.compositing import backdrop, composite, despill, device_foreground, edges, foreground, light
from pipeline.imaging import device_guided_filter as device_filter
from pipeline.imaging import guided_filter, optical_flow
from pipeline.models import Prediction
from pipeline.propagation import deflicker
from pipeline.propagation.predictions import FramePrediction
from pipeline.tensors import compositing, transfer, warping
from pipeline.tensors import edges as device_edges
from pipeline.video.reading.frames import DeviceFrame, Frame

HEIGHT, WIDTH = 180, 322
CPU = torch.device("cpu")


def picture(seed: int) -> Image:
    """A picture with soft and hard edges, and noise in one half."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (5, 8, 3), dtype=np.uint8)
    image = cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    image[40:90, 60:140] = rng.integers(0, 256, 3)
    image[:, WIDTH // 2 :] += rng.integers(0, 20, (HEIGHT, WIDTH - WIDTH // 2, 3), dtype=np.uint8)
    return np.asarray(image, np.uint8)


def soft_matte(seed: int = 0, x: float = WIDTH / 2, noise: float = 15) -> Matte:
    """A disc with a soft and noisy edge."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    values = 128 + (50 - np.hypot(columns - x, rows - HEIGHT / 2)) * 9
    values = values + np.random.default_rng(seed).normal(0, noise, values.shape)
    return np.asarray(np.clip(values, 0, 255), np.uint8)


def in_depth(image: Image, kind: Any) -> Pixels:
    return image if kind == np.uint8 else image.astype(np.uint16) * np.uint16(257)


def put(array: NDArray[Any]) -> torch.Tensor:
    return transfer.upload_image(array, CPU) if array.ndim == 3 else transfer.upload(array, CPU)


def levels_apart(host: NDArray[Any], device: torch.Tensor) -> NDArray[np.float64]:
    """The differences in levels of 255."""
    got = transfer.download_image(device) if device.ndim == 3 else transfer.download(device)
    assert got.dtype == host.dtype and got.shape == host.shape
    return np.abs(host.astype(np.float64) - got) / (1 if host.dtype == np.uint8 else 257)


IN_BOTH_DEPTHS = pytest.mark.parametrize("kind", [np.uint8, np.uint16])
SIXTEEN_BITS = 257 / 2**14 * 4
"""Within 2^-14 of the range, in levels of 255, with the rounding of the host's own bytes on top."""


@IN_BOTH_DEPTHS
def test_over_and_cut_out(kind: Any) -> None:
    image, behind, matte = in_depth(picture(1), kind), in_depth(picture(2), kind), soft_matte()
    most = 1 / 257 if kind == np.uint16 else 0
    assert (
        levels_apart(
            composite.over(image, matte, behind), compositing.over(put(image), put(matte), put(behind))
        ).max()
        <= most
    )
    cut = compositing.cut_out(put(image), put(matte))
    assert levels_apart(composite.cut_out(image, matte), cut).max() == 0


@IN_BOTH_DEPTHS
@pytest.mark.parametrize("screen", ["green", "blue"])
def test_despill(kind: Any, screen: Any) -> None:
    image = in_depth(picture(3), kind)
    assert levels_apart(despill.despill(image, screen), compositing.despill(put(image), screen)).max() == 0


@IN_BOTH_DEPTHS
@pytest.mark.parametrize("transparent", [False, True])
def test_the_subjects_own_colours(kind: Any, transparent: bool) -> None:
    image, matte = in_depth(picture(4), kind), soft_matte(1)
    where = composite._dilate(matte)
    own = soft_matte(2, x=120) if transparent else None
    host = foreground.estimate_foreground(image, matte, where, own)
    device = device_foreground.estimate_foreground(
        put(image), put(matte), put(where), None if own is None else put(own)
    )
    assert (host != image).any()
    apart = levels_apart(host, device)
    assert apart.max() <= (1 if kind == np.uint8 else SIXTEEN_BITS)
    assert apart.mean() < 0.001


@IN_BOTH_DEPTHS
def test_shadow_and_light(kind: Any) -> None:
    image, behind, matte = in_depth(picture(5), kind), in_depth(picture(6), kind), soft_matte(3)
    darkened = compositing.darken(put(image), put(matte))
    assert levels_apart(light.darken(image, matte), darkened).max() == 0
    host = light.wrap_light(image, matte, behind, 0.8)
    device = compositing.wrap_light(put(image), put(matte), put(behind), 0.8, light.grid_size(matte.shape))
    assert (host != image).any()
    # The share of the light is a byte in both depths.
    assert levels_apart(host, device).max() <= 1


@IN_BOTH_DEPTHS
def test_the_blurred_background(kind: Any) -> None:
    image, matte, own = in_depth(picture(7), kind), soft_matte(4), soft_matte(5, x=200)
    host = backdrop.blur_background(image, matte, 30)
    assert levels_apart(host, compositing.blur_background(put(image), put(matte), 30)).max() <= 1
    removed = compositing.remove_subject(put(image), put(matte), put(own))
    assert levels_apart(backdrop._remove_subject(image, matte, own), removed).max() == 0


@pytest.mark.parametrize("grow", [0.0, 13.3, -18.0])
@pytest.mark.parametrize("feather", [0.0, 9.0, 40.5])
def test_edges(grow: float, feather: float) -> None:
    matte = soft_matte(6)
    host = edges.adjust_edges(matte, edges.Edges(grow=grow, feather=feather))
    assert (host != matte).any() == bool(grow or feather)
    assert levels_apart(host, device_edges.adjust_edges(put(matte), grow, feather)).max() <= 1


@pytest.mark.parametrize(("height", "width"), [(64, 64), (64, 114), (180, 200), (180, 322)])
def test_upsampling_of_a_soft_matte(height: int, width: int) -> None:
    frame, wide = picture(8), as_floats(soft_matte(7)) / 255
    mask: Floats = as_floats(cv2.resize(wide, (width, height), interpolation=cv2.INTER_AREA))
    host = guided_filter.upsample_soft(mask, frame)
    apart = levels_apart(host, device_filter.upsample_soft(put(mask), put(frame)))
    assert apart.max() <= 2 and (apart > 1).mean() < 1e-4
    in_16_bits = device_filter.upsample_soft(put(mask), put(in_depth(frame, np.uint16)))
    assert torch.equal(in_16_bits, device_filter.upsample_soft(put(mask), put(frame)))


def test_blending_along_the_motion() -> None:
    first, second = picture(9), np.roll(picture(9), 3, 1)
    before, matte = soft_matte(8), soft_matte(9, x=WIDTH / 2 + 3)
    host = deflicker.blend(second, matte, first, before)
    assert (host != matte).any()
    device = deflicker.blend(second, matte, first, before, put(second))
    assert np.abs(host.astype(int) - device).max() <= 1


def test_a_frame_whose_device_is_full_goes_on_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    images, mattes = [picture(11)] * 3, [soft_matte(n) for n in range(3)]
    blend, calls = warping.blend, 0

    def fill(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise torch.OutOfMemoryError("full")
        return blend(*arguments)

    def run(frames: list[Frame]) -> list[FramePrediction]:
        return list(deflicker.deflicker(zip(frames, map(Prediction, mattes), strict=True)))

    host = run([Frame(n, image) for n, image in enumerate(images)])
    monkeypatch.setattr(warping, "blend", fill)
    device = run([DeviceFrame(n, put(image)) for n, image in enumerate(images)])
    assert calls == 2
    assert [frame.tensor is None for frame, _ in device] == [False, True, False]
    assert np.array_equal(device[1][0].image, images[1])
    assert np.array_equal(device[1][1].matte, host[1][1].matte)
    assert np.abs(device[2][1].matte.astype(int) - host[2][1].matte).max() <= 1


def test_a_matte_that_stands_still_stays_as_it_is() -> None:
    frame, matte = picture(10), soft_matte(10)
    flow = optical_flow.flow(optical_flow.grey(frame), optical_flow.grey(frame))
    assert not flow.any()
    assert (deflicker.blend(frame, matte, frame, matte, put(frame)) == matte).all()
