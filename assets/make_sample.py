"""Makes sample.mp4 from two photographs in the public domain: `python -m assets.make_sample [OUTPUT]`.

A portrait is cut out once, by hand and by colour, and set moving before a second photograph as if a hand-held
camera had filmed it in the evening. assets/README.md names the photographs and their terms. Everything is
seeded: the frames and the sound are the same each time, and the encoder's bytes nearly so.
"""

import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import skimage
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

PHOTOGRAPHS = Path(skimage.__file__).parent / "data"  # those that the wheel itself holds
WIDTH, HEIGHT = 960, 540
RATE = Fraction(24)
FRAMES = 132
SAMPLE_RATE = 48000
SHUTTER = 5  # pictures taken while the shutter is open, which is half of the time

# Her outline in the portrait, clockwise from the left arm; good to two or three pixels.
# fmt: off
OUTLINE = np.array([
    (36, 512), (31, 500), (26, 480), (24, 460), (24, 440), (23, 430), (20, 410), (19, 400),
    (20, 388), (24, 375), (26, 360), (26, 345), (28, 335), (31, 325), (34, 312), (40, 300),
    (41, 290), (46, 280), (49, 270), (57, 257), (68, 243), (78, 235), (90, 228), (100, 220),
    (108, 210), (112, 206), (115, 203), (112, 187), (119, 185), (121, 178), (128, 167), (140, 157),
    (155, 151), (173, 148), (185, 149), (183, 136), (180, 132), (174, 127), (171, 120), (162, 111),
    (156, 101), (154, 85), (153, 70), (156, 58), (165, 48), (178, 40), (190, 34), (194, 28),
    (203, 21), (218, 17), (232, 15), (244, 16), (258, 21), (276, 31), (287, 41), (295, 53),
    (298, 65), (301, 80), (301, 91), (297, 103), (289, 118), (279, 129), (276, 135), (270, 137),
    (267, 136), (265, 148), (259, 161), (256, 174), (266, 180), (279, 191), (291, 206), (301, 224),
    (305, 235), (318, 241), (331, 252), (341, 263), (347, 278), (351, 284), (356, 304), (362, 332),
    (361, 341), (365, 350), (380, 347), (398, 343), (419, 345), (443, 353), (463, 367), (479, 387),
    (489, 407), (494, 428), (497, 449), (503, 456), (509, 467), (512, 485), (512, 512),
], np.int32)
# fmt: on
NECK = (228.0, 190.0)  # what the head turns about


def photograph(name: str) -> np.ndarray:
    """A photograph of scikit-image's, `[H, W, 3]` float32 in [0, 1], RGB as it is encoded."""
    found = cv2.imread(str(PHOTOGRAPHS / name))
    if found is None:
        raise FileNotFoundError(PHOTOGRAPHS / name)
    return found[..., ::-1].astype(np.float32) / 255


def linear(encoded: np.ndarray) -> np.ndarray:
    """Light, in which lenses blur and shutters add up, from encoded values."""
    return np.asarray(np.clip(encoded, 0, None) ** 2.2)


def encoded(light: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(light, 0, 1) ** (1 / 2.2))


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)


def guided(image: np.ndarray, alpha: np.ndarray, radius: int, epsilon: float) -> np.ndarray:
    """Guided filter with a gray guide: alpha's steps move to where the image has steps."""
    guide = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    size = (2 * radius + 1, 2 * radius + 1)
    mean_g, mean_a = cv2.blur(guide, size), cv2.blur(alpha, size)
    slope = (cv2.blur(guide * alpha, size) - mean_g * mean_a) / (
        cv2.blur(guide * guide, size) - mean_g * mean_g + epsilon
    )
    offset = mean_a - slope * mean_g
    return np.asarray(np.clip(cv2.blur(slope, size) * guide + cv2.blur(offset, size), 0, 1))


def cut_out(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colours `[H, W, 3]` free of what was behind, and alpha `[H, W]`, of the portrait's person."""
    height, width = image.shape[:2]
    drawn = np.zeros((height, width), np.uint8)
    cv2.fillPoly(drawn, [OUTLINE], 255)
    rows = np.arange(height)[:, None]

    def between(mask: np.ndarray, body: int, hair: int) -> tuple[np.ndarray, np.ndarray]:
        """Surely inside and surely outside, each away from the edge; hair needs more room than cloth."""
        # Outside the picture counts as the mask's own continuation: the arm goes on below it.
        within = cv2.distanceTransform(cv2.copyMakeBorder(mask, 9, 9, 9, 9, cv2.BORDER_REPLICATE), 2, 5)
        beyond = cv2.distanceTransform(cv2.copyMakeBorder(255 - mask, 9, 9, 9, 9, cv2.BORDER_REPLICATE), 2, 5)
        band = np.where(rows < 128, hair, body)
        return within[9:-9, 9:-9] > band, beyond[9:-9, 9:-9] > band

    # The outline is put right by colour, within a few pixels of where it was drawn.
    inside, outside = between(drawn, 4, 6)
    labels = np.where(drawn > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[inside], labels[outside] = cv2.GC_FGD, cv2.GC_BGD
    cv2.setRNGSeed(1)
    models = np.zeros((2, 1, 65))
    pixels = np.rint(image[..., ::-1] * 255).astype(np.uint8)
    cv2.grabCut(pixels, labels, (0, 0, 0, 0), models[0], models[1], 5, cv2.GC_INIT_WITH_MASK)
    found = np.where((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD), 255, 0).astype(np.uint8)
    found = np.asarray(cv2.medianBlur(found, 5), np.uint8)

    # At the edge, alpha is how far a colour lies from the nearby outside's towards the nearby inside's.
    inside, outside = between(found, 2, 5)
    inner, outer = surroundings(image, inside), surroundings(image, outside)
    span = inner - outer
    share = ((image - outer) * span).sum(2) / np.maximum((span * span).sum(2), 1e-3)
    soft = blur(found.astype(np.float32) / 255, 0.8)
    sure = np.clip(np.linalg.norm(span, axis=2) / 0.25, 0, 1)  # like colours tell nothing: keep the outline
    alpha = sure * np.clip(share, 0, 1) + (1 - sure) * soft
    alpha[inside], alpha[outside] = 1, 0
    alpha = guided(image, alpha.astype(np.float32), 2, 1e-3)
    alpha[inside], alpha[outside] = 1, 0
    alpha = np.clip((alpha - 0.06) / 0.88, 0, 1)

    # What the old background lent to the edge is taken back out.
    opacity = alpha[..., None]
    colours = np.where(
        opacity > 0.98, image, inner + opacity * (image - opacity * inner - (1 - opacity) * outer)
    )
    return np.clip(colours, 0, 1).astype(np.float32), alpha.astype(np.float32)


def surroundings(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The colour of the nearest pixels in the mask, at every pixel: near ones if there are any."""
    weight = mask.astype(np.float32)
    result = image * 0
    for sigma in (24, 8, 3):
        near = blur(weight, sigma)[..., None]
        colour = blur(image * weight[..., None], sigma) / np.maximum(near, 1e-6)
        trust = np.clip(near / 0.05, 0, 1) if sigma < 24 else 1
        result = trust * colour + (1 - trust) * result
    return result


def out_of_focus(image: np.ndarray, radius: int) -> np.ndarray:
    """Light through an open aperture: every point becomes a disc."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1).astype(np.float32)
    return cv2.filter2D(image, -1, disc / disc.sum(), borderType=cv2.BORDER_REFLECT)


def launch_pad() -> np.ndarray:
    """The evening behind her, in light, `[H, W, 3]`, with a margin for the camera to move in."""
    image = linear(photograph("rocket.jpg"))
    lamps = np.clip(image.max(2, keepdims=True) - 0.5, 0, None)
    light = image * 2.4 + image * lamps * 16  # a photograph's white is where its film ended, not the lamp
    large = cv2.resize(light, None, fx=1.76, fy=1.76, interpolation=cv2.INTER_CUBIC)
    return out_of_focus(np.clip(large, 0, None), 6)


def portrait() -> np.ndarray:
    """The person, in light, `[H, W, 4]`, multiplied by alpha, lit for the evening."""
    colours, alpha = cut_out(photograph("astronaut.png"))
    light = linear(colours) * np.array((0.88, 0.79, 0.76), np.float32)  # a lamp beside the camera
    light *= np.linspace(1.06, 0.72, len(light), dtype=np.float32)[:, None, None]  # aimed at the face
    return np.dstack([light * alpha[..., None], alpha])


def sway(seconds: float, *cycles: float) -> float:
    """A slow wandering in [-1, 1]: sines that do not come back together."""
    return float(sum(np.sin(2 * np.pi * f * seconds + 7 * f) / (k + 1) for k, f in enumerate(cycles)) / 1.8)


def pose(seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the place in the portrait of each pixel of the frame, as remap's two maps `[H, W]`."""
    way = 0.5 - 0.5 * np.cos(np.pi * seconds * RATE / FRAMES)  # 0 to 1, starting and ending gently
    size = 1.10 + 0.07 * way
    roll = np.radians(1.6 * sway(seconds, 0.31, 0.83))
    x = np.arange(WIDTH, dtype=np.float32) - (WIDTH * (0.41 + 0.18 * way) + 9 * sway(seconds, 0.47, 1.1))
    y = np.arange(HEIGHT, dtype=np.float32) - (HEIGHT + 4 * sway(seconds, 1.7, 0.6))
    x, y = np.meshgrid(x / size, y / size)
    u = x * np.cos(roll) + y * np.sin(roll) + 240
    v = y * np.cos(roll) - x * np.sin(roll) + 452

    # She breathes: the shoulders rise, and what hangs below them follows less and less.
    v += 1.5 * np.sin(2 * np.pi * 0.33 * seconds) * np.clip((500 - v) / 300, 0, 1)
    # The head nods and tilts about the neck, which bends.
    free = np.clip((205 - v) / 75, 0, 1)
    free = free * free * (3 - 2 * free)
    tilt = -np.radians(4.5 * sway(seconds, 0.37, 0.9)) * free
    du, dv = u - NECK[0], v - NECK[1]
    u = NECK[0] + du * np.cos(tilt) - dv * np.sin(tilt)
    v = NECK[1] + du * np.sin(tilt) + dv * np.cos(tilt)
    # It also turns a little: what is nearer to the camera, the middle of the face, moves further.
    relief = np.clip(1 - ((u - 227) / 82) ** 2 - ((v - 95) / 88) ** 2, 0, 1)
    u += 5.5 * sway(seconds, 0.29, 0.71) * relief
    v += 2.5 * sway(seconds, 0.53, 0.23) * relief
    return u.astype(np.float32), v.astype(np.float32)


def exposure(seconds: float, person: np.ndarray, evening: np.ndarray) -> np.ndarray:
    """The light of one moment, `[HEIGHT, WIDTH, 3]`."""
    way = 0.5 - 0.5 * np.cos(np.pi * seconds * RATE / FRAMES)
    hand = np.array((5 * sway(seconds, 0.8, 2.3), 4 * sway(seconds, 1.1, 2.9)))
    corner = np.array((15 + 125 * way, evening.shape[0] - HEIGHT - 8)) + hand
    roll = np.radians(0.35 * sway(seconds, 0.6, 1.9))
    turn = np.array([[np.cos(roll), -np.sin(roll), corner[0]], [np.sin(roll), np.cos(roll), corner[1]]])
    behind = cv2.warpAffine(
        evening,
        turn,
        (WIDTH, HEIGHT),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT,
    )
    u, v = pose(seconds)
    shaken = hand.astype(np.float32) / 2
    front = cv2.remap(person, u - shaken[0], v - shaken[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    opacity = np.clip(front[..., 3:], 0, 1)
    # Light from behind creeps round the edge.
    wrap = 0.25 * opacity * np.clip(1 - blur(opacity, 5)[..., None], 0, 1) * blur(behind, 9)
    return np.asarray(np.clip(front[..., :3], 0, None) + wrap + (1 - opacity) * behind)


def shoot() -> list[np.ndarray]:
    """The frames, `[HEIGHT, WIDTH, 3]` uint8."""
    random = np.random.default_rng(1995)
    person, evening = portrait(), launch_pad()
    frames = []
    for n in range(FRAMES):
        moments = [float((n + 0.5 * k / SHUTTER) / RATE) for k in range(SHUTTER)]
        light = np.mean([exposure(moment, person, evening) for moment in moments], axis=0)
        light = 0.97 * light + 0.03 * blur(light, 12)  # no lens is free of a little haze
        grain = blur(random.normal(0, 1, (HEIGHT, WIDTH, 1)).astype(np.float32), 0.7)[..., None]
        picture = encoded(light)
        picture += 0.014 * grain * (1 - 0.6 * picture)
        frames.append(np.clip(np.rint(picture * 255), 0, 255).astype(np.uint8))
    return frames


def pluck(random: np.random.Generator, frequency: float, seconds: float) -> np.ndarray:
    """One note of a string (Karplus and Strong), `[samples]` float64."""
    period = round(SAMPLE_RATE / frequency)
    string = np.convolve(random.uniform(-1, 1, period + 15), np.hanning(16) / 7.5, "valid")
    string -= string.mean()
    rounds = []
    for _ in range(round(seconds * SAMPLE_RATE) // period):
        rounds.append(string)
        string = 0.9965 * (0.5 * string + 0.5 * np.roll(string, 1))
    note = np.concatenate(rounds)
    return note * np.linspace(1, 0, len(note))


def play() -> np.ndarray:
    """The sound, `[samples, 2]` int16, exactly as long as the picture."""
    random = np.random.default_rng(63)
    total = round(FRAMES / RATE * SAMPLE_RATE)
    sound = random.normal(0, 0.0012, (total, 2))  # the quiet of a room
    melody = (146.83, 220.0, 293.66, 369.99, 440.0, 369.99, 329.63, 293.66, 246.94, 293.66, 220.0)
    for beat, frequency in enumerate(melody):
        start = round((0.15 + 0.42 * beat) * SAMPLE_RATE)
        note = pluck(random, frequency, 2.6)[: total - start]
        left = 0.5 + 0.3 * np.sin(1.3 * beat)
        sound[start : start + len(note)] += 0.4 * note[:, None] * (left, 1 - left)
    fade = np.clip((total - np.arange(total)) / (0.9 * SAMPLE_RATE), 0, 1)[:, None]
    return np.rint(np.clip(sound * fade, -1, 1) * 32767).astype(np.int16)


def add_video(container: Any, width: int, height: int, preset: str, crf: int) -> Any:
    """Add an H.264 stream of BT.709, at RATE frames a second, to a container that is being written."""
    # One thread, or x264 would divide its bits by how many processors the machine has.
    options = {"preset": preset, "crf": str(crf), "threads": "1"}
    video: Any = container.add_stream("libx264", rate=RATE, options=options)
    video.width, video.height, video.pix_fmt = width, height, "yuv420p"
    video.colorspace, video.color_range = Colorspace.ITU709, ColorRange.MPEG
    video.color_trc, video.color_primaries = ColorTrc.BT709, ColorPrimaries.BT709
    return video


def mux_frames(container: Any, video: Any, frames: list[np.ndarray]) -> None:
    """Encode frames, `[H, W, 3]` uint8 RGB, to the end of the stream and write them to the container."""
    for n, frame in enumerate(frames):
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
        )
        picture.pts, picture.time_base = n, 1 / RATE
        container.mux(video.encode(picture))
    container.mux(video.encode(None))


def write(path: Path, frames: list[np.ndarray], sound: np.ndarray) -> None:
    """H.264 and AAC in an MP4 that starts before it has been read to its end."""
    with av.open(str(path), "w", options={"movflags": "+faststart", "fflags": "+bitexact"}) as container:
        video = add_video(container, WIDTH, HEIGHT, "slow", 18)
        audio: Any = container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
        audio.bit_rate = 96_000
        mux_frames(container, video, frames)
        samples = np.ascontiguousarray(sound.reshape(1, -1))
        block = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
        block.sample_rate, block.time_base, block.pts = SAMPLE_RATE, Fraction(1, SAMPLE_RATE), 0
        container.mux(audio.encode(block))
        container.mux(audio.encode(None))


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("sample.mp4")
    write(path, shoot(), play())
    print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
