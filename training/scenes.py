"""Five frames of a scene with known alpha, made of photographs.

Photographs are few, so each is seen anew: from elsewhere, in another light, before another background,
beside something else, moved, blurred, with hair, by a worse camera.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Floats, Image, Matte, as_floats
from training.photos import KINDS, Photo, Photos, scene_of

FRAMES = 5

Affine = NDArray[np.float64]
"""`[2, 3]`: from a photograph's pixels to the frame's."""

Softener = Callable[[Floats], Floats]
"""Operation on a picture, `[H, W, 3]`, and on its alpha, `[H, W]`, alike."""


@dataclass(frozen=True)
class Wish:
    """Properties of a scene to be drawn."""

    side: int
    """Pixels of a frame's height and width."""
    automatic: bool
    """The subject has to be found without a mark: nothing else may stand out."""
    moving: bool
    """The second frame is some time after the first, each later one soon after the one before; else there is
    one frame."""


def made(photos: Photos, wish: Wish, rng: np.random.Generator) -> list[Photo]:
    """`FRAMES` frames of one scene, or one where nothing moves."""
    kind, name = photos.draw(rng, marked=not wish.automatic)
    if KINDS[kind].step and rng.random() < 0.85:
        taken = _filmed(photos, kind, name, wish, rng)
    elif rng.random() < 0.5:
        taken = _taken(photos.read(name), wish, rng)
    else:
        taken = _composed(photos, photos.read(name), wish, rng)
    return _developed(taken, rng)


# Where the camera stands


def _view(alpha: Matte, wish: Wish, rng: np.random.Generator) -> Affine:
    """A look at a photograph: all of it for a subject to be found, closer where a mark tells of it."""
    height, width = alpha.shape
    x, y, across, down = cv2.boundingRect(alpha)
    if not across:
        x, y, across, down = 0, 0, width, height
    whole = wish.side / max(height, width)
    if wish.automatic and rng.random() < 0.65:
        scale = whole * rng.uniform(0.9, 1.3)
        centre = np.array([width, height]) / 2 + rng.uniform(-0.1, 0.1, 2) * (width, height)
    elif down > 1.5 * across and rng.random() < 0.35:  # a person from the waist up, as before a webcam
        scale = wish.side * rng.uniform(0.6, 1.1) / (0.5 * down)
        centre = np.array([x + across / 2, y + rng.uniform(0.15, 0.35) * down])
    else:  # mostly as large as in the window that the model looks at
        size = rng.uniform(0.45, 0.75) if rng.random() < 0.6 else rng.uniform(0.25, 1.0)
        scale = wish.side * size / max(across, down)
        scale = min(max(scale, 0.6 * whole), 4 * whole)
        centre = np.array([x + across / 2, y + down / 2])
        centre += rng.uniform(-0.25, 0.25, 2) * (across, down) + rng.normal(0, 0.05, 2) * wish.side / scale
    linear = scale * _turned(rng.normal(0, 0.12)) @ _squeezed(rng.normal(0, 0.1))
    return np.hstack((linear, (wish.side / 2 - linear @ centre)[:, None]))


def _turned(angle: float) -> NDArray[np.float64]:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _squeezed(much: float) -> NDArray[np.float64]:
    """Wider by as much as it is lower: e to the power of `much`."""
    return np.diag(np.exp([much, -much]))


def _moved(way: Affine, side: int, far: float, rng: np.random.Generator) -> Affine:
    """`way` after a movement about the frame's middle; `far` 1 is as much as a subject moves at most."""
    grown = np.exp(rng.normal(0, 0.15 * far))
    linear = grown * _turned(rng.normal(0, 0.15 * far)) @ _squeezed(rng.normal(0, 0.08 * far))
    centre = np.full(2, side / 2)
    offset = centre - linear @ centre + rng.normal(0, 0.12 * far * side, 2)
    return np.hstack((linear @ way[:, :2], (linear @ way[:, 2] + offset)[:, None]))


def _ways(first: Affine, wish: Wish, far: float, rng: np.random.Generator) -> list[Affine]:
    """Place something on the frames: far from the first to the second, near from each to the next."""
    ways = [first]
    if wish.moving:
        ways.append(_moved(first, wish.side, far, rng))
        near = far * rng.uniform(0.05, 0.5)
        while len(ways) < FRAMES:
            ways.append(_moved(ways[-1], wish.side, near, rng))
    return ways


def _laid(image: NDArray[np.uint8], way: Affine, side: int, border: int) -> NDArray[np.uint8]:
    """An image on a frame's grid; `border` says, by OpenCV's constant, what is beyond its edge."""
    if abs(np.linalg.det(way[:, :2])) < 0.6**2:  # so much smaller that fine patterns would flicker
        image = np.asarray(cv2.GaussianBlur(image, (3, 3), 0.8), np.uint8)
    laid = cv2.warpAffine(image, way, (side, side), flags=cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(laid, np.uint8)


def _seen(photo: Photo, way: Affine, side: int) -> Photo:
    """A photograph and its alpha on a frame's grid."""
    picture, alpha = (_laid(image, way, side, cv2.BORDER_REPLICATE) for image in photo)
    return Photo(picture, alpha)


def _mirrored(photo: Photo) -> Photo:
    picture, alpha = (np.ascontiguousarray(image[:, ::-1]) for image in photo)
    return Photo(picture, alpha)


def _either_way(photo: Photo, rng: np.random.Generator) -> Photo:
    """Every other photograph mirrored."""
    return photo if rng.random() < 0.5 else _mirrored(photo)


# Scenes


def _filmed(photos: Photos, kind: str, name: str, wish: Wish, rng: np.random.Generator) -> list[Photo]:
    """Real movement: a frame of a video, one some time away, and those that follow it."""
    taken = [photos.read(name) for name in _times(photos.scenes[kind][scene_of(name)], name, kind, wish, rng)]
    if rng.random() < 0.5:
        taken = [_mirrored(photo) for photo in taken]
    first = taken[0].alpha
    way = _view(first, wish, rng)
    # The crop follows the subject, as it does where a mask is carried.
    moved = _ways(way, wish, rng.uniform(0, 0.5), rng)
    ways = [_followed(way, first, photo.alpha) for way, photo in zip(moved, taken, strict=True)]
    return [_seen(photo, way, wish.side) for photo, way in zip(taken, ways, strict=True)]


def _times(names: list[str], name: str, kind: str, wish: Wish, rng: np.random.Generator) -> list[str]:
    """Frames of a scene, `name` the first: one further away, and those after it, either way in time."""
    if not wish.moving:
        return [name]
    here, last, most = names.index(name), len(names) - 1, KINDS[kind].step
    there = int(np.clip(here + rng.choice([-1, 1]) * rng.integers(1, 5 * most + 1), 0, last))
    step = int(rng.choice([-1, 1]) * rng.integers(1, most + 1))
    chosen = [here, there]
    while len(chosen) < FRAMES:
        if not 0 <= chosen[-1] + step <= last:
            step = -step  # as if the video were played back from its end
        chosen.append(int(np.clip(chosen[-1] + step, 0, last)))
    return [names[n] for n in chosen]


def _followed(way: Affine, first: Matte, now: Matte) -> Affine:
    """`way`, moved by as much as the subject moved from the first frame."""
    if not first.any() or not now.any():
        return way
    moved = _middle(now) - _middle(first)
    return np.hstack((way[:, :2], (way[:, 2] - way[:, :2] @ moved)[:, None]))


def _middle(alpha: Matte) -> NDArray[np.float64]:
    """The mean place of a subject, x before y."""
    ys, xs = alpha.nonzero()
    return np.array([xs.mean(), ys.mean()])


def _taken(photo: Photo, wish: Wish, rng: np.random.Generator) -> list[Photo]:
    """The photograph as it is, the camera moving."""
    photo = _either_way(photo, rng)
    ways = _ways(_view(photo.alpha, wish, rng), wish, rng.uniform(0.1, 1), rng)
    return [_seen(photo, way, wish.side) for way in ways]


# Compositions


def _composed(photos: Photos, photo: Photo, wish: Wish, rng: np.random.Generator) -> list[Photo]:
    """The subject, or something of its texture, before the background of another photograph.

    Where marks tell which is meant, the other photograph's own subject may be left in it, and a third one
    may stand behind or before the subject.
    """
    side, far = wish.side, rng.uniform(0.1, 1)
    photo = _either_way(photo, rng)
    behind = _drawn(photos, wish, rng)
    if not wish.automatic and rng.random() < 0.3:
        photo = Photo(photo.picture, _scrap(photo.alpha.shape, rng))
    emptied = wish.automatic or rng.random() < 0.4
    background = extended(Photo(behind.picture, 255 - behind.alpha)) if emptied else behind.picture
    subject = Photo(_relit(extended(photo), photo.alpha, background, rng), photo.alpha)
    hair = _strands(photo.alpha, rng) if rng.random() < 0.25 else np.zeros_like(photo.alpha)
    soft = _softener(side, rng)
    everything = np.full(behind.alpha.shape, 255, np.uint8)
    camera = _ways(_view(everything, wish, rng), wish, far, rng)
    ways = _ways(_view(photo.alpha, wish, rng), wish, far, rng)
    other = None
    if not wish.automatic and rng.random() < 0.55:  # one time in three it looks like the subject
        alike = rng.random() < 0.35
        other = _Other(_either_way(photo, rng) if alike else _drawn(photos, wish, rng), wish, far, rng)
    frames = []
    for n, way in enumerate(ways):
        picture = as_floats(_laid(background, camera[n], side, cv2.BORDER_REFLECT_101))
        if other and not other.before:
            picture, _ = other.laid_over(picture, n)
        shown = _seen(subject, way, side)
        alpha = np.maximum(shown.alpha, _laid(hair, way, side, cv2.BORDER_CONSTANT))
        share = soft(as_floats(alpha / 255))
        picture = _over(picture, soft(as_floats(shown.picture)), share)
        if other and other.before:
            picture, hidden = other.laid_over(picture, n)
            share = as_floats(share * (1 - hidden))
        frames.append(Photo(picture.clip(0, 255).astype(np.uint8), np.rint(255 * share).astype(np.uint8)))
    return frames


class _Other:
    """A subject, of this photograph or another, which is not the one that is meant."""

    def __init__(self, photo: Photo, wish: Wish, far: float, rng: np.random.Generator) -> None:
        self._photo = Photo(extended(photo), photo.alpha)
        aside = _moved(_view(photo.alpha, wish, rng), wish.side, 2, rng)
        self._ways = _ways(aside, wish, far, rng)
        self.before = bool(rng.random() < 0.4)
        """True if it stands before the subject and hides a part of it."""

    def laid_over(self, picture: Floats, frame: int) -> tuple[Floats, Floats]:
        """The picture with it, and its alpha, 0 to 1."""
        colours, alpha = (
            as_floats(_laid(image, self._ways[frame], len(picture), cv2.BORDER_CONSTANT))
            for image in self._photo
        )
        share = as_floats(alpha / 255)
        return _over(picture, colours, share), share


def _drawn(photos: Photos, wish: Wish, rng: np.random.Generator) -> Photo:
    _, name = photos.draw(rng, marked=not wish.automatic)
    return _either_way(photos.read(name), rng)


def _over(picture: Floats, colours: Floats, share: Floats) -> Floats:
    return as_floats(picture + share[..., None] * (colours - picture))


def extended(photo: Photo) -> Image:
    """The picture, the subject's colours carried on outwards so that no old background shines through."""
    share = as_floats(photo.alpha > 127)
    if not share.any():
        return photo.picture
    picture = as_floats(photo.picture)
    result, known = picture * share[..., None], share.copy()
    found = result.copy()
    for radius in (7, 31, 127):  # pixels: from near where the subject is near, else from further away
        size = (2 * radius + 1,) * 2
        near, count = as_floats(cv2.blur(found, size)), as_floats(cv2.blur(share, size))
        new = (known < 0.5) & (count > 1e-3)
        result[new] = near[new] / count[new][:, None]
        known[new] = 1
    result[known < 0.5] = picture[share > 0.5].mean(0)
    return np.asarray(result.clip(0, 255), np.uint8)


def _scrap(shape: tuple[int, ...], rng: np.random.Generator) -> Matte:
    """A shape that is no thing at all: what is marked need not be anything that has a name."""
    height, width = shape
    count = int(rng.integers(5, 12))
    angles = np.sort(rng.uniform(0, 2 * np.pi, count))
    reach = rng.uniform(0.4, 1, count)[:, None] * rng.uniform(0.1, 0.35, 2) * (width, height)
    corners = np.array([width, height]) * rng.uniform(0.3, 0.7, 2)
    corners = corners + reach * np.stack((np.cos(angles), np.sin(angles)), 1)
    filled = np.zeros((height, width), np.uint8)
    cv2.fillPoly(filled, [corners.astype(np.int32)], 255)
    if rng.random() < 0.6:  # rounded
        rounded = as_floats(cv2.GaussianBlur(filled, (0, 0), 0.04 * max(height, width)))
        filled = np.asarray(255 * (rounded > 127), np.uint8)
    return filled


def _relit(subject: Image, alpha: Matte, background: Image, rng: np.random.Generator) -> Image:
    """The subject in about the light of its new background."""
    inside = subject[alpha > 127]
    if not len(inside):
        return subject
    gain = (background.reshape(-1, 3).mean(0) + 20) / (inside.mean(0) + 20)
    return np.asarray((subject * gain ** rng.uniform(0, 0.7)).clip(0, 255), np.uint8)


def _softener(side: int, rng: np.random.Generator) -> Softener:
    """Draw a blur, by the lens or by movement, for the subject and its alpha alike."""
    kind = rng.random()
    if kind < 0.5:
        return lambda image: image
    if kind < 0.8:  # out of focus
        sigma = rng.uniform(0.5, 3) * side / 192
        return lambda image: as_floats(cv2.GaussianBlur(image, (0, 0), sigma))
    length = int(rng.integers(3, max(4, side // 14)))
    streak = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    reach = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    middle = np.full(2, (length - 1) / 2)
    cv2.line(streak, (middle - reach).astype(int).tolist(), (middle + reach).astype(int).tolist(), 1.0)
    streak /= streak.sum()
    return lambda image: as_floats(cv2.filter2D(image, -1, streak))


def _strands(alpha: Matte, rng: np.random.Generator) -> Matte:
    """Hair: thin bent lines of partial alpha that leave the outline."""
    strands = np.zeros_like(alpha)
    outlines, _ = cv2.findContours((alpha > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        return strands
    outline = max(outlines, key=len)[:, 0].astype(float)
    start, part = rng.integers(len(outline)), rng.uniform(0.1, 0.4)
    length = rng.uniform(0.03, 0.15) * max(alpha.shape)
    centre = outline.mean(0)
    for _ in range(int(rng.integers(20, 120))):
        root = outline[int(start + rng.uniform(0, part) * len(outline)) % len(outline)]
        away = (root - centre) / (np.linalg.norm(root - centre) + 1e-6)
        bend = np.array([-away[1], away[0]]) * rng.normal(0, 0.6)
        t = np.linspace(-0.2, 1, 6)[:, None]
        line = root + length * rng.uniform(0.3, 1) * (away * t + bend * t**2)
        eighths = np.rint(8 * line).astype(np.int32)
        opacity = int(rng.integers(90, 256))
        cv2.polylines(strands, [eighths], False, opacity, 1, cv2.LINE_AA, shift=3)
    return strands


# The camera and the light


def _developed(frames: Sequence[Photo], rng: np.random.Generator) -> list[Photo]:
    """The frames as some camera would have taken them; all of them by the same one."""
    camera = _Camera(rng)
    return [Photo(camera.taken(frame.picture, rng), frame.alpha) for frame in frames]


class _Camera:
    """A camera in some light, good or bad."""

    def __init__(self, rng: np.random.Generator) -> None:
        gain = np.exp(rng.normal(0, 0.2)) * np.exp(rng.normal(0, 0.07, 3))
        gamma = np.exp(rng.normal(0, 0.2)) * (rng.uniform(1.3, 2.2) if rng.random() < 0.1 else 1)  # dusk
        contrast = np.exp(rng.normal(0, 0.15))
        tones = (((np.arange(256) / 255) ** gamma - 0.5) * contrast + 0.5)[:, None] * gain
        self._tones = (255 * tones.clip(0, 1)).astype(np.uint8)[None]
        self._saturation = 0.0 if rng.random() < 0.06 else float(np.exp(rng.normal(0, 0.25)))
        self._scale = rng.uniform(0.3, 0.8) if rng.random() < 0.2 else 1
        self._blur = rng.uniform(0.4, 1.2) if rng.random() < 0.2 else 0
        self._noise = rng.uniform(0, 12) if rng.random() < 0.4 else 0
        self._quality = int(rng.integers(15, 80)) if rng.random() < 0.35 else None

    def taken(self, picture: Image, rng: np.random.Generator) -> Image:
        """The picture as this camera gives it; `rng` is for its noise, which is new on each frame."""
        height, width = picture.shape[:2]
        image = cv2.LUT(picture, self._tones)
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        image = cv2.addWeighted(image, self._saturation, grey, 1 - self._saturation, 0)
        if self._scale < 1:
            small = cv2.resize(image, None, fx=self._scale, fy=self._scale, interpolation=cv2.INTER_AREA)
            image = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
        if self._blur:
            image = cv2.GaussianBlur(image, (0, 0), self._blur)
        if self._noise:
            grain = rng.standard_normal(picture.shape, np.float32) * np.float32(self._noise)
            image = (image + grain).clip(0, 255).astype(np.uint8)
        if self._quality is not None:
            _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, self._quality])
            image = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR))
        return np.asarray(image, np.uint8)
