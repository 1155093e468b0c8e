"""Reads clips through the ffmpeg and ffprobe programs: a witness that shares no code with what is tested."""

import json
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

# Channels and sample type of each pixel format that `frames` can return.
LAYOUTS = {
    "gray": (1, "u1"),
    "gray16le": (1, "<u2"),
    "rgb24": (3, "u1"),
    "rgba": (4, "u1"),
    "rgb48le": (3, "<u2"),
    "rgba64le": (4, "<u2"),
}


def _output(program: str, *arguments: str | Path) -> bytes:
    done = subprocess.run([program, "-v", "error", *map(str, arguments)], capture_output=True)
    if done.returncode:
        raise RuntimeError(f"{program}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def probe(path: Path | str) -> dict[str, Any]:
    """Return ffprobe's description of a file: `streams`, a list, and `format`."""
    told: dict[str, Any] = json.loads(
        _output("ffprobe", "-show_streams", "-show_format", "-of", "json", path)
    )
    return told


def stream(path: Path | str, kind: str = "video") -> dict[str, Any]:
    """The first stream of a kind, as ffprobe tells it. LookupError if there is none."""
    streams: list[dict[str, Any]] = probe(path)["streams"]
    for stream in streams:
        if stream["codec_type"] == kind:
            return stream
    raise LookupError(f"{path} has no {kind}")


def rotation(path: Path | str) -> int:
    """Degrees, clockwise, by which a player turns the stored picture: 0, 90, 180 or 270."""
    data = stream(path).get("side_data_list", [])
    return -round(next((entry["rotation"] for entry in data if "rotation" in entry), 0)) % 360


def frame_times(path: Path | str) -> list[Fraction]:
    """Presentation time of every decoded picture, in seconds and exact."""
    entries = "frame=best_effort_timestamp:stream=time_base"
    told = json.loads(
        _output("ffprobe", "-select_streams", "v:0", "-show_entries", entries, "-of", "json", path)
    )
    time_base = Fraction(told["streams"][0]["time_base"])
    return [frame["best_effort_timestamp"] * time_base for frame in told["frames"]]


def frames(path: Path | str, pix_fmt: str = "rgb24") -> np.ndarray:
    """Every picture as a player shows it, turned as the file asks: `[N, H, W, C]`, or `[N, H, W]` of gray."""
    channels, dtype = LAYOUTS[pix_fmt]
    told = stream(path)
    height, width = told["height"], told["width"]
    if rotation(path) in (90, 270):
        height, width = width, height
    # FFmpeg's own VP9 decoder passes over the alpha.
    decoder = ["-c:v", "libvpx-vp9"] if told["codec_name"] == "vp9" else []
    exact = f"scale=flags=bicubic+accurate_rnd+full_chroma_int,format={pix_fmt}"
    every = ["-map", "0:v:0", "-fps_mode", "passthrough", "-vf", exact]
    raw = _output("ffmpeg", *decoder, "-i", path, *every, "-f", "rawvideo", "-")
    shape = (-1, height, width) if channels == 1 else (-1, height, width, channels)
    return np.frombuffer(raw, dtype).reshape(shape)


def light(path: Path | str) -> np.ndarray:
    """Every picture of floats as it is stored: `[N, H, W, 4]` float32 RGBA; without alpha it is opaque."""
    told = stream(path)
    alpha = told["pix_fmt"].startswith("gbra")
    kind = "gbrapf32le" if alpha else "gbrpf32le"
    raw = _output("ffmpeg", "-i", path, "-pix_fmt", kind, "-f", "rawvideo", "-")
    planes = np.frombuffer(raw, "<f4").reshape(-1, 4 if alpha else 3, told["height"], told["width"])
    opaque = np.ones_like(planes[:, 0])
    return np.stack([planes[:, 2], planes[:, 0], planes[:, 1], planes[:, 3] if alpha else opaque], axis=3)


def sound(path: Path | str) -> tuple[int, np.ndarray]:
    """Sample rate and the samples, `[N, channels]` float32 in [-1, 1]."""
    told = stream(path, "audio")
    raw = _output("ffmpeg", "-i", path, "-map", "0:a:0", "-f", "f32le", "-")
    return int(told["sample_rate"]), np.frombuffer(raw, "<f4").reshape(-1, told["channels"])


def sound_duration(path: Path | str) -> Fraction:
    """Seconds of sound that come out of the decoder."""
    rate, samples = sound(path)
    return Fraction(len(samples), rate)
