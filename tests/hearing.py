"""Sound with known truth, and how late it is heard: judged by the ffmpeg and ffprobe programs."""

import json
import subprocess
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests import ffprobe


def melody(t: np.ndarray) -> np.ndarray:
    """A tone between 300 and 1700 Hz that at no two moments (seconds `t`) moves alike, in [-0.5, 0.5]."""
    slow = 120 * np.sin(2 * np.pi * (0.155 * t * t + 0.7 * t))
    return np.asarray(0.5 * np.sin(2 * np.pi * 1000 * t + slow + 35 * np.sin(2 * np.pi * 2.3 * t + 1)))


def write_wav(path: Path, samples: np.ndarray, rate: int) -> Path:
    """`samples` are `[n, channels]` in [-1, 1]."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.rint(samples * 32767).astype("<i2").tobytes())
    return path


def write_melody(path: Path, seconds: float, rate: int = 48_000, channels: int = 2) -> Path:
    moments = np.arange(round(seconds * rate)) / rate
    return write_wav(path, np.repeat(melody(moments)[:, None], channels, axis=1), rate)


def ffmpeg(*arguments: object) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


@dataclass
class Heard:
    """Sound of a track: samples `[n, channels]`; `begin` in seconds from the first picture."""

    begin: float
    rate: int
    samples: np.ndarray

    def late(self, at: float, shift: float = 0, seconds: float = 0.4) -> float:
        """By how many seconds what is heard `at` seconds is later than the melody `shift` seconds on."""
        reach = round(0.1 * self.rate)
        first = max(0, round((at - self.begin) * self.rate))
        window = self.samples[first : first + round(seconds * self.rate), 0]
        places = first + np.arange(-reach, len(window) + reach)
        truth = melody(self.begin + places / self.rate + shift)
        size = 1 << int(len(truth) + len(window)).bit_length()
        spectrum = np.fft.rfft(truth, size) * np.conj(np.fft.rfft(window, size))
        return float(reach - np.argmax(np.fft.irfft(spectrum, size)[: 2 * reach + 1])) / self.rate

    def span(self) -> tuple[float, float]:
        """Seconds between which there is something to hear."""
        envelope = np.convolve(np.abs(self.samples[:, 0]), np.ones(self.rate // 1000), "same")
        loud = np.flatnonzero(envelope > 0.1 * (self.rate // 1000))
        return self.begin + loud[0] / self.rate, self.begin + (loud[-1] + 1) / self.rate


def hear(path: Path, track: int = 0) -> Heard:
    stream = [s for s in ffprobe.probe(path)["streams"] if s["codec_type"] == "audio"][track]
    raw = ffprobe._output("ffmpeg", "-i", path, "-map", f"0:a:{track}", "-f", "f32le", "-")
    samples = np.frombuffer(raw, "<f4").reshape(-1, stream["channels"])
    begin = _first(path, f"a:{track}") - _first(path, "v:0")
    return Heard(begin, int(stream["sample_rate"]), samples)


def _first(path: Path, stream: str) -> float:
    """Return the time of the first picture or block of sound that is shown or heard, on the file's clock."""
    entries = ("-show_entries", "frame=best_effort_timestamp_time", "-read_intervals", "%+#40", "-of", "json")
    told = json.loads(ffprobe._output("ffprobe", "-select_streams", stream, *entries, path))
    return float(told["frames"][0]["best_effort_timestamp_time"])
