"""Clean plate of a scene, and the shadow that a subject throws on it.

The plate is what stands behind the subject: each pixel is one that was seen beside the mattes, and, as the
subject's shadow passes over the ground as well, one of the brighter half of those. Frames of a moving camera
are brought upon each other by homographies. The shadow of a frame is how much darker its ground is than the
plate. Each frame is compared with the plate alone and not with its neighbours, so that it does not matter
which frames were looked at before.

All of this works on a small grid, for shadows are smooth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Floats, Homography, Image, Mask, Matte, Pixels, as_floats

_SIDE = 270
"""Most rows of the grid."""

MOST_FRAMES = 24
"""Most frames of a scene that its plate is made of."""

_LEAST_FRAMES = 4
_LEAST_SEEN = 3
"""Number of frames in which a place has to be seen to be known."""

_LEAST_REGISTERED = 0.7
"""Share of the frames that have to be registered."""

_LEAST_KNOWN = 0.5
"""Share of the ground beside the subject that has to be known."""

_STILL = 0.75
"""Largest movement, in pixels of the grid, of a camera that stands."""

_BRIGHTER = 0.25
"""Place of the plate's value among those that were seen, from the brightest to the darkest."""

_SMOOTH = 0.009
"""Standard deviation of the Gaussian over which the ground is compared, in heights of the frame."""

_FAINT, _CLEAR = 0.02, 0.1
"""Darkening up to which there is no shadow, and from which on it is one to the full."""

_DARKEST = 0.8
"""Largest darkening."""

_COLOURED = 0.25
"""Difference between the channels' darkening at which it is that of another object and no shadow."""

_UNEVEN = 0.2
"""Standard deviation, around a place, of the ratio to the plate at which it is hardly that of a shadow."""

_FAR = 0.7
"""Distance from the subject up to which its shadow reaches, in its heights."""


@dataclass(frozen=True)
class Plate:
    """Clean plate of a scene, on the grid."""

    picture: Floats
    """`[h, w, 3]`, 0 to 255."""
    known: Mask
    """`[h, w]`."""
    unrest: Floats
    """Darkening of a place without the subject near it, as of leaves in the wind, `[h, w]`, 0 to 1."""
    origin: tuple[int, int]
    """Place of the reference frame's top left in it: x and y."""
    reference: Image
    """Frame that the others are registered to, `[h', w', 3]`, on the grid."""
    still: bool
    """True if the camera stands."""


class PlateBuilder:
    """Collects frames of one scene, evenly and in bounded memory."""

    def __init__(self) -> None:
        self._frames: list[tuple[Image, Matte]] = []
        self._seen, self._every = 0, 1

    def add(self, image: Pixels, matte: Matte) -> None:
        """Take the next frame into account: `[H, W, 3]` uint8, and its matte, `[H, W]` uint8."""
        if self._seen % self._every == 0:
            self._frames.append(shrink(image, matte))
        self._seen += 1
        if len(self._frames) > MOST_FRAMES:
            self._frames, self._every = self._frames[::2], self._every * 2

    def build(self) -> Plate | None:
        """Return the plate; None where the frames do not register, or show too little of the ground."""
        ways = register_all(self._frames)
        if ways is None:
            return None
        reference = self._frames[len(self._frames) // 2][0]
        kept = [(frame, way) for frame, way in zip(self._frames, ways, strict=True) if way is not None]
        still = all(np.array_equal(way, np.eye(3)) for _, way in kept)
        plate = _merge([frame for frame, _ in kept], [way for _, way in kept], reference, still)
        if not _is_known(plate, self._frames):
            return None
        return replace(plate, unrest=_measure_unrest(plate, kept))


def grid_size(width: int, height: int) -> tuple[int, int]:
    """Return the width and height on the grid of frames of a size, in pixels."""
    scale = min(1.0, _SIDE / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def shrink(image: Pixels, matte: Matte) -> tuple[Image, Matte]:
    """Return a frame and its matte on the grid, the frame in 8 bits."""
    height, width = matte.shape
    size = grid_size(width, height)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    if small.dtype != np.uint8:
        small = np.rint(small / np.float32(257))
    return np.asarray(small, np.uint8), np.asarray(cv2.resize(matte, size, interpolation=cv2.INTER_AREA))


def register_all(frames: list[tuple[Image, Matte]]) -> list[Homography | None] | None:
    """Return the homographies from frames on the grid to the middle one of them; None where too few have one.

    Those of a camera that stands are all the identity.
    """
    if len(frames) < _LEAST_FRAMES:
        return None
    reference = frames[len(frames) // 2][0]
    found = [register(image, matte, reference) for image, matte in frames]
    ways = [way for way in found if way is not None]
    if len(ways) < max(_LEAST_FRAMES, _LEAST_REGISTERED * len(frames)):
        return None
    if sum(_is_still(way, reference) for way in ways) < 0.9 * len(ways):
        return found
    return [None if way is None else np.eye(3) for way in found]


def register(image: Image, matte: Matte, reference: Image) -> Homography | None:
    """Return the homography from a frame on the grid to the reference; None where there is none.

    ORB features (Rublee et al., 2011) beside the matte, matched both ways, and RANSAC.
    """
    finder = cv2.ORB_create(nfeatures=1200, fastThreshold=8)  # type: ignore[attr-defined]
    beside = np.asarray(cv2.dilate(matte, np.ones((9, 9), np.uint8)) < 8, np.uint8)
    grey, other = (
        np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8) for picture in (image, reference)
    )
    points, features = finder.detectAndCompute(grey, beside)
    targets, wanted = finder.detectAndCompute(other, None)
    if features is not None and wanted is not None:
        pairs = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(features, wanted)
        if len(pairs) >= 12:
            source = np.array([points[pair.queryIdx].pt for pair in pairs], np.float32)
            target = np.array([targets[pair.trainIdx].pt for pair in pairs], np.float32)
            way, inliers = cv2.findHomography(source, target, cv2.RANSAC, 2.0)
            if way is not None and int(inliers.sum()) >= max(12, len(pairs) // 5):
                return _refine(np.asarray(way, np.float64), grey, beside, other)
    # Without structure the camera may as well stand, if nothing has changed.
    change = np.abs(grey.astype(np.int16) - other)[beside > 0]
    return np.eye(3) if change.size and float(np.median(change)) < 3 else None


def _refine(way: Homography, grey: Matte, beside: Matte, other: Matte) -> Homography:
    """Return a homography more exactly, from corners that optical flow follows the rest of the way.

    Features alone jitter from frame to frame by parts of a pixel. The flow is Lucas and Kanade's (1981).
    """
    corners = cv2.goodFeaturesToTrack(grey, 400, 0.01, 5, mask=beside)
    if corners is None:
        return way
    size = grey.shape[::-1]
    moved = cv2.warpPerspective(other, way, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    found, tracked, _ = cv2.calcOpticalFlowPyrLK(
        grey, moved, corners, np.empty_like(corners), winSize=(15, 15), maxLevel=1
    )
    kept = tracked.ravel() > 0
    if kept.sum() < 24:
        return way
    rest, inliers = cv2.findHomography(corners[kept], found[kept], cv2.RANSAC, 0.7)
    if rest is None or int(inliers.sum()) < max(24, int(kept.sum()) // 3):
        return way
    return np.asarray(way @ rest, np.float64)


def measure_shadow(image: Pixels, matte: Matte, plate: Plate, strength: float = 1.0) -> Matte | None:
    """Return how much the subject's shadow darkens the ground: `[H, W]` uint8, 255 is black.

    `image` is the frame, `[H, W, 3]`, uint8 or uint16, and `matte` is `[H, W]` uint8. It is 0 far from the
    subject. At `strength` 1 it is as dark as it was filmed; 0 to 2. None where the frame does not register.
    """
    small, alpha = shrink(image, matte)
    way = np.eye(3) if plate.still else register(small, alpha, plate.reference)
    if way is None:
        return None
    height, width = alpha.shape
    near = _nearness(alpha)
    if near is None:
        return np.zeros_like(matte)
    picture, known, unrest = _bring_back(plate, way, (width, height))
    dark, trust = _compare(small, alpha, picture, known, near)
    shade = np.clip(dark.mean(axis=2) - unrest, 0, _DARKEST)
    shade *= np.clip((shade - _FAINT) / (_CLEAR - _FAINT), 0, 1)
    shade *= np.exp(-(((dark.max(axis=2) - dark.min(axis=2)) / _COLOURED) ** 2))
    # Under the subject, and where the ground was never seen, it goes on as beside them.
    wide = 4 * _sigma(height)
    beyond = cv2.GaussianBlur(shade * trust, (0, 0), wide) / (cv2.GaussianBlur(trust, (0, 0), wide) + 1e-2)
    shade = (trust * shade + (1 - trust) * beyond) * near
    shade = 1 - (1 - shade) ** strength
    full = cv2.resize(shade, matte.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.rint(np.clip(full, 0, 1) * 255), np.uint8)


def _sigma(height: int) -> float:
    return max(0.7, _SMOOTH * height)


def _compare(
    small: Image, alpha: Matte, picture: Floats, known: Floats, near: Floats
) -> tuple[Floats, Floats]:
    """Return how much darker than the plate each place of a frame is, and how far that is known.

    `[h, w, 3]`, below 0 where it is brighter, and `[h, w]`, 0 to 1.
    """
    sigma = _sigma(len(alpha))
    beside = np.asarray(cv2.dilate(alpha, np.ones((5, 5), np.uint8)) < 8, np.float32)
    weight = known * beside
    lit = small.astype(np.float32) + 1
    ground = picture + 1
    away = (weight > 0.5) & (near < 0.05)
    if away.sum() > 0.02 * away.size:  # the camera's exposure changes
        ground = ground * np.median(lit[away] / ground[away], axis=0)
    spread = [cv2.GaussianBlur(plane * weight[..., None], (0, 0), sigma) for plane in (lit, ground)]
    dark = 1 - spread[0] / np.maximum(spread[1], 1e-3)
    seen = as_floats(cv2.GaussianBlur(weight, (0, 0), sigma))
    trust = np.clip(seen * 2 - 0.2, 0, 1) * _evenness(lit, ground, weight, seen)
    return as_floats(dark), as_floats(trust)


def _evenness(lit: Floats, ground: Floats, weight: Floats, seen: Floats) -> Floats:
    """Return how evenly each place is darkened, 0 to 1: a shadow's is even, unlike that of another object.

    Nor is it even where the ground is not where the plate has it, as behind things close to the camera.
    """
    ratio = np.clip(lit.mean(axis=2) / ground.mean(axis=2), 0, 2)
    sigma = _sigma(len(ratio))
    mean, square = (
        cv2.GaussianBlur(plane * weight, (0, 0), sigma) / np.maximum(seen, 1e-3)
        for plane in (ratio, ratio * ratio)
    )
    return as_floats(np.exp(-np.maximum(square - mean * mean, 0) / _UNEVEN**2))


def _measure_unrest(plate: Plate, frames: list[tuple[tuple[Image, Matte], Homography]]) -> Floats:
    """Return the largest darkening of each place in frames in which the subject is far from it."""
    height, width = plate.known.shape
    unrest = np.zeros((height, width), np.float32)
    for (image, matte), way in frames:
        near = _nearness(matte)
        if near is None:
            near = np.zeros(matte.shape, np.float32)
        picture, known, _ = _bring_back(plate, way, matte.shape[::-1])
        dark, trust = _compare(image, matte, picture, known, near)
        apart = as_floats(np.clip(dark.mean(axis=2), 0, 1) * trust * (near < 0.05))
        if not plate.still:
            apart = as_floats(cv2.warpPerspective(apart, shift(*plate.origin) @ way, (width, height)))
        unrest = np.maximum(unrest, apart)
    return as_floats(cv2.dilate(unrest, np.ones((3, 3), np.uint8)))


def _nearness(alpha: Matte) -> Floats | None:
    """Return 1 on the ground near the subject, falling to 0 away from it, `[h, w]`; None: there is none."""
    solid = alpha > 127
    rows = np.flatnonzero(solid.any(axis=1))
    if not len(rows):
        return None
    top, tall = int(rows[0]), max(len(rows), int(rows[-1] - rows[0] + 1))
    distance = cv2.distanceTransform(np.asarray(~solid, np.uint8), cv2.DIST_L2, 3)
    near = np.clip(2 - 2 * distance / (_FAR * tall), 0, 1)
    # The ground: beside the lower half of it.
    down = np.clip((np.arange(len(alpha), dtype=np.float32) - top) / tall * 2.5 - 0.75, 0, 1)
    near *= (down * down * (3 - 2 * down))[:, None]
    return as_floats(near * near * (3 - 2 * near))


def _bring_back(plate: Plate, way: Homography, size: tuple[int, int]) -> tuple[Floats, Floats, Floats]:
    """Return the plate as it lies in a frame, where it is known there (0 to 1), and its unrest."""
    if plate.still:
        return plate.picture, as_floats(plate.known), plate.unrest
    moved = shift(*plate.origin) @ way
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    picture = cv2.warpPerspective(plate.picture, moved, size, flags=flags)
    known = cv2.warpPerspective(as_floats(plate.known), moved, size, flags=flags)
    unrest = cv2.warpPerspective(plate.unrest, moved, size, flags=flags)
    return as_floats(picture), as_floats(known > 0.99), as_floats(unrest)


def _merge(frames: list[tuple[Image, Matte]], ways: list[Homography], reference: Image, still: bool) -> Plate:
    """Lay frames upon each other, and take each pixel from the brighter ones that were seen."""
    height, width = reference.shape[:2]
    left, top, right, bottom = bounds(ways, width, height)
    size = right - left, bottom - top
    pictures, seen = [], []
    for (image, matte), way in zip(frames, ways, strict=True):
        beside = np.asarray(cv2.dilate(matte, np.ones((7, 7), np.uint8)) < 8, np.uint8)
        if not still:
            moved = shift(-left, -top) @ way
            beside = np.asarray(cv2.warpPerspective(beside, moved, size, flags=cv2.INTER_NEAREST), np.uint8)
            image = np.asarray(cv2.warpPerspective(image, moved, size), np.uint8)
        pictures.append(image)
        seen.append(beside > 0)
    picture, known = choose_brighter(np.stack(pictures), np.stack(seen))
    return Plate(picture, known, np.zeros(known.shape, np.float32), (-left, -top), reference, still)


def choose_brighter(pictures: NDArray[np.uint8], seen: NDArray[np.bool_]) -> tuple[Floats, Mask]:
    """Return for each pixel one of the brighter half of what was seen there, and where enough was seen.

    `pictures` is `[N, h, w, 3]`, and `seen` `[N, h, w]`; the results are `[h, w, 3]` and `[h, w]`.
    """
    brightness = np.where(seen, pictures.astype(np.int16).sum(axis=3), -1)
    order = np.argsort(-brightness, axis=0, kind="stable")
    count = seen.sum(axis=0)
    place = np.clip(((count - 1) * _BRIGHTER).astype(np.intp), 0, None)
    rows = np.stack([np.clip(place + step, 0, np.maximum(count - 1, 0)) for step in (-1, 0, 1)])
    chosen = np.take_along_axis(order, np.maximum(rows, 0), axis=0)
    values = np.take_along_axis(pictures, chosen[..., None], axis=0)
    return as_floats(values.astype(np.float32).mean(axis=0)), np.asarray(count >= _LEAST_SEEN)


def _is_known(plate: Plate, frames: list[tuple[Image, Matte]]) -> bool:
    """Return True if enough of the ground beside the subject is known, in most frames."""
    if not plate.still:  # wherever the camera looks, the subject stands before what others have seen
        return bool(plate.known.mean() > 0.3)
    shares = []
    for _, matte in frames:
        near = _nearness(matte)
        if near is not None and (beside := (near > 0.5) & (matte < 8)).any():
            shares.append(float(plate.known[beside].mean()))
    return bool(shares) and float(np.median(shares)) >= _LEAST_KNOWN


def bounds(ways: list[Homography], width: int, height: int) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of all frames upon the reference, at most twice its size."""
    corners = np.array([[[0, 0], [width, 0], [width, height], [0, height]]], np.float64)
    places = np.concatenate([cv2.perspectiveTransform(corners, way)[0] for way in ways])
    low = np.floor(np.maximum(places.min(axis=0), (-width / 2, -height / 2)) - 1e-6 * (width + height))
    high = np.ceil(np.minimum(places.max(axis=0), (1.5 * width, 1.5 * height)) - 1e-6 * (width + height))
    if all(np.array_equal(way, np.eye(3)) for way in ways):
        return 0, 0, width, height
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _is_still(way: Homography, reference: Image) -> bool:
    height, width = reference.shape[:2]
    corners = np.array([[[0, 0], [width, 0], [width, height], [0, height]]], np.float64)
    return float(np.abs(cv2.perspectiveTransform(corners, way) - corners).max()) < 2 * _STILL


def shift(x: float, y: float) -> Homography:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)
