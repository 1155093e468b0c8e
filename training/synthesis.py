"""Synthetic scenes of five frames with known alpha, made from photographs by augmentation.

Random crops, motion, lighting, backgrounds, distractors, blur, hair and camera degradations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Floats, Image, Matte, as_floats
from training.photos import KINDS, Photo, Photos, scene_name

FRAMES = 5

Affine = NDArray[np.float64]
"""`[2, 3]`: from a photograph's pixels to the frame's."""

Blur = Callable[[Floats], Floats]
"""Blur of a picture, `[H, W, 3]`, or of its alpha, `[H, W]`."""


@dataclass(frozen=True)
class SceneSpec:
    """Parameters of a scene."""

    side: int
    """Pixels of a frame's height and width."""
    automatic: bool
    """The subject has to be found without a prompt: there are no distractors."""
    moving: bool
    """True: large motion from the first frame to the second, small motion between the later ones; False: one
    frame."""


def make_scene(photos: Photos, spec: SceneSpec, rng: np.random.Generator) -> list[Photo]:
    """Make a scene of `FRAMES` frames, or of one if it does not move."""
    kind, name = photos.draw(rng, marked=not spec.automatic)
    if KINDS[kind].step and rng.random() < 0.85:
        frames = _crop_video(photos, kind, name, spec, rng)
    elif rng.random() < 0.5:
        frames = _pan_photo(photos.read(name), spec, rng)
    else:
        frames = _compose_scene(photos, photos.read(name), spec, rng)
    return _apply_camera(frames, rng)


# Crops and motion


def _random_crop(alpha: Matte, spec: SceneSpec, rng: np.random.Generator) -> Affine:
    """Return a random crop of a photograph: mostly all of it without a prompt, closer with one."""
    height, width = alpha.shape
    x, y, box_width, box_height = cv2.boundingRect(alpha)
    if not box_width:
        x, y, box_width, box_height = 0, 0, width, height
    fit_scale = spec.side / max(height, width)
    if spec.automatic and rng.random() < 0.65:
        scale = fit_scale * rng.uniform(0.9, 1.3)
        centre = np.array([width, height]) / 2 + rng.uniform(-0.1, 0.1, 2) * (width, height)
    elif box_height > 1.5 * box_width and rng.random() < 0.35:  # a person from the waist up
        scale = spec.side * rng.uniform(0.6, 1.1) / (0.5 * box_height)
        centre = np.array([x + box_width / 2, y + rng.uniform(0.15, 0.35) * box_height])
    else:  # mostly as large as in the model's input window
        size = rng.uniform(0.45, 0.75) if rng.random() < 0.6 else rng.uniform(0.25, 1.0)
        scale = spec.side * size / max(box_width, box_height)
        scale = min(max(scale, 0.6 * fit_scale), 4 * fit_scale)
        centre = np.array([x + box_width / 2, y + box_height / 2])
        centre += (
            rng.uniform(-0.25, 0.25, 2) * (box_width, box_height) + rng.normal(0, 0.05, 2) * spec.side / scale
        )
    linear = scale * _rotation(rng.normal(0, 0.12)) @ _anisotropic_scale(rng.normal(0, 0.1))
    return np.hstack((linear, (spec.side / 2 - linear @ centre)[:, None]))


def _rotation(angle: float) -> NDArray[np.float64]:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _anisotropic_scale(amount: float) -> NDArray[np.float64]:
    """Return a scaling by e to the power of `amount` in width, and by its inverse in height."""
    return np.diag(np.exp([amount, -amount]))


def _random_motion(affine: Affine, side: int, extent: float, rng: np.random.Generator) -> Affine:
    """Return `affine` after a random motion about the frame's centre; `extent` 1 is a large one."""
    scale = np.exp(rng.normal(0, 0.15 * extent))
    linear = (
        scale * _rotation(rng.normal(0, 0.15 * extent)) @ _anisotropic_scale(rng.normal(0, 0.08 * extent))
    )
    centre = np.full(2, side / 2)
    offset = centre - linear @ centre + rng.normal(0, 0.12 * extent * side, 2)
    return np.hstack((linear @ affine[:, :2], (linear @ affine[:, 2] + offset)[:, None]))


def _random_trajectory(
    first: Affine, spec: SceneSpec, extent: float, rng: np.random.Generator
) -> list[Affine]:
    """Return a position for each frame: large motion to the second frame, small motion after it."""
    affines = [first]
    if spec.moving:
        affines.append(_random_motion(first, spec.side, extent, rng))
        step_extent = extent * rng.uniform(0.05, 0.5)
        while len(affines) < FRAMES:
            affines.append(_random_motion(affines[-1], spec.side, step_extent, rng))
    return affines


def _warp_image(image: NDArray[np.uint8], affine: Affine, side: int, border: int) -> NDArray[np.uint8]:
    """Warp an image onto a frame's grid; `border` is OpenCV's border mode."""
    if abs(np.linalg.det(affine[:, :2])) < 0.6**2:  # reduced so much that it would alias
        image = np.asarray(cv2.GaussianBlur(image, (3, 3), 0.8), np.uint8)
    warped = cv2.warpAffine(image, affine, (side, side), flags=cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(warped, np.uint8)


def _warp_photo(photo: Photo, affine: Affine, side: int) -> Photo:
    """Warp a photograph and its alpha onto a frame's grid."""
    picture, alpha = (_warp_image(image, affine, side, cv2.BORDER_REPLICATE) for image in photo)
    return Photo(picture, alpha)


def _mirror(photo: Photo) -> Photo:
    picture, alpha = (np.ascontiguousarray(image[:, ::-1]) for image in photo)
    return Photo(picture, alpha)


def _mirror_randomly(photo: Photo, rng: np.random.Generator) -> Photo:
    """Mirror a photograph with a probability of one half."""
    return photo if rng.random() < 0.5 else _mirror(photo)


# Scenes


def _crop_video(
    photos: Photos, kind: str, name: str, spec: SceneSpec, rng: np.random.Generator
) -> list[Photo]:
    """Make a scene from frames of a video: one, one some time away, and those that follow it."""
    sequence = [
        photos.read(name)
        for name in _choose_frames(photos.scenes[kind][scene_name(name)], name, kind, spec, rng)
    ]
    if rng.random() < 0.5:
        sequence = [_mirror(photo) for photo in sequence]
    first = sequence[0].alpha
    crop = _random_crop(first, spec, rng)
    # The crop follows the subject, as it does when a mask is propagated.
    crops = _random_trajectory(crop, spec, rng.uniform(0, 0.5), rng)
    followed = [
        _follow_subject(crop, first, photo.alpha) for crop, photo in zip(crops, sequence, strict=True)
    ]
    return [_warp_photo(photo, crop, spec.side) for photo, crop in zip(sequence, followed, strict=True)]


def _choose_frames(
    names: list[str], name: str, kind: str, spec: SceneSpec, rng: np.random.Generator
) -> list[str]:
    """Choose frames of a scene: `name`, one further away, and those after it, forwards or backwards."""
    if not spec.moving:
        return [name]
    first, last, max_step = names.index(name), len(names) - 1, KINDS[kind].step
    second = int(np.clip(first + rng.choice([-1, 1]) * rng.integers(1, 5 * max_step + 1), 0, last))
    step = int(rng.choice([-1, 1]) * rng.integers(1, max_step + 1))
    chosen = [first, second]
    while len(chosen) < FRAMES:
        if not 0 <= chosen[-1] + step <= last:
            step = -step  # reverse at the ends of the video
        chosen.append(int(np.clip(chosen[-1] + step, 0, last)))
    return [names[n] for n in chosen]


def _follow_subject(affine: Affine, first: Matte, current: Matte) -> Affine:
    """Return `affine` moved by the subject's motion since the first frame."""
    if not first.any() or not current.any():
        return affine
    motion = _centroid(current) - _centroid(first)
    return np.hstack((affine[:, :2], (affine[:, 2] - affine[:, :2] @ motion)[:, None]))


def _centroid(alpha: Matte) -> NDArray[np.float64]:
    """Return the centroid of a subject, `[2]`: x, y."""
    ys, xs = alpha.nonzero()
    return np.array([xs.mean(), ys.mean()])


def _pan_photo(photo: Photo, spec: SceneSpec, rng: np.random.Generator) -> list[Photo]:
    """Make a scene from one photograph under a moving camera."""
    photo = _mirror_randomly(photo, rng)
    affines = _random_trajectory(_random_crop(photo.alpha, spec, rng), spec, rng.uniform(0.1, 1), rng)
    return [_warp_photo(photo, affine, spec.side) for affine in affines]


# Compositions


def _compose_scene(photos: Photos, photo: Photo, spec: SceneSpec, rng: np.random.Generator) -> list[Photo]:
    """Make a scene of a subject, or a random shape of its texture, over another photograph's background.

    With a prompt, the other photograph's own subject may stay in it, and a distractor may be behind or in
    front of the subject.
    """
    side, extent = spec.side, rng.uniform(0.1, 1)
    photo = _mirror_randomly(photo, rng)
    backdrop = _draw_photo(photos, spec, rng)
    if not spec.automatic and rng.random() < 0.3:
        photo = Photo(photo.picture, _random_shape(photo.alpha.shape, rng))
    background = backdrop.picture
    if spec.automatic or rng.random() < 0.4:  # without its own subject
        background = extend_colours(Photo(backdrop.picture, 255 - backdrop.alpha))
    subject = Photo(_match_light(extend_colours(photo), photo.alpha, background, rng), photo.alpha)
    hair = _draw_hair(photo.alpha, rng) if rng.random() < 0.25 else np.zeros_like(photo.alpha)
    blur = _random_blur(side, rng)
    full = np.full(backdrop.alpha.shape, 255, np.uint8)
    camera = _random_trajectory(_random_crop(full, spec, rng), spec, extent, rng)
    affines = _random_trajectory(_random_crop(photo.alpha, spec, rng), spec, extent, rng)
    distractor = None
    if not spec.automatic and rng.random() < 0.55:  # one in three is the subject's twin
        same_photo = rng.random() < 0.35
        distractor = _Distractor(
            _mirror_randomly(photo, rng) if same_photo else _draw_photo(photos, spec, rng), spec, extent, rng
        )
    frames = []
    for n, affine in enumerate(affines):
        picture = as_floats(_warp_image(background, camera[n], side, cv2.BORDER_REFLECT_101))
        if distractor and not distractor.in_front:
            picture, _ = distractor.composite(picture, n)
        warped = _warp_photo(subject, affine, side)
        alpha = np.maximum(warped.alpha, _warp_image(hair, affine, side, cv2.BORDER_CONSTANT))
        share = blur(as_floats(alpha / 255))
        picture = _blend(picture, blur(as_floats(warped.picture)), share)
        if distractor and distractor.in_front:
            picture, occlusion = distractor.composite(picture, n)
            share = as_floats(share * (1 - occlusion))
        frames.append(Photo(picture.clip(0, 255).astype(np.uint8), np.rint(255 * share).astype(np.uint8)))
    return frames


class _Distractor:
    """Distractor: another subject, of this photograph or another one."""

    def __init__(self, photo: Photo, spec: SceneSpec, extent: float, rng: np.random.Generator) -> None:
        self._photo = Photo(extend_colours(photo), photo.alpha)
        beside = _random_motion(_random_crop(photo.alpha, spec, rng), spec.side, 2, rng)
        self._ways = _random_trajectory(beside, spec, extent, rng)
        self.in_front = bool(rng.random() < 0.4)
        """True if it is in front of the subject and occludes a part of it."""

    def composite(self, picture: Floats, frame: int) -> tuple[Floats, Floats]:
        """Composite it over a picture; returns the picture and its alpha, `[H, W]`, 0 to 1."""
        colours, alpha = (
            as_floats(_warp_image(image, self._ways[frame], len(picture), cv2.BORDER_CONSTANT))
            for image in self._photo
        )
        share = as_floats(alpha / 255)
        return _blend(picture, colours, share), share


def _draw_photo(photos: Photos, spec: SceneSpec, rng: np.random.Generator) -> Photo:
    _, name = photos.draw(rng, marked=not spec.automatic)
    return _mirror_randomly(photos.read(name), rng)


def _blend(picture: Floats, colours: Floats, share: Floats) -> Floats:
    return as_floats(picture + share[..., None] * (colours - picture))


def extend_colours(photo: Photo) -> Image:
    """Return the picture with the subject's colours extended outwards, over the old background."""
    share = as_floats(photo.alpha > 127)
    if not share.any():
        return photo.picture
    picture = as_floats(photo.picture)
    result, filled = picture * share[..., None], share.copy()
    weighted = result.copy()
    for radius in (7, 31, 127):  # pixels; a larger radius only fills what a smaller one did not reach
        size = (2 * radius + 1,) * 2
        blurred, count = as_floats(cv2.blur(weighted, size)), as_floats(cv2.blur(share, size))
        new = (filled < 0.5) & (count > 1e-3)
        result[new] = blurred[new] / count[new][:, None]
        filled[new] = 1
    result[filled < 0.5] = picture[share > 0.5].mean(0)
    return np.asarray(result.clip(0, 255), np.uint8)


def _random_shape(shape: tuple[int, ...], rng: np.random.Generator) -> Matte:
    """Return a random shape, so that the network also learns prompts on things without a class."""
    height, width = shape
    count = int(rng.integers(5, 12))
    angles = np.sort(rng.uniform(0, 2 * np.pi, count))
    radii = rng.uniform(0.4, 1, count)[:, None] * rng.uniform(0.1, 0.35, 2) * (width, height)
    corners = np.array([width, height]) * rng.uniform(0.3, 0.7, 2)
    corners = corners + radii * np.stack((np.cos(angles), np.sin(angles)), 1)
    shape_mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(shape_mask, [corners.astype(np.int32)], 255)
    if rng.random() < 0.6:  # rounded
        rounded = as_floats(cv2.GaussianBlur(shape_mask, (0, 0), 0.04 * max(height, width)))
        shape_mask = np.asarray(255 * (rounded > 127), np.uint8)
    return shape_mask


def _match_light(subject: Image, alpha: Matte, background: Image, rng: np.random.Generator) -> Image:
    """Return the subject's picture with its mean colour moved towards that of its new background."""
    inside = subject[alpha > 127]
    if not len(inside):
        return subject
    gain = (background.reshape(-1, 3).mean(0) + 20) / (inside.mean(0) + 20)
    return np.asarray((subject * gain ** rng.uniform(0, 0.7)).clip(0, 255), np.uint8)


def _random_blur(side: int, rng: np.random.Generator) -> Blur:
    """Return a random defocus or motion blur for the subject and its alpha; often none."""
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


def _draw_hair(alpha: Matte, rng: np.random.Generator) -> Matte:
    """Draw hair: thin bent lines of partial alpha that leave the outline; `[H, W]` uint8."""
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
        outward = (root - centre) / (np.linalg.norm(root - centre) + 1e-6)
        bend = np.array([-outward[1], outward[0]]) * rng.normal(0, 0.6)
        t = np.linspace(-0.2, 1, 6)[:, None]
        points = root + length * rng.uniform(0.3, 1) * (outward * t + bend * t**2)
        eighths = np.rint(8 * points).astype(np.int32)
        opacity = int(rng.integers(90, 256))
        cv2.polylines(strands, [eighths], False, opacity, 1, cv2.LINE_AA, shift=3)
    return strands


# Camera


def _apply_camera(frames: Sequence[Photo], rng: np.random.Generator) -> list[Photo]:
    """Apply the same random camera to all frames."""
    camera = _Camera(rng)
    return [Photo(camera.apply(frame.picture, rng), frame.alpha) for frame in frames]


class _Camera:
    """Random camera: exposure, tone curve, saturation, resolution, blur, noise and compression."""

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

    def apply(self, picture: Image, rng: np.random.Generator) -> Image:
        """Degrade a picture; `rng` draws the noise, which is new on each frame."""
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
