"""Filters on tensors beside OpenCV's."""

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pipeline.arrays import Floats, as_floats
from pipeline.tensors import filters

IMAGE: Floats = np.random.default_rng(0).random((3, 101, 157), np.float32)


def on_host(image: Floats) -> NDArray[Any]:
    return np.ascontiguousarray(image.transpose(1, 2, 0))


def apart(host: NDArray[Any], device: torch.Tensor) -> float:
    return float(np.abs(host - device.permute(1, 2, 0).numpy()).max())


@pytest.mark.parametrize(("height", "width"), [(50, 78), (33, 157), (101, 40), (101, 157)])
def test_means_over_areas(height: int, width: int) -> None:
    host = cv2.resize(on_host(IMAGE), (width, height), interpolation=cv2.INTER_AREA)
    assert apart(host, filters.resize_area(torch.from_numpy(IMAGE), height, width)) < 1e-6


@pytest.mark.parametrize(("height", "width"), [(303, 400), (50, 90)])
def test_bilinear_and_nearest(height: int, width: int) -> None:
    image = torch.from_numpy(IMAGE)
    linear = cv2.resize(on_host(IMAGE), (width, height), interpolation=cv2.INTER_LINEAR)
    assert apart(linear, filters.resize_linear(image, height, width)) < 1e-4
    nearest = cv2.resize(on_host(IMAGE), (width, height), interpolation=cv2.INTER_NEAREST)
    assert apart(nearest, filters.enlarge_nearest(image, height, width)) == 0


@pytest.mark.parametrize("radius", [1, 5, 64, 120])
def test_boxes(radius: int) -> None:
    image, side = torch.from_numpy(IMAGE), 2 * radius + 1
    mirrored = cv2.copyMakeBorder(on_host(IMAGE), *(radius,) * 4, cv2.BORDER_REFLECT)
    host = cv2.blur(mirrored, (side, side))[radius:-radius, radius:-radius]
    assert apart(host, filters.box(image, radius)) < 1e-5
    repeated = cv2.blur(on_host(IMAGE), (side, side), borderType=cv2.BORDER_REPLICATE)
    assert apart(repeated, filters.box_replicate(image, radius)) < 1e-5


@pytest.mark.parametrize("sigma", [0.6, 3.7, 21.0])
def test_gaussian_blur(sigma: float) -> None:
    image = torch.from_numpy(IMAGE)
    host = cv2.GaussianBlur(on_host(IMAGE), (0, 0), sigma)
    assert apart(host, filters.gaussian_blur(image, sigma, of_bytes=False)) < 1e-5
    whole = np.rint(IMAGE * 255)
    host = cv2.GaussianBlur(on_host(whole).astype(np.uint8), (0, 0), sigma)
    # The host rounds the same sum.
    blurred = filters.gaussian_blur(torch.from_numpy(whole), sigma, of_bytes=True)
    assert apart(as_floats(host), blurred) <= 0.501


def test_the_largest_nearby() -> None:
    image = torch.from_numpy(IMAGE)
    assert apart(cv2.dilate(on_host(IMAGE), np.ones((9, 9), np.uint8)), filters.dilate(image, 4)) == 0
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    assert apart(cv2.dilate(on_host(IMAGE), cross), filters.dilate_cross(image)) == 0
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    mask = IMAGE[0] > 0.99
    host = cv2.dilate(mask.astype(np.uint8), disc) > 0
    device = filters.dilate_disc(torch.from_numpy(mask), torch.tensor(disc, dtype=torch.float32))
    assert host.any() and not host.all()
    assert (device.numpy() == host).all()


@pytest.mark.parametrize("channels", [3, 4, 7])
def test_samples_between_pixels(channels: int) -> None:
    image = np.resize(IMAGE, (channels, *IMAGE.shape[1:]))
    rng = np.random.default_rng(1)
    # A quarter of a 32nd beside one: which way the half of one is rounded is left open.
    rows, columns = (as_floats((rng.integers(-60, 32 * n + 60, 50) + 0.25) / 32) for n in (101, 157))
    grid = np.meshgrid(columns, rows)
    host = cv2.remap(on_host(image), *grid, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    got = filters.sample_grid(torch.from_numpy(image), torch.from_numpy(rows), torch.from_numpy(columns))
    assert apart(host, got) < 1e-5
