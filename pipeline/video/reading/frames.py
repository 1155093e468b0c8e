"""Reading of a video's frames: all, a range or a selection, forward or backward."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, cast

import av
import cv2
import numpy as np
from av.packet import Packet
from av.video.stream import VideoStream

from pipeline.arrays import DeviceImage, Image, Image16, Matte
from pipeline.errors import VideoError
from pipeline.video.av_errors import read_errors
from pipeline.video.reading.frame_index import FrameIndex
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.source import Source

if TYPE_CHECKING:
    from pipeline.devices import FrameDevice

# Memory for frames held while a part of a video is reversed.
_BACKWARD_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Frame:
    """A decoded frame: `image` is `[H, W, 3]` RGB (or `[H, W]` grey), uint8; `pts` in ticks.

    `image16` is the same picture in 16 bits, 0 to 65535, where asked for. `alpha` is `[H, W]`, uint8: the
    video's own alpha, with straight colours; None if it is opaque everywhere.
    """

    pts: int
    image: Image
    image16: Image16 | None = None
    alpha: Matte | None = None

    @property
    def tensor(self) -> DeviceImage | None:
        """The picture on the device that the stages behind compute on; None: they compute on the host."""
        return None

    def on_host(self) -> Frame:
        """Return the frame without its device, for stages that compute on the host."""
        return Frame(self.pts, self.image, self.image16, self.alpha)

    def crop(self, rows: slice, columns: slice) -> Frame:
        """Return a part of the frame."""
        return Frame(
            self.pts,
            np.ascontiguousarray(self.image[rows, columns]),
            None if self.image16 is None else np.ascontiguousarray(self.image16[rows, columns]),
            None if self.alpha is None else np.ascontiguousarray(self.alpha[rows, columns]),
        )


class DeviceFrame(Frame):
    """A frame on a device; its host images are copies, made when they are first asked for."""

    def __init__(self, pts: int, tensor: DeviceImage, alpha: Matte | None = None) -> None:
        """`tensor` is `[3, H, W]` RGB, uint8, or uint16 for a frame that has 16 bits, too.

        What makes it has been queued by the calling thread.
        """
        from pipeline.tensors import streams

        vars(self).update(pts=pts, alpha=alpha, _tensor=tensor, _mark=streams.mark(tensor.device))

    @property
    def tensor(self) -> DeviceImage:
        """The picture on its device, for use in the calling thread's stream."""
        return cast(DeviceImage, vars(self)["_mark"].take(vars(self)["_tensor"]))

    @cached_property
    def image(self) -> Image:
        """The picture in 8 bits."""
        from pipeline.tensors import transfer

        if self.image16 is not None:
            return cast(Image, cv2.convertScaleAbs(self.image16, alpha=1 / 257))
        return cast(Image, transfer.download_image(self.tensor))

    @cached_property
    def image16(self) -> Image16 | None:
        """The picture in 16 bits, if that is how it was read."""
        from pipeline.tensors import transfer

        if self.tensor.element_size() == 1:
            return None
        return cast(Image16, transfer.download_image(self.tensor))

    def crop(self, rows: slice, columns: slice) -> Frame:
        """Return a part of the frame, on its device."""
        alpha = None if self.alpha is None else np.ascontiguousarray(self.alpha[rows, columns])
        return DeviceFrame(self.pts, self.tensor[:, rows, columns].contiguous(), alpha)


class FrameReader(Protocol):
    """A function that reads frames as `read_frames` does."""

    def __call__(
        self,
        path: Path,
        start: int = 0,
        end: int | None = None,
        only: Collection[int] | None = None,
        pixel_format: Literal["rgb24", "gray"] = "rgb24",
        high_bit_depth: bool = False,
    ) -> Iterator[Frame]: ...


def read_frames(
    path: Path,
    start: int = 0,
    end: int | None = None,
    only: Collection[int] | None = None,
    pixel_format: Literal["rgb24", "gray"] = "rgb24",
    high_bit_depth: bool = False,
    device: FrameDevice | None = None,
) -> Iterator[Frame]:
    """Yield the frames with start <= pts < end, in order; with `only`, those whose pts is in it.

    Decodes from the keyframe before, and jumps over the stretches without wanted ones. With `high_bit_depth`
    a frame comes in 16 bits, too: RGB, whatever `pixel_format` says. With `device` frames are `DeviceFrame`s,
    in 16 bits or in 8.
    """
    times = load_index(path)
    wanted = None
    if only is not None:
        wanted = sorted(p for p in only if p >= start and (end is None or p < end))
        if not wanted:
            return
    with Source(path, card=None if device is None else device.decoder) as source:
        if times.size is not None:
            source.resize(times.size)
        convert: Callable[[av.VideoFrame, int], Frame] = partial(
            convert_frame, source, pixel_format=pixel_format, high_bit_depth=high_bit_depth
        )
        if device is not None:
            from pipeline.video.device.reading import DeviceConverter

            convert = DeviceConverter(source, device.torch, high_bit_depth)
        for pts, frame in decode_wanted(source, times, start, end, wanted):
            with read_errors(source.name):
                converted = convert(frame, pts)
            yield converted


def decode_wanted(
    source: Source, times: FrameIndex, start: int, end: int | None, wanted: list[int] | None
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Decode the wanted frames, seeking if a keyframe lies between here and the next wanted frame."""
    here, decoded = -1, 0
    target = wanted[0] if wanted else start
    last = wanted[-1] if wanted else times.last_before(end)
    lands = True
    while True:
        clock = _FrameClock(times)
        packets = None
        if lands and keyframe_between(times, target - source.preroll, decoded):
            packets = _seek_packets(source, times, target - source.preroll, clock)
            if packets is None:
                lands = False  # the container's own index is wrong: decode from the start instead
                source.rewind(source.threaded)
        since = None if times.container_pts or source.preroll else times.origin + target
        for frame in source.decode(packets, since):
            pts = clock.pts(frame.pts)
            if pts is None or pts < target or pts <= here:
                continue
            if end is not None and pts >= end:
                return
            here = decoded = pts
            if wanted is None:
                yield pts, frame
                continue
            place = bisect.bisect_left(wanted, pts)
            if place < len(wanted) and wanted[place] == pts:
                yield pts, frame
                place += 1
            if place == len(wanted):
                return
            target = wanted[place]
            if lands and keyframe_between(times, target - source.preroll, here):
                break
        else:
            if here >= last or not source.threaded:
                return
            # The frames that the decoder still held are lost; without threads it holds none.
            source.rewind(threaded=False)
            target, decoded = max(target, here + 1), 0


def keyframe_between(times: FrameIndex, target: int, here: int) -> bool:
    """Return True if frames lie between `here` and a keyframe not after `target` (all pts)."""
    key = times.keyframe_before(target)
    return key <= target and here < times.frame_at(key - 1)


def _seek_packets(
    source: Source, times: FrameIndex, target: int, clock: _FrameClock
) -> Iterator[Packet[VideoStream]] | None:
    """Seek to a keyframe before `target` and return the packets from it on; None if the seek fails."""
    key = bisect.bisect_right(times.keyframes, target) - 1
    for aim in (key, key - 1):  # some containers land after the target
        if aim < 0:
            break
        try:
            source.seek(times.keyframe_packets[aim][0])
        except VideoError:
            break
        packets = source.packets()
        first = next(packet for packet in packets if packet.is_keyframe or not packet.size)
        mark = first.pts, first.size
        landed = next((n for n in range(key, -1, -1) if times.keyframe_packets[n] == mark), None)
        if landed is not None:
            clock.begin(times.keyframes[landed])
            return chain((first,), packets)
    return None


class _FrameClock:
    """Mapping of decoded frames, in order, to their pts in the index."""

    def __init__(self, times: FrameIndex) -> None:
        self._times = times
        self._pts_by_stamp = {
            stamp: pts
            for stamp, pts in zip(times.container_pts, times.pts, strict=False)
            if stamp is not None
        }
        self._before = -1

    def begin(self, pts: int) -> None:
        """Continue with the frame at `pts`."""
        self._before = pts - 1

    def pts(self, stamp: int | None) -> int | None:
        """Return the pts of the next frame, whose container pts is `stamp`; None after the last."""
        times = self._times
        if times.container_pts or stamp is None:
            pts = self._pts_by_stamp.get(stamp, -1) if stamp is not None else -1
            if pts <= self._before:
                later = bisect.bisect_right(times.pts, self._before)
                if later == len(times.pts):
                    return None
                pts = times.pts[later]
        else:
            pts = stamp - times.origin
            if pts == times.lead:
                pts = 0
        self._before = pts
        return pts


def convert_frame(
    source: Source, frame: av.VideoFrame, pts: int, pixel_format: str, high_bit_depth: bool
) -> Frame:
    """Convert a decoded frame of `source`; the arguments are those of `read_frames`."""
    if pixel_format == "gray" and not high_bit_depth:
        return Frame(pts, cast(Image, source.to_image(frame, pixel_format)))
    alpha = source.to_alpha(frame)
    if not high_bit_depth:
        return Frame(pts, cast(Image, source.to_image(frame, pixel_format)), alpha=alpha)
    image = cast(Image16, source.to_image(frame, "rgb48le"))
    return Frame(pts, cast(Image, cv2.convertScaleAbs(image, alpha=1 / 257)), image, alpha)


def read_frames_backward(
    path: Path,
    start: int,
    end: int,
    only: Collection[int] | None = None,
    pixel_format: Literal["rgb24", "gray"] = "rgb24",
    high_bit_depth: bool = False,
) -> Iterator[Frame]:
    """Yield the frames of `read_frames` in reverse order, holding a bounded number of them in memory."""
    times = load_index(path)
    pts = [p for p in times.pts if start <= p < end and (only is None or p in only)]
    with Source(path) as source:
        if times.size is not None:
            source.resize(times.size)
        width, height = source.size
    pixel = 4 + 6 if high_bit_depth else 1 if pixel_format == "gray" else 4
    chunk = max(1, _BACKWARD_BYTES // (width * height * pixel))
    while pts:
        part, pts = pts[-chunk:], pts[:-chunk]
        upper = part[-1] + 1
        yield from reversed(list(read_frames(path, part[0], upper, only, pixel_format, high_bit_depth)))
