"""Light of a composite on rendered clips whose light is known: errors, flicker, and milliseconds a frame.

A figure walks across ground on which it throws a known shadow, in a known light; the true composite lays it
upon a new background with that shadow, or in that background's light. Run it as `python -m benchmarks.light`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from benchmarks.flicker import flicker
from pipeline.arrays import Image, Matte
from pipeline.compositing.composite import over
from pipeline.compositing.depth_blur import blur_by_depth
from pipeline.compositing.light import darken
from pipeline.compositing.match import Colours, fit_match, measure_colours, recolour
from pipeline.compositing.plate import PlateBuilder, measure_shadow
from tests.shadowed import Shadowed, shadowed_clip

FRAMES = 48
RUNS = 5


def main() -> None:
    """Print a line for each: flicker is that over the truth's for the kept shadow, and over none's else."""
    cv2.setNumThreads(1)
    for pan in (0.0, 2.0):
        report(f"kept shadow, camera {'pans' if pan else 'stands'}", *kept_shadow(pan))
    report("matched colours", *matched_colours())
    report("blur by depth", None, depth_blur())
    for name, milliseconds in costs().items():
        print(f"{name}: {milliseconds:.1f} ms a frame of 1920 × 1080, one thread")


def report(name: str, errors: tuple[float, float] | None, ratio: float) -> None:
    without = "" if errors is None else f"error {errors[0]:.2f} without, {errors[1]:.2f} with; "
    print(f"{name}: {without}flicker {ratio:.3f} times")


def kept_shadow(pan: float) -> tuple[tuple[float, float], float]:
    """Return the errors (levels of 255, around the subject) without and with it, and the ratio of flicker."""
    clip = shadowed_clip(FRAMES, pan=pan)
    behind = patches(2, clip)
    builder = PlateBuilder()
    for image, matte in zip(clip.frames, clip.alphas, strict=True):
        builder.add(image, matte)
    plate = builder.build()
    assert plate is not None
    plain, kept, true = [], [], []
    for subject, image, alpha, shade in zip(*clip[3:4], *clip[:3], strict=True):
        found = measure_shadow(image, alpha, plate)
        shadow = np.zeros_like(alpha) if found is None else found
        plain.append(over(subject, alpha, behind))
        kept.append(over(subject, alpha, darken(behind, shadow)))
        true.append(over(subject, alpha, np.rint(behind * (1 - shade[..., None])).astype(np.uint8)))
    # A shadow that moves is a change that no flow explains, also in the truth.
    return errors(plain, kept, true), ratio_of_flicker(true, kept)


def matched_colours() -> tuple[tuple[float, float], float]:
    """Return the same for a figure with colours of all kinds, that is lit as the new background is."""
    clip = shadowed_clip(FRAMES)
    gain = np.array((0.72, 0.78, 0.92))
    cloth, wall = patches(1, clip), patches(2, clip)
    behind = (wall * gain).astype(np.uint8)
    parts = [measure_colours(cloth, alpha) for alpha in clip.alphas]
    own, other = Colours.sum(part for part in parts if part is not None), measure_colours(behind)
    assert own is not None and other is not None
    matching = fit_match(own, other, 1.0)
    plain = [over(cloth, alpha, behind) for alpha in clip.alphas]
    matched = [over(recolour(cloth, matching), alpha, behind) for alpha in clip.alphas]
    true = [over((cloth * gain).astype(np.uint8), alpha, behind) for alpha in clip.alphas]
    return errors(plain, matched, true), ratio_of_flicker(plain, matched)


def depth_blur() -> float:
    """Return the flicker of the blurred background over that of the sharp one."""
    clip = shadowed_clip(FRAMES)
    blurred = [
        over(image, alpha, blur_by_depth(image, alpha, 24))
        for image, alpha in zip(clip.frames, clip.alphas, strict=True)
    ]
    return ratio_of_flicker(clip.frames, blurred)


def patches(seed: int, clip: Shadowed) -> Image:
    """Return patches of all colours, as large as the clip."""
    random = np.random.default_rng(seed)
    height, width = clip.alphas[0].shape
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


def ratio_of_flicker(plain: Sequence[Image], lit: Sequence[Image]) -> float:
    """Return the flicker of the brightness of a composite over that of another."""

    def brightness(frames: Sequence[Image]) -> list[Matte]:
        return [np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)) for frame in frames]

    return flicker(lit, brightness(lit)) / flicker(plain, brightness(plain))


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
