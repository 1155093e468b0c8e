"""Light of a composite: errors, flicker and milliseconds a frame: python -m benchmarks.light [FOLDER]

On rendered clips, whose light is known, a figure walks across ground on which it throws a known shadow, in a
known light; the true composite lays it upon a new background with that shadow, or in that background's light.

Flicker (`benchmarks.flicker`) is that of the composite with the light over that without, along the same flow.
A shadow that moves is itself a change that no flow explains; how much it is, the true composite tells. On the
clips of FOLDER, laid out as for `benchmarks.masked`, each light is laid on by their true masks.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.flicker import flickers
from benchmarks.masked import read_clips, soften
from pipeline.arrays import Image, Matte
from pipeline.compositing.composite import over
from pipeline.compositing.depth_blur import blur_by_depth
from pipeline.compositing.light import Shadow, cast_shadow, darken, wrap_light
from pipeline.compositing.match import Colours, fit_match, measure_colours, recolour
from pipeline.compositing.plate import PlateBuilder, measure_shadow
from pipeline.video.reading.frames import read_frames
from tests.shadowed import shadowed_clip

FRAMES = 48
RUNS = 5
CAMERAS = {
    "stands": {},
    "pans": {"pan": 2.0},
    "is held by hand": {"pan": 1.3, "shake": 3.0},
    "is held by hand, the subject rests first": {"shake": 4.0, "rest": 0.5},
}
"""Clips with a shadow, by what their camera does."""


def main() -> None:
    """Print a line for each light and clip."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="clips with true masks")
    folder = parser.parse_args().folder
    cv2.setNumThreads(1)
    for camera, options in CAMERAS.items():
        report(f"kept shadow, camera {camera}", *kept_shadow(options))
    report("matched colours", *matched_colours())
    report("blur by depth", None, (depth_blur(),))
    for name, milliseconds in costs().items():
        print(f"{name}: {milliseconds:.1f} ms a frame of 1920 × 1080, one thread")
    for name, path, masks in [] if folder is None else read_clips(folder):
        frames = [frame.image for frame in read_frames(path)]
        ratios = real_flicker(frames, [soften(mask) for mask in masks])
        print(f"{name}:", ", ".join(f"{light} {ratio:.3f}" for light, ratio in ratios.items()), flush=True)


def report(name: str, errors: tuple[float, float] | None, ratios: Sequence[float]) -> None:
    """Print the errors without and with a light, and the ratios of flicker: with it, and of the truth."""
    without = "" if errors is None else f"error {errors[0]:.2f} without, {errors[1]:.2f} with; "
    true = f", of the truth {ratios[1]:.3f}" if len(ratios) > 1 else ""
    print(f"{name}: {without}flicker {ratios[0]:.3f} times{true}", flush=True)


def kept_shadow(camera: dict[str, float]) -> tuple[tuple[float, float], list[float]]:
    """Return the errors (levels of 255, near the subject) without and with it, and the ratios of flicker."""
    clip = shadowed_clip(FRAMES, **camera)
    behind = patches(2, clip.alphas[0].shape)
    shadows = keep_shadows(clip.frames, clip.alphas)
    assert shadows is not None
    plain, kept, true = [], [], []
    for subject, alpha, shade, shadow in zip(clip.subject, clip.alphas, clip.shades, shadows, strict=True):
        plain.append(over(subject, alpha, behind))
        kept.append(over(subject, alpha, darken(behind, shadow)))
        true.append(over(subject, alpha, np.rint(behind * (1 - shade[..., None])).astype(np.uint8)))
    return errors(plain, kept, true), ratios_of_flicker(plain, kept, true)


def keep_shadows(frames: Sequence[Image], mattes: Sequence[Matte]) -> list[Matte] | None:
    """Return the shadow of each frame that was filmed; None where no clean plate can be made."""
    builder = PlateBuilder()
    for image, matte in zip(frames, mattes, strict=True):
        builder.add(image, matte)
    plate = builder.build()
    if plate is None:
        return None
    found = [measure_shadow(*pair, plate) for pair in zip(frames, mattes, strict=True)]
    return [np.zeros_like(mattes[0]) if shadow is None else shadow for shadow in found]


def real_flicker(frames: Sequence[Image], mattes: Sequence[Matte]) -> dict[str, float]:
    """Return the ratio of flicker of each light that can be laid on a real clip, upon a still background."""
    behind = patches(2, mattes[0].shape)
    parts = [measure_colours(image, matte) for image, matte in zip(frames, mattes, strict=True)]
    own, other = Colours.sum(part for part in parts if part is not None), measure_colours(behind)
    assert own is not None and other is not None
    matching = fit_match(own, other, 1.0)
    lit: dict[str, list[Image]] = {
        "drawn shadow": [darken(behind, cast_shadow(matte, Shadow())) for matte in mattes]
    }
    if (shadows := keep_shadows(frames, mattes)) is not None:
        lit["kept shadow"] = [darken(behind, shadow) for shadow in shadows]
    plain = [over(*pair, behind) for pair in zip(frames, mattes, strict=True)]
    made = {
        name: [over(*each) for each in zip(frames, mattes, walls, strict=True)] for name, walls in lit.items()
    }
    made["matched colours"] = [
        over(recolour(i, matching), m, behind) for i, m in zip(frames, mattes, strict=True)
    ]
    made["light wrap"] = [
        over(wrap_light(i, m, behind, 0.5), m, behind) for i, m in zip(frames, mattes, strict=True)
    ]
    return dict(zip(made, ratios_of_flicker(plain, *made.values()), strict=True))


def matched_colours() -> tuple[tuple[float, float], list[float]]:
    """Return the same for a figure with colours of all kinds, that is lit as the new background is."""
    clip = shadowed_clip(FRAMES)
    gain = np.array((0.72, 0.78, 0.92))
    cloth, wall = (patches(seed, clip.alphas[0].shape) for seed in (1, 2))
    behind = (wall * gain).astype(np.uint8)
    parts = [measure_colours(cloth, alpha) for alpha in clip.alphas]
    own, other = Colours.sum(part for part in parts if part is not None), measure_colours(behind)
    assert own is not None and other is not None
    matching = fit_match(own, other, 1.0)
    plain = [over(cloth, alpha, behind) for alpha in clip.alphas]
    matched = [over(recolour(cloth, matching), alpha, behind) for alpha in clip.alphas]
    true = [over((cloth * gain).astype(np.uint8), alpha, behind) for alpha in clip.alphas]
    return errors(plain, matched, true), ratios_of_flicker(plain, matched, true)


def depth_blur() -> float:
    """Return the flicker of the blurred background over that of the sharp one."""
    clip = shadowed_clip(FRAMES)
    blurred = [
        over(image, alpha, blur_by_depth(image, alpha, 24))
        for image, alpha in zip(clip.frames, clip.alphas, strict=True)
    ]
    return ratios_of_flicker(clip.frames, blurred)[0]


def patches(seed: int, shape: tuple[int, ...]) -> Image:
    """Return patches of all colours, of this height and width."""
    random = np.random.default_rng(seed)
    height, width = shape
    colours = random.random((height // 9, width // 9, 3), np.float32)
    return np.asarray(60 + 160 * cv2.resize(colours, (width, height)).clip(0, 1), np.uint8)


def errors(plain: Sequence[Image], lit: Sequence[Image], true: Sequence[Image]) -> tuple[float, float]:
    """Return the mean absolute errors where the truth differs from what is plain, in levels of 255."""
    places = [np.abs(a.astype(int) - b).max(axis=2) > 1 for a, b in zip(plain, true, strict=True)]
    without, with_light = (
        float(
            np.mean([np.abs(a.astype(int) - b)[p].mean() for a, b, p in zip(made, true, places, strict=True)])
        )
        for made in (plain, lit)
    )
    return without, with_light


def ratios_of_flicker(plain: Sequence[Image], *lit: Sequence[Image]) -> list[float]:
    """Return the flicker of the brightness of composites over that of the plain one, along its flow."""

    def brightness(frames: Sequence[Image]) -> list[Matte]:
        return [np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)) for frame in frames]

    without, *others = flickers(plain, *map(brightness, (plain, *lit)))
    return [other / without for other in others]


def costs() -> dict[str, float]:
    """Return the milliseconds of each on a frame of 1080p."""
    clips = {pan: shadowed_clip(8, 1920, 1080, pan=pan) for pan in (0.0, 4.0)}
    image, alpha = clips[0.0].frames[4], clips[0.0].alphas[4]
    colours = measure_colours(image)
    assert colours is not None
    matching = fit_match(colours, colours.times(1), 0.5)
    found = {
        "matched colours": measure_time(lambda: recolour(image, matching)),
        "blur by depth": measure_time(lambda: blur_by_depth(image, alpha, 24)),
    }
    for pan, clip in clips.items():
        builder = PlateBuilder()
        for frame, matte in zip(clip.frames, clip.alphas, strict=True):
            builder.add(frame, matte)
        plate = builder.build()
        if plate is not None:
            name = f"kept shadow, camera {'pans' if pan else 'stands'}"
            own = clip.frames[4], clip.alphas[4]
            found[name] = measure_time(lambda own=own, plate=plate: measure_shadow(*own, plate))  # type: ignore[misc]
    return found


def measure_time(run: Callable[[], object]) -> float:
    """Return the shortest of some runs, in milliseconds."""
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return 1000 * min(times)


if __name__ == "__main__":
    main()
