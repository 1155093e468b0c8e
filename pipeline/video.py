"""Reading and writing video files; the only module that imports av.

Frames leave here upright, in square pixels, as full-range RGB; they arrive here as RGB or RGBA. Every
pts is counted in ticks of `Clip.time_base` from the clip's first frame, so 0 is the first picture.
"""

from __future__ import annotations

import bisect
import errno
import os
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pipeline.clip import Clip
from pipeline.errors import InputError, RunError, VideoError
from pipeline.formats import Format

# Demuxers that follow references to other files, or that take a still picture for a video.
_REFUSED_CONTAINERS = frozenset(
    {"hls", "dash", "concat", "concatf", "image2", "sdp", "rtsp", "webvtt", "lavfi"}
)

# AVColorSpace (ITU-T H.273 matrix coefficients) to swscale's name for it.
_MATRIX = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}

# What FFmpeg says of data that it cannot make out; some decoders let numbers of their own out.
_DAMAGED = (av.error.InvalidDataError, av.error.PatchWelcomeError, av.error.UndefinedError)

# What frames may be held while a stretch of video is turned round.
_BACKWARD_BYTES = 256 * 2**20

_CLEAN_SCALING = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


@dataclass(frozen=True)
class Frame:
    """One picture: `image` is `[H, W, 3]` RGB (or `[H, W]` grey), uint8; `pts` as the module says."""

    pts: int
    image: NDArray[np.uint8]


@dataclass(frozen=True)
class Index:
    """When each frame is shown, ascending, and from which of them decoding can start."""

    pts: tuple[int, ...]
    keys: tuple[int, ...]

    def at(self, pts: int) -> int:
        """The pts of the frame on screen at `pts`: the last one not after it, else the first."""
        return self.pts[max(0, bisect.bisect_right(self.pts, pts) - 1)]

    def key_before(self, pts: int) -> int:
        return self.keys[max(0, bisect.bisect_right(self.keys, pts) - 1)] if self.keys else 0


@contextmanager
def _foreign_errors(name: str) -> Iterator[None]:
    """FFmpeg's errors while reading become ours."""
    try:
        yield
    except av.error.FFmpegError as error:
        if isinstance(error, OSError) and error.errno == errno.EACCES:
            raise VideoError(f"{name}: there is no permission to read this file.") from error
        if isinstance(error, FileNotFoundError):
            raise VideoError(f"{name}: there is no such file.") from error
        raise VideoError(
            f"{name}: this cannot be read as a video. It may be damaged, protected or of an unknown kind; "
            "check that it plays elsewhere, or convert it to MP4."
        ) from error


@contextmanager
def _write_errors(name: str) -> Iterator[None]:
    """The system's and FFmpeg's errors while writing become ours."""
    try:
        yield
    except (OSError, av.error.FFmpegError) as error:
        code = getattr(error, "errno", None)
        if code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise RunError(f"{name}: the disk is full. Free some space and run it again.") from error
        reason = getattr(error, "strerror", None) or error
        raise RunError(f"{name}: this could not be written ({reason}).") from error


class _Source:
    """One opened video: seeks, decodes, converts."""

    def __init__(self, path: Path, name: str | None = None) -> None:
        self.path = path
        self.name = name or path.name
        with _foreign_errors(self.name):
            if not path.exists():
                raise VideoError(f"{self.name}: there is no such file.")
            if not path.is_file():
                raise VideoError(f"{self.name}: this is no file.")
            if path.stat().st_size == 0:
                raise VideoError(f"{self.name}: the file is empty (0 bytes). Copy or download it again.")
            # Absolute, since FFmpeg takes what stands before a colon for a protocol.
            self.container = av.open(os.fspath(path.absolute()), options={"protocol_whitelist": "file"})
        try:
            self._choose_stream()
        except BaseException:
            self.container.close()
            raise
        self._reformatter = VideoReformatter()

    def _choose_stream(self) -> None:
        kinds = set(self.container.format.name.split(","))
        if kinds & _REFUSED_CONTAINERS:
            raise VideoError(
                f"{self.name}: playlists and lists of files are not taken. Upload the video itself."
            )
        if any(kind.endswith("_pipe") for kind in kinds):
            raise VideoError(f"{self.name}: this is a picture, not a video.")
        # A cover picture in a music file is a video stream too.
        streams = [s for s in self.container.streams.video if not s.disposition & s.disposition.attached_pic]
        if not streams:
            held = "sound only" if self.container.streams.audio else "no picture"
            raise VideoError(f"{self.name}: the file holds {held}. Choose a file with a video in it.")
        self.stream = streams[0]
        if not self.stream.codec_context or not self.stream.codec_context.width:
            raise VideoError(
                f"{self.name}: its video is of an unknown kind or damaged. Convert it to MP4 and try again."
            )
        self.stream.thread_type = "AUTO"
        ratio = self.stream.sample_aspect_ratio or Fraction(1)
        context = self.stream.codec_context
        # Width and height of a stored frame in square pixels, before it is turned upright. A stream may
        # change its size on the way; what leaves here does not.
        self.size = (max(1, round(context.width * ratio)), context.height)
        # AVI tells when a frame is decoded and not when it is shown, which differs with B-frames.
        self.unstamped = "avi" in kinds and context.has_b_frames > 0

    def close(self) -> None:
        self.container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def decode(self) -> Iterator[av.VideoFrame]:
        """The pictures from here on; as in a player, without those that are damaged or cut off."""
        packets = self.container.demux(self.stream)
        with _foreign_errors(self.name):
            while True:
                try:
                    packet = next(packets, None)
                except _DAMAGED:
                    yield from self.stream.decode(None)
                    return
                if packet is None:
                    return
                with suppress(*_DAMAGED):
                    yield from packet.decode()

    def seek(self, pts: int) -> None:
        with _foreign_errors(self.name):
            self.container.seek(pts, stream=self.stream, backward=True)

    def upright(self, frame: av.VideoFrame, pixel_format: str) -> NDArray[np.uint8]:
        """The frame as it is shown, in `pixel_format` ("rgb24" or "gray")."""
        width, height = self.size
        large = frame.width >= 1280 or frame.height > 576
        guess = Colorspace.ITU709 if large else Colorspace.ITU601
        grey = pixel_format == "gray"
        converted = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format=pixel_format,
            src_colorspace=None if grey else _MATRIX.get(frame.colorspace, guess),
            src_color_range=_range(frame),
            dst_color_range=ColorRange.JPEG,
            interpolation=_CLEAN_SCALING,
            threads=1,
        )
        return _turned(converted.to_ndarray().astype(np.uint8, copy=False), _display_matrix(frame))


def _range(frame: av.VideoFrame) -> int:
    if frame.color_range in (ColorRange.MPEG, ColorRange.JPEG):
        return frame.color_range
    full = frame.format.name.startswith(("yuvj", "rgb", "bgr", "gbr", "gray", "pal8", "argb", "abgr"))
    return ColorRange.JPEG if full else ColorRange.MPEG


def _display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int] | None:
    """a, b, c, d of the display matrix (ISO/IEC 14496-12, 8.3.2): x' = ax + cy, y' = bx + dy."""
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return None
    a, b, _, c, d, *_rest = np.frombuffer(bytes(matrix), dtype=np.int32)
    return int(a), int(b), int(c), int(d)


def _turned(image: NDArray[np.uint8], matrix: tuple[int, int, int, int] | None) -> NDArray[np.uint8]:
    """`image` under the quarter turn or mirroring that `matrix` is nearest to."""
    if matrix is None:
        return image
    a, b, c, d = matrix
    if abs(b) > abs(a):  # x and y change places
        image = image.swapaxes(0, 1)
        a, d = c, b
    if a < 0:
        image = image[:, ::-1]
    if d < 0:
        image = image[::-1]
    return np.ascontiguousarray(image)


def probe(path: Path, name: str | None = None) -> Clip:
    """Look at a video without decoding more than its first frame.

    `name` is what the user calls the file, for sentences. Raises VideoError where it is no video that can
    be used.
    """
    with _Source(path, name) as source:
        stream = source.stream
        first = next(source.decode(), None)
        if first is None:
            raise VideoError(f"{source.name}: there is not one picture in this video.")
        width, height = source.size
        matrix = _display_matrix(first)
        if matrix is not None and abs(matrix[1]) > abs(matrix[0]):
            width, height = height, width
        codec = _codec(stream)
        depth = max(c.bits for c in first.format.components)
        # What an edit list leaves out was not promised.
        promised = min(stream.frames, len(stream.index_entries) or stream.frames)
        time_base = _time_base(stream)
        sound = tuple(_codec(s) for s in source.container.streams.audio if s.codec_context)
        mean_rate = stream.average_rate or stream.guessed_rate
        own_name = source.name
    scan = _scan(path)
    pts = scan.index.pts
    if not pts:
        raise VideoError(f"{own_name}: there is not one picture in this video.")
    if promised - scan.packets > max(2, promised // 50):
        raise VideoError(
            f"{own_name}: the file is cut short: it promises {promised} frames and holds {scan.packets}. "
            "Copy or download it again."
        )
    gaps = np.diff(np.asarray(pts))
    usual = int(np.median(gaps)) if len(gaps) else max(1, round(1 / (mean_rate or 25) / time_base))
    duration = (pts[-1] + usual) * time_base
    return Clip(
        path=path,
        name=own_name,
        width=width,
        height=height,
        frames=len(pts),
        duration=float(duration),
        rate=max(Fraction(len(pts) / duration).limit_denominator(1001), Fraction(1, 1001)),
        variable=bool(len(gaps)) and int(gaps.max() - gaps.min()) > 1,
        time_base=time_base,
        codec=codec,
        depth=depth,
        sound=sound,
    )


def _time_base(stream: Any) -> Fraction:
    return Fraction(stream.time_base or 1 / Fraction(stream.guessed_rate or 25))


def _codec(stream: VideoStream | AudioStream) -> str:
    """The codec's own name; FFmpeg's decoders have others, such as mp3float and libdav1d."""
    return stream.codec_context.codec.canonical_name


@dataclass(frozen=True)
class _Scan:
    index: Index
    origin: int
    """The container's own pts of the first frame."""
    packets: int
    """How many pictures the file holds, those that an edit list hides among them."""


def index(path: Path) -> Index:
    """The frame times of a video, read from its packets without decoding; kept for the last few files."""
    return _scan(path).index


def _scan(path: Path) -> _Scan:
    stat = path.stat()
    return _scanned(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=16)
def _scanned(path: Path, _mtime_ns: int, _size: int) -> _Scan:
    shown: set[int] = set()
    keys: set[int] = set()
    held = 0
    with _Source(path) as source:
        packets = source.container.demux(source.stream)
        while True:
            try:
                packet = next(packets, None)
            except _DAMAGED:
                break  # what was read so far stands; probe compares it with what the container promised
            except av.error.FFmpegError as error:
                raise VideoError(f"{source.name}: the file cannot be read to its end.") from error
            if packet is None:
                break
            pts = packet.dts if packet.pts is None or source.unstamped else packet.pts
            if pts is None or not packet.size:
                continue
            held += 1
            if packet.is_discard:
                continue
            shown.add(pts)
            if packet.is_keyframe:
                keys.add(pts)
    origin = min(shown, default=0)
    times = Index(tuple(sorted(pts - origin for pts in shown)), tuple(sorted(pts - origin for pts in keys)))
    return _Scan(times, origin, held)


def read(
    path: Path,
    start: int = 0,
    end: int | None = None,
    only: Collection[int] | None = None,
    pixel_format: Literal["rgb24", "gray"] = "rgb24",
) -> Iterator[Frame]:
    """The frames with start <= pts < end, in order; with `only`, those whose pts is in it.

    Decodes from the keyframe before, and jumps over the stretches in which nothing is wanted.
    """
    scan = _scan(path)
    wanted = None
    if only is not None:
        wanted = sorted(p for p in only if p >= start and (end is None or p < end))
        if not wanted:
            return
    with _Source(path) as source:
        target = wanted[0] if wanted else start
        yield from _from(source, scan.index, scan.origin, target, end, wanted, pixel_format)


def _from(
    source: _Source,
    times: Index,
    origin: int,
    target: int,
    end: int | None,
    wanted: list[int] | None,
    pixel_format: str,
) -> Iterator[Frame]:
    """Decode from `target` on, seeking again where the next wanted frame lies behind a later keyframe."""
    asked = frozenset(wanted) if wanted is not None else None
    here = -1
    misled = False
    while True:
        key = 0 if misled else times.key_before(target)
        jumped = key > max(here, 0)
        if jumped or misled:
            source.seek(origin + key)
        landed = misled = False
        pts = key - 1 if jumped else -1
        for frame in source.decode():
            pts = _pts(source, frame, origin, pts, times)
            if jumped and not landed and pts > target:
                break
            landed = True
            if pts < target or pts <= here:
                continue
            if end is not None and pts >= end:
                return
            here = pts
            if asked is None:
                yield Frame(pts, source.upright(frame, pixel_format))
                continue
            if pts in asked:
                yield Frame(pts, source.upright(frame, pixel_format))
            position = bisect.bisect_right(cast(list[int], wanted), pts)
            if position == len(cast(list[int], wanted)):
                return
            target = cast(list[int], wanted)[position]
            if times.key_before(target) > pts:
                break
        else:
            if landed or not jumped:
                return
        # Where the container's own index led behind the target, decode from the start instead.
        misled = jumped and not landed


def _pts(source: _Source, frame: av.VideoFrame, origin: int, before: int, times: Index) -> int:
    """The frame's time; where it has none, that of the index which follows the frame before."""
    stamp = frame.pts if frame.pts is not None else frame.dts
    if stamp is not None and not source.unstamped:
        return stamp - origin
    later = bisect.bisect_right(times.pts, before)
    return times.pts[later] if later < len(times.pts) else before + 1


def read_backward(
    path: Path,
    start: int,
    end: int,
    only: Collection[int] | None = None,
    pixel_format: Literal["rgb24", "gray"] = "rgb24",
) -> Iterator[Frame]:
    """The frames of `read`, last first, holding no more than a bounded chunk of them."""
    pts = [p for p in index(path).pts if start <= p < end and (only is None or p in only)]
    with _Source(path) as source:
        width, height = source.size
    chunk = max(1, _BACKWARD_BYTES // (width * height * (1 if pixel_format == "gray" else 3)))
    while pts:
        part, pts = pts[-chunk:], pts[:-chunk]
        upper = part[-1] + 1
        yield from reversed(list(read(path, part[0], upper, only, pixel_format)))


class Writer:
    """Writes one video, beside its final name until it is whole.

    A context manager: leaving it without an error moves the file into place, with one removes it.
    `start` is the pts of the first frame: second 0 of the result. `sound` is a video whose sound goes along,
    from there to `end`, in the same ticks.
    """

    def __init__(
        self,
        path: Path,
        form: Format,
        *,
        width: int,
        height: int,
        time_base: Fraction,
        rate: Fraction,
        start: int = 0,
        end: int | None = None,
        alpha: bool = False,
        sound: Path | None = None,
        metadata: dict[str, str] | None = None,
        options: dict[str, str] | None = None,
    ) -> None:
        self.path = path
        self._alpha = alpha
        self._form = form
        self._reformatter = VideoReformatter()
        self._tick = time_base
        self._gap = max(1, round(1 / rate / time_base))
        self._start = start
        self._sound: _Sound | None = None
        self._part = _beside(path)
        try:
            with _write_errors(path.name):
                self._out = av.open(
                    os.fspath(self._part),
                    "w",
                    format=form.container,
                    container_options=dict(form.container_options),
                )
                self._out.metadata.update(metadata or {})
                stream = self._out.add_stream(
                    cast(Any, form.codec), rate=rate, options={**form.options, **(options or {})}
                )
                stream.width = width + width % 2 if form.even else width
                stream.height = height + height % 2 if form.even else height
                self._pad = ((0, stream.height - height), (0, stream.width - width), (0, 0))
                stream.pix_fmt = (form.alpha_pixel_format if alpha else None) or form.pixel_format
                stream.codec_context.time_base = time_base
                stream.time_base = time_base
                if not stream.pix_fmt.startswith("gray"):
                    context = stream.codec_context
                    context.colorspace = Colorspace.ITU709
                    context.color_primaries = context.color_trc = 1  # BT.709, as frames are tagged below
                    context.color_range = ColorRange.MPEG
                self._stream = stream
                if sound is not None and form.sound_codec is not None:
                    self._sound = _Sound.open(
                        sound,
                        self._out,
                        form,
                        start * time_base,
                        None if end is None else end * time_base,
                    )
        except BaseException:
            self._abandon()
            raise

    def write(self, image: NDArray[np.uint8], pts: int) -> None:
        """Add `[H, W, 3]` RGB, `[H, W, 4]` RGBA (straight alpha) or `[H, W]` grey at `pts` ticks."""
        pts -= self._start
        with _write_errors(self.path.name):
            if self._sound is not None:
                self._sound.mux(until=pts * self._tick)
            self._out.mux(self._stream.encode(self._frame(image, pts)))

    def _frame(self, image: NDArray[np.uint8], pts: int) -> av.VideoFrame:
        grey = image.ndim == 2
        if not grey and any(after for _, after in self._pad):
            image = np.pad(image, self._pad, mode="symmetric")
        kind = "gray" if grey else "rgba" if image.shape[2] == 4 else "rgb24"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format=kind)
        if not grey:
            frame = self._reformatter.reformat(
                frame,
                format=self._stream.pix_fmt,
                dst_colorspace=Colorspace.ITU709,
                src_color_range=ColorRange.JPEG,
                dst_color_range=ColorRange.MPEG,
                interpolation=_CLEAN_SCALING,
                threads=1,
            )
            frame.color_trc = frame.color_primaries = 1
        frame.pts = pts
        frame.time_base = self._tick
        frame.duration = self._gap
        return frame

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._abandon()
            return
        try:
            with _write_errors(self.path.name):
                self._out.mux(self._stream.encode(None))
                if self._sound is not None:
                    self._sound.mux(until=None)
                    self._sound.close()
                self._out.close()
                _into_place(self._part, self.path)
        except BaseException:
            self._abandon()
            raise

    def _abandon(self) -> None:
        if self._sound is not None:
            self._sound.close()
        if hasattr(self, "_out"):
            with suppress(OSError, av.error.FFmpegError):  # a full disk refuses the trailer too
                self._out.close()
        self._part.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new file beside `path` that takes its place when the block ends well, and is removed when not."""
    part = _beside(path)
    try:
        with _write_errors(path.name):
            yield part
            _into_place(part, path)
    finally:
        part.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    if path.is_dir():
        raise InputError(f"{path.name}: this is a folder. Give the name of a file to write.")
    if not path.parent.is_dir():
        raise InputError(f"{path.name}: the folder to write it into does not exist.")
    with _write_errors(path.name):
        try:
            handle, name = tempfile.mkstemp(prefix=f".{path.stem[:40]}-", suffix=".part", dir=path.parent)
        except (PermissionError, FileNotFoundError) as error:  # /proc says there is no such file
            raise InputError(f"{path.name}: nothing can be written into its folder.") from error
    os.close(handle)
    return Path(name)


def _into_place(part: Path, path: Path) -> None:
    # mkstemp's file is for its owner alone; a result is as readable as any other file of the user's.
    part.chmod(0o666 & ~_umask())
    part.replace(path)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


class _Sound:
    """The first sound track of a video on its way into a result.

    `start` and `end` are seconds from the video's first picture; `start` is second 0 of the result.
    """

    # Sound may run ahead of the picture, which waits in the encoder's look-ahead anyway.
    _LEAD = 1
    # Times that lie this far (in seconds) beside the sound before them are a gap and not a rounding; less
    # than what lips and voice may differ by unnoticed (ITU-R BT.1359).
    _GAP = Fraction(1, 25)

    def __init__(
        self,
        source: _Source,
        track: AudioStream,
        out: OutputContainer,
        form: Format,
        start: Fraction,
        end: Fraction | None,
    ) -> None:
        self._source = source
        self._tick = Fraction(track.time_base or Fraction(1, track.codec_context.sample_rate))
        # Sound keeps its distance to the first picture.
        first = _scan(source.path).origin * _time_base(source.stream)
        self._zero = first + start
        self._last = None if end is None else first + end
        self._packets = self._within(track, seek=start > 0)
        self._waiting: Packet[AudioStream] | None = None
        copied = _codec(track) in form.sound_copied
        self._send = self._copy(track, out) if copied else self._encode(track, out, form)

    @classmethod
    def open(
        cls, path: Path, out: OutputContainer, form: Format, start: Fraction, end: Fraction | None
    ) -> _Sound | None:
        """None where the video has no sound that can be decoded."""
        source = _Source(path)
        try:
            for track in source.container.streams.audio:
                if track.codec_context:
                    return cls(source, track, out, form, start, end)
        except BaseException:
            source.close()
            raise
        source.close()
        return None

    def close(self) -> None:
        self._source.close()

    def mux(self, until: Fraction | None) -> None:
        """Pass on what begins up to `until` seconds of the result; None: all the rest."""
        limit = None if until is None else self._zero + until + self._LEAD
        while True:
            packet = self._waiting or next(self._packets, None)
            self._waiting = None
            if packet is None:
                break
            if limit is not None and cast(int, packet.pts) * self._tick > limit:
                self._waiting = packet
                return
            self._send(packet)
        if limit is None:
            self._send(None)

    def _within(self, track: AudioStream, seek: bool) -> Iterator[Packet[AudioStream]]:
        with _foreign_errors(self._source.name), suppress(*_DAMAGED):
            if seek:
                self._source.container.seek(int(self._zero / self._tick), stream=track, backward=True)
            for packet in self._source.container.demux(track):
                if packet.pts is None or not packet.size:
                    continue
                begin = packet.pts * self._tick
                if seek and begin + (packet.duration or 0) * self._tick <= self._zero:
                    continue
                if self._last is not None and begin >= self._last:
                    return
                yield packet

    def _copy(self, track: AudioStream, out: OutputContainer) -> Callable[[Packet[AudioStream] | None], None]:
        stream = out.add_stream_from_template(track)
        offset = round(self._zero / self._tick)

        def send(packet: Packet[AudioStream] | None) -> None:
            if packet is None:
                return
            packet.pts = cast(int, packet.pts) - offset
            packet.dts = packet.pts if packet.dts is None else packet.dts - offset
            packet.stream = stream
            out.mux(packet)

        return send

    def _encode(
        self, track: AudioStream, out: OutputContainer, form: Format
    ) -> Callable[[Packet[AudioStream] | None], None]:
        rate = 48_000 if form.sound_codec == "libopus" else track.codec_context.sample_rate
        layout = "mono" if track.codec_context.layout.nb_channels == 1 else "stereo"
        stream = cast(AudioStream, out.add_stream(cast(Any, form.sound_codec), rate=rate, layout=layout))
        stream.codec_context.bit_rate = 96_000 if layout == "mono" else 160_000
        resampler = AudioResampler(format="fltp", layout=layout, rate=rate)
        past = None if self._last is None else round((self._last - self._zero) * rate)
        written = 0

        def add(samples: NDArray[np.float32]) -> None:
            nonlocal written
            block = AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=layout)
            block.sample_rate, block.time_base, block.pts = rate, Fraction(1, rate), written
            written += samples.shape[1]
            out.mux(stream.encode(block))

        def place(frame: AudioFrame) -> None:
            """Put the samples where their time says: what lies before second 0 is cut, a gap is silence."""
            samples = cast(NDArray[np.float32], frame.to_ndarray())
            at = written
            if frame.pts is not None and frame.time_base is not None:
                exact = frame.pts * frame.time_base - self._zero
                if not written or abs(exact - Fraction(written, rate)) > self._GAP:
                    at = round(exact * rate)
            while written < at and (past is None or written < past):
                add(np.zeros((len(samples), min(at - written, rate)), np.float32))
            samples = samples[:, written - at : None if past is None else max(0, past - at)]
            if samples.shape[1]:
                add(samples)

        def send(packet: Packet[AudioStream] | None) -> None:
            with suppress(*_DAMAGED):  # a damaged one leaves a gap
                for frame in track.decode(packet):
                    for part in resampler.resample(frame):
                        place(part)
            if packet is None:
                for part in resampler.resample(None):
                    place(part)
                out.mux(stream.encode(None))

        return send


def metadata(path: Path) -> dict[str, str]:
    """The container's tags; raises VideoError where the file cannot be opened."""
    with _Source(path) as source:
        return dict(source.container.metadata)
