"""Clips with known truth: rendered frames with their exact alphas, and files written from frames."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation

from pipeline.prompts import Box, Prompt

SAMPLE_RATE = 48000
SOUND_CODECS = {".webm": "libopus", ".avi": "pcm_s16le"}  # what the container's players expect; else AAC
OPTIONS = {
    "libx264": {"preset": "veryfast", "crf": "12"},  # what a test loses should be its subject's fault
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "5", "crf": "12", "b": "0", "auto-alt-ref": "0"},
}


def subject_over_background(
    frames: int = 24, width: int = 640, height: int = 360
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """A moving, turning, soft-edged figure before a shaken camera's background.

    Returns RGB frames `[H, W, 3]` and the alphas `[H, W]` they were composed with, both uint8. The same
    arguments always give the same clip, and a shorter clip is the start of a longer one.
    """
    random = np.random.default_rng(7)
    wall = _background(random, width, height)
    cloth = _texture(random, 512, 512, dark=(120, 30, 20), light=(255, 190, 110))
    results = [_frame(random, n, wall, cloth, width, height) for n in range(frames)]
    return [frame for frame, _ in results], [alpha for _, alpha in results]


def _frame(
    random: np.random.Generator, n: int, wall: np.ndarray, cloth: np.ndarray, width: int, height: int
) -> tuple[np.ndarray, np.ndarray]:
    # Camera shake by fractions of a pixel, as a hand does, inside the margin that the wall has.
    margin = (np.array(wall.shape[1::-1]) - (width, height)) / 2
    shake = margin * (1 + 0.6 * np.sin([0.9 * n, 0.7 * n + 1]))
    camera = np.array([[1, 0, -shake[0]], [0, 1, -shake[1]]])
    behind = cv2.warpAffine(wall, camera, (width, height), flags=cv2.INTER_LINEAR)

    # The figure is drawn from distances in its own coordinates, so its alpha is exact and never resampled.
    t = n / 24
    unit = height / 2
    x0, y0 = width * (0.5 + 0.16 * np.sin(2.2 * t)), height * (0.58 + 0.03 * np.sin(5 * t))
    turn, size = np.radians(9 * np.sin(3 * t)), 1 + 0.06 * np.sin(1.7 * t)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    dx, dy = (x - x0) / (unit * size), (y - y0) / (unit * size)
    u, v = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)

    angle = np.arctan2(v + 0.42, u)
    tufts = 0.012 * np.sin(23 * angle) + 0.008 * np.sin(41 * angle + 1)
    head = np.hypot(u, v + 0.42) - 0.3 - tufts
    body = (np.hypot(u / 0.6, (v - 0.75) / 0.95) - 1) * 0.6
    soft = 3 / unit  # the edge is a few pixels wide
    coverage = np.clip(0.5 - np.minimum(head, body) / (2 * soft), 0, 1)
    alpha = np.rint(255 * coverage * coverage * (3 - 2 * coverage)).astype(np.uint8)

    across, down = ((u + 1) * 255).astype(np.float32), ((v + 1) * 255).astype(np.float32)
    figure = cv2.remap(cloth, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    opacity = alpha[..., None].astype(np.float32) / 255
    grain = random.normal(0, 2, (height, width, 1)).astype(np.float32)
    composed = opacity * figure + (1 - opacity) * behind + grain
    return np.clip(np.rint(composed), 0, 255).astype(np.uint8), alpha


def _texture(
    random: np.random.Generator, width: int, height: int, *, dark: Sequence[int], light: Sequence[int]
) -> np.ndarray:
    """Noise of several sizes between two colours, `[H, W, 3]` float32 in [0, 255]."""
    total: np.ndarray = np.zeros((height, width), np.float32)
    for cells in (4, 9, 21, 55, 130):
        noise = random.random((cells, cells), np.float32)
        total = total + cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC) / cells**0.5
    share = ((total - total.min()) / np.ptp(total))[..., None]
    return np.asarray((1 - share) * np.array(dark, np.float32) + share * np.array(light, np.float32))


def _background(random: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A cool, out-of-focus room, a little larger than the frame."""
    width, height = width + width // 20 * 2, height + height // 20 * 2
    room = _texture(random, width, height, dark=(20, 50, 70), light=(110, 170, 190))
    for _ in range(14):  # things that stand about, each with edges of its own
        corner = random.integers((0, 0), (width, height))
        size = random.integers((width // 16, height // 8), (width // 6, height // 2))
        colour = random.integers((10, 60, 60), (120, 210, 230)).tolist()
        cv2.rectangle(room, corner.tolist(), (corner + size).tolist(), colour, cv2.FILLED, cv2.LINE_AA)
    grit = random.normal(0, 6, (height, width, 1)).astype(np.float32)
    return cv2.GaussianBlur(room, (0, 0), height / 240) + cv2.GaussianBlur(grit, (0, 0), 1)[..., None]


def click_track(seconds: Fraction | float) -> np.ndarray:
    """Stereo sound `[samples, 2]`, int16: low left, high right, and a click at every full second."""
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tones = 0.2 * np.stack([np.sin(2 * np.pi * 220 * t), np.sin(2 * np.pi * 660 * t)], axis=1)
    tones[t % 1 < 0.01] *= 4
    return np.rint(tones * 32767).astype(np.int16)


def write_clip(
    path: Path | str,
    frames: Sequence[np.ndarray],
    *,
    rate: Fraction | int = Fraction(24),
    pts: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    sound: bool | Fraction | float | None = None,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    rotation: int = 0,
    sample_aspect_ratio: Fraction | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write a clip in the container that the suffix names, and return its path.

    frames: `[H, W, 3]` RGB or `[H, W, 4]` RGBA, uint8 or uint16; YUV is BT.709, limited range, and says so.
    pts: presentation times in `time_base`, for a variable rate; without it frames are `1 / rate` apart.
    sound: seconds of sound, or True for as many as the picture has.
    rotation: degrees, clockwise, by which a player is told to turn the stored picture (MP4 and MOV).
    sample_aspect_ratio: width to height of a pixel (MP4 and MOV).
    options: the codec's, instead of OPTIONS, which are fast and nearly lossless.
    """
    path = Path(path)
    rate = Fraction(rate)
    time_base = time_base or 1 / rate
    if pts is None:
        pts = [round(n / rate / time_base) for n in range(len(frames))]
    # A frame lasts until the next; the last as long as the one before it.
    lengths = [after - before for before, after in pairwise(pts)]
    lengths.append(lengths[-1] if lengths else max(1, round(1 / rate / time_base)))

    with av.open(str(path), "w") as container:
        # PyAV's stubs know each codec by name; ours is the caller's choice.
        video: Any = container.add_stream(
            codec, rate=rate, options=OPTIONS.get(codec) if options is None else options
        )
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = pix_fmt
        video.time_base = video.codec_context.time_base = time_base
        if pix_fmt.startswith("yuv"):
            video.colorspace, video.color_range = Colorspace.ITU709, ColorRange.MPEG
            video.color_trc, video.color_primaries = ColorTrc.BT709, ColorPrimaries.BT709
        if sample_aspect_ratio:
            video.codec_context.sample_aspect_ratio = sample_aspect_ratio
        if rotation:
            video.set_display_rotation(-rotation)  # FFmpeg counts anticlockwise
        audio: Any = None
        if sound:
            audio = container.add_stream(SOUND_CODECS.get(path.suffix, "aac"), rate=SAMPLE_RATE)
            audio.layout = "stereo"

        for array, moment, length in zip(frames, pts, lengths, strict=True):
            picture = _picture(array, pix_fmt)
            picture.pts, picture.time_base, picture.duration = moment, time_base, length
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        if sound:
            seconds = (pts[-1] + lengths[-1]) * time_base if sound is True else sound
            samples = np.ascontiguousarray(click_track(seconds).reshape(1, -1))
            block = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
            block.sample_rate, block.time_base, block.pts = SAMPLE_RATE, Fraction(1, SAMPLE_RATE), 0
            container.mux(audio.encode(block))
            container.mux(audio.encode(None))
    return path


def _picture(array: np.ndarray, pix_fmt: str) -> av.VideoFrame:
    """The array as a frame of `pix_fmt`, converted by BT.709 where that is YUV."""
    layout = {(3, 1): "rgb24", (4, 1): "rgba", (3, 2): "rgb48le", (4, 2): "rgba64le"}
    picture = av.VideoFrame.from_ndarray(array, format=layout[array.shape[2], array.itemsize])
    if not pix_fmt.startswith("yuv"):
        return picture.reformat(format=pix_fmt)
    return picture.reformat(
        format=pix_fmt,
        dst_colorspace=Colorspace.ITU709,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
        dst_color_trc=ColorTrc.BT709,
        dst_color_primaries=ColorPrimaries.BT709,
        interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP,
    )


def overlap(matte: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of what is more than half covered."""
    a, b = matte > 127, truth > 127
    return float((a & b).sum() / max(1, (a | b).sum()))


def box_around(alpha: np.ndarray) -> Prompt:
    """The mark that is a tight box around what is more than half covered."""
    x, y, width, height = cv2.boundingRect((alpha > 127).astype(np.uint8))
    return Prompt(box=Box(x, y, x + width, y + height))
