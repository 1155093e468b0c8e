"""Three frames of a scene with known alpha, made of photographs.

Photographs are few, so each is seen anew: from elsewhere, in another light, before another background,
beside something else, moved, blurred, with hair, by a worse camera.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.refine import Floats, floats
from training.photos import Alpha, Photo, Photos, Picture

FRAMES = 3

Affine = NDArray[np.float64]
"""`[2, 3]`: from a photograph's pixels to the frame's."""


class Frame(NamedTuple):
    picture: Picture
    alpha: Alpha


@dataclass(frozen=True)
class Wish:
    """What kind of scene is asked for."""

    side: int
    """Pixels of a frame's height and width."""
    automatic: bool
    """The subject has to be found without a mark: nothing else may stand out."""
    moving: bool
    """The second frame is some time after the first, the third soon after the second; else all are one."""


def made(photos: Photos, wish: Wish, rng: np.random.Generator) -> list[Frame]:
    """`FRAMES` frames of one scene."""
    kind, name = photos.draw(rng)
    if kind == "davis":
        taken = _filmed(photos, name, wish, rng)
    elif rng.random() < 0.5:
        taken = _taken(photos.read(name), wish, rng)
    else:
        taken = _composed(photos, photos.read(name), wish, rng)
    taken = _developed(taken, rng)
    return taken if wish.moving else [taken[0]] * FRAMES


# Where the camera stands


def _view(alpha: Alpha, wish: Wish, rng: np.random.Generator) -> Affine:
    """A look at a photograph: all of it for a subject to be found, closer where a mark tells of it."""
    height, width = alpha.shape
    x, y, across, down = cv2.boundingRect(alpha)
    if not across:
        x, y, across, down = 0, 0, width, height
    whole = wish.side / max(height, width)
    if wish.automatic and rng.random() < 0.65:
        scale = whole * rng.uniform(0.9, 1.3)
        centre = np.array([width, height]) / 2 + rng.uniform(-0.1, 0.1, 2) * (width, height)
    else:
        scale = wish.side * rng.uniform(0.25, 1.0) / max(across, down)
        scale = min(max(scale, 0.6 * whole), 4 * whole)
        centre = np.array([x + across / 2, y + down / 2])
        centre += rng.uniform(-0.25, 0.25, 2) * (across, down) + rng.normal(0, 0.05, 2) * wish.side / scale
        if down > 1.5 * across and rng.random() < 0.35:  # a person from the waist up, as before a webcam
            scale = wish.side * rng.uniform(0.6, 1.1) / (0.5 * down)
            centre = np.array([x + across / 2, y + rng.uniform(0.15, 0.35) * down])
    angle = rng.normal(0, 0.12)
    stretch = np.exp(rng.normal(0, 0.1))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = scale * turn @ np.diag([stretch, 1 / stretch])
    return np.hstack((linear, (wish.side / 2 - linear @ centre)[:, None]))


def _moved(way: Affine, centre: NDArray[np.float64], far: float, side: int, rng: np.random.Generator) -> Affine:
    """`way` after a movement about `centre` (in the frame); `far` 1 is as much as a subject moves at most."""
    angle, grown, squeezed = rng.normal(0, 0.15 * far), rng.normal(0, 0.15 * far), rng.normal(0, 0.08 * far)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = np.exp(grown) * turn @ np.diag([np.exp(squeezed), np.exp(-squeezed)])
    offset = centre - linear @ centre + rng.normal(0, 0.12 * far * side, 2)
    return np.hstack((linear @ way[:, :2], (linear @ way[:, 2] + offset)[:, None]))


def _laid(image: NDArray[np.uint8], way: Affine, side: int, border: int) -> NDArray[np.uint8]:
    shrinks = np.sqrt(abs(np.linalg.det(way[:, :2]))) < 0.6
    if shrinks:
        image = np.asarray(cv2.GaussianBlur(image, (3, 3), 0.8), np.uint8)
    return np.asarray(cv2.warpAffine(image, way, (side, side), flags=cv2.INTER_LINEAR, borderMode=border), np.uint8)


def _ways(first: Affine, side: int, far: float, rng: np.random.Generator) -> list[Affine]:
    """Where something is on the frames: far from the first to the second, near from there to the third."""
    centre = np.full(2, side / 2)
    second = _moved(first, centre, far, side, rng)
    return [first, second, _moved(second, centre, far * rng.uniform(0.05, 0.5), side, rng)]


# Scenes


def _filmed(photos: Photos, name: str, wish: Wish, rng: np.random.Generator) -> list[Frame]:
    """Real movement: a frame of a video, one up to 30 frames away, and the one beside that."""
    scene = name.partition("_")[2].rpartition("_")[0]
    names = photos.scenes[scene]
    here, last = names.index(name), len(names) - 1
    there = int(np.clip(here + rng.choice([-1, 1]) * rng.integers(1, 31), 0, last))
    step = int(rng.choice([-1, 1])) * int(rng.integers(1, 6))
    beyond = there + step if 0 <= there + step <= last else there - step
    taken = [photos.read(names[int(np.clip(n, 0, last))]) for n in (here, there, beyond)]
    way = _view(taken[0].alpha, wish, rng)
    if rng.random() < 0.5:
        taken = [Photo(p.picture[:, ::-1].copy(), p.alpha[:, ::-1].copy()) for p in taken]
        way = _view(taken[0].alpha, wish, rng)
    ways = _ways(way, wish.side, rng.uniform(0, 0.5), rng) if wish.moving else [way] * FRAMES
    if wish.moving:  # the crop follows the subject, as it does where a mask is carried
        ways = [_followed(w, taken[0].alpha, p.alpha) for w, p in zip(ways, taken, strict=True)]
    return [Frame(_laid(p.picture, w, wish.side, cv2.BORDER_REPLICATE), _laid(p.alpha, w, wish.side, cv2.BORDER_REPLICATE)) for p, w in zip(taken, ways, strict=True)]


def _followed(way: Affine, first: Alpha, now: Alpha) -> Affine:
    """`way`, moved by as much as the subject moved from the first frame."""
    if not first.any() or not now.any():
        return way
    moved = np.subtract(*(np.array([a.nonzero()[1].mean(), a.nonzero()[0].mean()]) for a in (now, first)))
    return np.hstack((way[:, :2], (way[:, 2] - way[:, :2] @ moved)[:, None]))


def _taken(photo: Photo, wish: Wish, rng: np.random.Generator) -> list[Frame]:
    """The photograph as it is, the camera moving."""
    photo = _mirrored(photo, rng)
    ways = _ways(_view(photo.alpha, wish, rng), wish.side, rng.uniform(0.1, 1), rng)
    return [Frame(_laid(photo.picture, w, wish.side, cv2.BORDER_REPLICATE), _laid(photo.alpha, w, wish.side, cv2.BORDER_REPLICATE)) for w in ways]


def _mirrored(photo: Photo, rng: np.random.Generator) -> Photo:
    if rng.random() < 0.5:
        return photo
    return Photo(np.ascontiguousarray(photo.picture[:, ::-1]), np.ascontiguousarray(photo.alpha[:, ::-1]))


def _composed(photos: Photos, photo: Photo, wish: Wish, rng: np.random.Generator) -> list[Frame]:
    """The subject, or something of its texture, before the background of another photograph."""
    photo = _mirrored(photo, rng)
    behind = _mirrored(photos.read(photos.draw(rng)[1]), rng)
    if not wish.automatic and rng.random() < 0.3:
        photo = Photo(photo.picture, _scrap(photo.alpha.shape, rng))
    subject = extended(photo)
    alone = wish.automatic or rng.random() < 0.4
    background = extended(Photo(behind.picture, 255 - behind.alpha)) if alone else behind.picture
    subject = _relit(subject, photo.alpha, background, rng)
    side = wish.side
    first = _view(photo.alpha, wish, rng)
    far = rng.uniform(0.1, 1)
    camera = _ways(_view(np.full(behind.alpha.shape, 255, np.uint8), wish, rng), side, far, rng)
    ways = _ways(first, side, far, rng)
    soft = _softener(side, rng)
    hair = _strands(photo.alpha, rng) if rng.random() < 0.25 else None
    other = None
    if not wish.automatic and rng.random() < 0.4:
        other = _mirrored(photos.read(photos.draw(rng)[1]), rng)
        aside = _ways(_moved(_view(other.alpha, wish, rng), np.full(2, side / 2), 2, side, rng), side, far, rng)
        before = rng.random() < 0.4
    frames = []
    for n, way in enumerate(ways):
        picture = floats(_laid(background, camera[n], side, cv2.BORDER_REFLECT_101))
        alpha = _laid(photo.alpha, way, side, cv2.BORDER_REPLICATE)
        if hair is not None:
            alpha = np.maximum(alpha, _laid(hair, way, side, cv2.BORDER_CONSTANT))
        colours = floats(_laid(subject, way, side, cv2.BORDER_REPLICATE))
        share = soft(floats(alpha) / 255)
        if other is not None and not before:
            picture = _over(other, aside[n], picture)[0]
        picture = picture + share[..., None] * (soft(colours) - picture)
        if other is not None and before:
            picture, hidden = _over(other, aside[n], picture)
            share = share * (1 - hidden)
        frames.append(Frame(picture.clip(0, 255).astype(np.uint8), np.rint(255 * share).astype(np.uint8)))
    return frames


def _over(photo: Photo, way: Affine, picture: Floats) -> tuple[Floats, Floats]:
    """The photograph's subject laid over a picture, and its alpha, 0 to 1."""
    side = picture.shape[0]
    share = floats(_laid(photo.alpha, way, side, cv2.BORDER_CONSTANT)) / 255
    colours = floats(_laid(photo.picture, way, side, cv2.BORDER_CONSTANT))
    return picture + share[..., None] * (colours - picture), share


def extended(photo: Photo) -> Picture:
    """The picture with the subject's colours carried on outwards, so that no old background shines through."""
    share = floats(photo.alpha > 127)
    picture = floats(photo.picture)
    found, weight = picture * share[..., None], share
    result, known = found.copy(), share.copy()
    for radius in (7, 31, 127):
        size = (2 * radius + 1,) * 2
        near, count = cv2.blur(found, size), cv2.blur(weight, size)
        new = (known < 0.5) & (count > 1e-3)
        result[new] = (floats(near) / np.maximum(count, 1e-6)[..., None])[new]
        known[new] = 1
    if share.any():
        result[known < 0.5] = picture[share > 0.5].mean(0)
    return np.asarray(result.clip(0, 255), np.uint8)


def _scrap(shape: tuple[int, ...], rng: np.random.Generator) -> Alpha:
    """A shape that is no thing at all: what is marked need not be anything that has a name."""
    height, width = shape
    count = int(rng.integers(5, 12))
    angles = np.sort(rng.uniform(0, 2 * np.pi, count))
    reach = rng.uniform(0.4, 1, count)[:, None] * rng.uniform(0.1, 0.35, 2) * (width, height)
    corners = np.array([width, height]) * rng.uniform(0.3, 0.7, 2)
    corners = corners + reach * np.stack((np.cos(angles), np.sin(angles)), 1)
    shape_ = np.zeros((height, width), np.uint8)
    cv2.fillPoly(shape_, [corners.astype(np.int32)], 255)
    if rng.random() < 0.6:  # rounded
        shape_ = np.asarray((cv2.GaussianBlur(shape_, (0, 0), 0.04 * max(shape)) > 127) * np.uint8(255))
    return shape_


def _relit(subject: Picture, alpha: Alpha, background: Picture, rng: np.random.Generator) -> Picture:
    """The subject in about the light of its new background."""
    inside = subject[alpha > 127]
    if not len(inside):
        return subject
    gain = (background.reshape(-1, 3).mean(0) + 20) / (inside.mean(0) + 20)
    return np.asarray((subject * gain ** rng.uniform(0, 0.7)).clip(0, 255), np.uint8)


def _softener(side: int, rng: np.random.Generator):  # type: ignore[no-untyped-def]
    """What the lens or the movement does to the subject and its alpha alike."""
    kind = rng.random()
    if kind < 0.5:
        return lambda image: image
    if kind < 0.8:  # out of focus
        sigma = rng.uniform(0.5, 3) * side / 192
        return lambda image: floats(cv2.GaussianBlur(image, (0, 0), sigma))
    length = int(rng.integers(3, max(4, side // 14)))
    streak = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    reach = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    middle = np.full(2, (length - 1) / 2)
    cv2.line(streak, (middle - reach).astype(int).tolist(), (middle + reach).astype(int).tolist(), 1.0)
    streak /= streak.sum()
    return lambda image: floats(cv2.filter2D(image, -1, streak))


def _strands(alpha: Alpha, rng: np.random.Generator) -> Alpha:
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
        cv2.polylines(strands, [np.rint(line * 8).astype(np.int32)], False, int(rng.integers(90, 256)), 1, cv2.LINE_AA, 3)
    return strands


# The camera and the light


def _developed(frames: Sequence[Frame], rng: np.random.Generator) -> list[Frame]:
    """The frames as some camera would have taken them; all of them by the same one."""
    gain = np.exp(rng.normal(0, 0.2)) * np.exp(rng.normal(0, 0.07, 3))
    gamma = np.exp(rng.normal(0, 0.2)) * (rng.uniform(1.3, 2.2) if rng.random() < 0.1 else 1)  # dusk
    grey = rng.random() < 0.06
    contrast, saturation = np.exp(rng.normal(0, 0.15)), np.exp(rng.normal(0, 0.25))
    tones = np.arange(256) / 255
    tones = ((tones**gamma - 0.5) * contrast + 0.5)[:, None] * gain
    table = (255 * tones.clip(0, 1)).astype(np.uint8)[None]
    noise = rng.uniform(0, 12) if rng.random() < 0.4 else 0
    blur = rng.uniform(0.4, 1.2) if rng.random() < 0.2 else 0
    quality = int(rng.integers(15, 80)) if rng.random() < 0.35 else 0
    worse = rng.uniform(0.3, 0.8) if rng.random() < 0.2 else 1
    return [
        Frame(_exposed(f.picture, table, saturation, grey, noise, blur, quality, worse, rng), f.alpha)
        for f in frames
    ]


def _exposed(
    picture: Picture,
    table: NDArray[np.uint8],
    saturation: float,
    grey: bool,
    noise: float,
    blur: float,
    quality: int,
    worse: float,
    rng: np.random.Generator,
) -> Picture:
    picture = np.asarray(cv2.LUT(picture, table), np.uint8)
    light = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)[..., None].repeat(3, 2)
    much = 0.0 if grey else saturation
    picture = np.asarray(cv2.addWeighted(picture, much, light, 1 - much, 0), np.uint8)
    side = picture.shape[0]
    if worse < 1:
        small = cv2.resize(picture, None, fx=worse, fy=worse, interpolation=cv2.INTER_AREA)
        picture = np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)
    if blur:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), blur), np.uint8)
    if noise:
        grain = rng.standard_normal(picture.shape, np.float32) * np.float32(noise)
        picture = (picture + grain).clip(0, 255).astype(np.uint8)
    if quality:
        _, packed = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        picture = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    return picture
