"""An opened video: stream choice, seeking, decoding, and conversion to upright RGB."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self, cast

import av
import cv2
import numpy as np
from av.audio.stream import AudioStream
from av.codec.context import CodecContext
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from pipeline import limits
from pipeline.arrays import Matte, Pixels
from pipeline.errors import VideoError
from pipeline.languages.messages import Message
from pipeline.video.av_errors import read_errors
from pipeline.video.colour.to_rgb import RgbConverter
from pipeline.video.pictures.numbered import Pictures
from pipeline.video.pictures.opening import OpenedPictures, PictureDecoder
from pipeline.video.pictures.still import MAX_PIXELS
from pipeline.video.reading import animated_webp
from pipeline.video.reading.deinterlace import deinterlace
from pipeline.video.reading.side_data import side_data
from pipeline.video.reading.tracks import choose_video_stream

# FFmpeg's errors for undecodable data; some decoders return undefined error numbers.
DAMAGED = (av.error.InvalidDataError, av.error.PatchWelcomeError, av.error.UndefinedError)

# Demuxers that may open a file: none that follows references to other files. Images and audio files are
# opened too, to report them by an error of their own.
_PICTURES = frozenset(name for name in av.formats_available if name.endswith("_pipe"))
_SOUNDS = frozenset({"aac", "ac3", "aiff", "amr", "flac", "mp3", "wav"})
_VIDEOS = frozenset(
    {
        *("apng", "asf", "av1", "avi", "dv", "flv", "gif", "h264", "hevc", "ivf", "m4v", "matroska", "mjpeg"),
        *("mov", "mpeg", "mpegts", "mpegvideo", "mxf", "nut", "obu", "ogg", "rm", "vc1", "vvc", "wtv"),
        "yuv4mpegpipe",
    }
)
_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": ",".join(_VIDEOS | _SOUNDS | _PICTURES)}

# The brands (ISO/IEC 23008-12) of a photo in a container of videos: those of its animations are others.
_PHOTO_BRANDS = frozenset({"avif", "heic", "heim", "heis", "heix", "mif1", "mif2"})

# FFmpeg's native decoders of these ignore the alpha in Matroska's block additions.
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}

_DisplayMatrix = tuple[int, int, int, int]
"""a, b, c, d of the display matrix (ISO/IEC 14496-12, 8.3.2): x' = ax + cy, y' = bx + dy."""

_UPRIGHT: _DisplayMatrix = (1, 0, 0, 1)


DurationMeaning = Literal["shown", "decoded", "track", "unsaid"]
"""Meaning of a packet's duration: display time of its frame ("shown"), time until the next packet is decoded
("decoded"), none but the end of the track is known ("track"), or unknown ("unsaid")."""


class Source:
    """An opened video that seeks, decodes and converts frames. A context manager."""

    def __init__(self, path: Path, name: str | None = None, card: int | None = None) -> None:
        """Open a video; it is decoded by the CUDA device number `card` where that can, None: on the host."""
        self.path = path
        self.name = name or path.name
        self._card = card
        self._converter = RgbConverter()
        self._display_matrix: _DisplayMatrix | None = None
        self._stored: tuple[int, int] | None = None
        self.threaded = True
        """True if the decoder may use several threads."""
        self._open()

    def _open(self) -> None:
        path = self.path
        with read_errors(self.name):
            if not path.exists():
                raise VideoError("video.not_found", name=self.name)
            self._pictures = OpenedPictures.open(path, self.name)
            if not path.is_file() and self._pictures is None:
                raise VideoError("video.not_a_file", name=self.name)
            if path.is_file() and path.stat().st_size == 0:
                raise VideoError("video.empty", name=self.name)
            # Absolute, since FFmpeg takes the text before a colon as a protocol.
            # Tags may have any encoding; an undecodable title must not make the video unreadable.
            self._copy: BinaryIO | None = None if self._pictures is None else self._pictures.file
            self._canvas: animated_webp.Canvas | None = None
            if self._copy is None and (drawn := animated_webp.open_animation(path)) is not None:
                self._copy, self._canvas = drawn
            file: Any = self._copy or os.fspath(path.absolute())
            self.container: InputContainer = self._open_container(file)
        try:
            self._choose_stream()
        except BaseException:
            self.close()
            raise

    def _open_container(self, file: Any) -> InputContainer:
        if self._card is not None and self._copy is None:
            card = HWAccel("cuda", str(self._card), is_hw_owned=True)
            try:
                return cast(
                    InputContainer,
                    av.open(file, options=_OPTIONS, metadata_errors="replace", hwaccel=card),
                )
            except (av.error.FFmpegError, NotImplementedError):
                self._card = None  # there is no decoder on it, or the driver does not let us
        return cast(InputContainer, av.open(file, options=_OPTIONS, metadata_errors="replace"))

    def _choose_stream(self) -> None:
        kinds = set(self.container.format.name.split(","))
        if kinds & _PICTURES or self.container.metadata.get("major_brand") in _PHOTO_BRANDS:
            raise VideoError("video.is_picture", name=self.name)
        stream = choose_video_stream(self.path, list(self.container.streams.video), _OPTIONS)
        if stream is None:
            held = Message("video.no_picture_track")
            if self.container.streams.audio:
                held = Message("video.sound_only")
            raise VideoError("video.holds_no_video", name=self.name, held=held)
        self.stream = stream
        if not self.stream.codec_context or not self.stream.codec_context.width:
            raise VideoError("video.unknown_codec", name=self.name)
        if self.threaded and not self.stream.codec_context.is_hwaccel:
            self.stream.thread_type = "AUTO"
        else:
            self.stream.thread_count = 1
        context = self.stream.codec_context
        self.resize(self._stored or (context.width, context.height))
        # Later pictures may be larger, or claim to be. Slightly larger ones are decoded, to distinguish them
        # from damage; the first size was checked when the video was uploaded.
        self._most = max(limits.max_pixels() or MAX_PIXELS, context.width * context.height)
        context.options = {"max_pixels": str(min(MAX_PIXELS, 4 * self._most))}
        # AVI has no word for alpha: the fourth byte of its plain pixels is often a mere filling of zeros.
        self._filled = "avi" in kinds and codec_name(self.stream) == "rawvideo"
        self._decoder: VideoCodecContext | PictureDecoder = context
        if self.stream.metadata.get("alpha_mode") == "1" and codec_name(self.stream) in _ALPHA_DECODERS:
            name = _ALPHA_DECODERS[codec_name(self.stream)]
            self._decoder = _create_decoder(name, context)
        self.codec = codec_name(self.stream)
        """The codec's own name."""
        if self._canvas is not None:
            self.codec = "webp"
            self._decoder = _create_decoder(self.codec, context)
        if self._pictures is not None:
            self.codec = self._pictures.pictures.codec
            self._decoder = PictureDecoder(self._pictures.pictures)
        # In these containers FFmpeg's parser finds where a picture begins and how long it lasts.
        self.parsed = bool(kinds & {"mpeg", "mpegts"})
        # A packet's length says how long its picture is shown, or in MP4 (ISO/IEC 14496-12) until when the
        # next one is decoded; in Matroska it is made up from the mean rate, and in FLV there is none.
        self.duration_meaning: DurationMeaning = "shown"
        if "mov" in kinds:
            self.duration_meaning = "decoded"
        elif "matroska" in kinds and self._copy is None:
            self.duration_meaning = "track"
        elif "flv" in kinds:
            self.duration_meaning = "unsaid"
        # Whether frames come in another order than they are shown in.
        self.reorders = context.has_b_frames > 0
        # AVI tells when a frame is decoded and not when it is shown. FFmpeg knows it nevertheless, but can
        # only guess where frames may come in any order.
        self.guesses_pts = "avi" in kinds and codec_name(self.stream) in ("h264", "hevc")
        # Whether there are frames of two fields among those that were decoded.
        self.interlaced = False
        # A picture made of fields depends on the frame before it, so that decoding has to begin this many
        # ticks before a keyframe that is wanted.
        self.preroll = int(context.field_order > 1 and not self.guesses_pts)

    def resize(self, stored: tuple[int, int]) -> None:
        """Set the size of converted frames to the display size of stored frames of this width and height.

        A stream may change its size within the file; converted frames do not. Raises VideoError if they are
        too large.
        """
        self._stored = stored
        # In square pixels, before rotation.
        self.size = (self._display_width(stored[0]), stored[1])
        if max(self.size[0], stored[0]) * stored[1] > MAX_PIXELS:
            raise VideoError("video.untrue_size", name=self.name, width=self.size[0], height=self.size[1])

    def _display_width(self, stored: int) -> int:
        """Return the width in square pixels."""
        return max(1, round(stored * (self.stream.sample_aspect_ratio or Fraction(1))))

    @property
    def pictures(self) -> Pictures | None:
        """The pictures that are read as a video; None: it is one."""
        return None if self._pictures is None else self._pictures.pictures

    def close(self) -> None:
        """Close the container and its temporary copy, if there is one."""
        self.container.close()
        if self._copy is not None:
            self._copy.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """Yield the stream's packets from here on, up to damaged data; at last an empty packet."""
        packets = self.container.demux(self.stream)
        with read_errors(self.name), suppress(*DAMAGED):
            yield from packets
            return
        last = cast("Packet[VideoStream]", Packet())
        last.stream, last.time_base = self.stream, time_base(self.stream)
        yield last

    @property
    def end_time(self) -> Fraction | None:
        """End of the video track, in seconds by the container's clock; None if Matroska does not state it."""
        duration = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", self.stream.metadata.get("DURATION", ""))
        if duration is not None:
            return int(duration[1]) * 3600 + int(duration[2]) * 60 + Fraction(duration[3])
        if self.container.streams.audio or self.container.duration is None:
            return None  # the duration is that of the longest track
        return Fraction(self.container.duration + (self.container.start_time or 0), av.time_base)

    def audio_start(self) -> Fraction | None:
        """Return the begin of the first audio, in seconds by the container's clock; None if there is none."""
        tracks = [s for s in self.container.streams.audio if s.codec_context and s.start_time is not None]
        return min((cast(int, s.start_time) * Fraction(s.time_base or 0) for s in tracks), default=None)

    def decode_first(self) -> av.VideoFrame | None:
        """Return the first decodable frame of a source that was just opened."""
        frame = next(self.decode(), None)
        if frame is None and self.threaded:
            self.rewind(threaded=False)
            frame = next(self.decode(), None)
        return frame

    def decode(
        self, packets: Iterable[Packet[VideoStream]] | None = None, since: int | None = None
    ) -> Iterator[av.VideoFrame]:
        """Yield the deinterlaced frames from here on, without damaged or incomplete ones, as players do.

        Frames before the container pts `since` may be skipped if they are no reference of others.
        """
        with read_errors(self.name):
            yield from deinterlace(
                self._decode_packets(self.packets() if packets is None else packets, since)
            )

    def _decode_packets(
        self, packets: Iterable[Packet[VideoStream]], since: int | None
    ) -> Iterator[av.VideoFrame]:
        for packet in packets:
            if since is not None:
                early = packet.pts is not None and packet.pts < since
                self._decoder.skip_frame = "NONREF" if early else "DEFAULT"
            with suppress(*DAMAGED):
                for decoded in self._decoder.decode(packet):
                    self._check_size(decoded.width, decoded.height)
                    frame = decoded if self._canvas is None else self._canvas.draw(decoded)
                    self.interlaced |= frame.interlaced_frame
                    if self.interlaced and frame.sw_format is not None:
                        frame = download(frame)  # it is deinterlaced on the host
                    yield frame
            self._check_size(self._decoder.width, self._decoder.height)

    def _check_size(self, width: int, height: int) -> None:
        """Raise VideoError for a frame that is too large, even if the first one was not.

        Impossible sizes are damage, and are ignored here.
        """
        if self._most < width * height <= MAX_PIXELS:
            raise VideoError(
                "video.grows", name=self.name, width=width, height=height, most=self._most / 1000000.0
            )

    def seek(self, pts: int) -> None:
        """Seek to a keyframe not after the container pts; raises VideoError if the container cannot."""
        with read_errors(self.name):
            self.container.seek(pts, stream=self.stream, backward=True)
            if self._decoder is not self.stream.codec_context:
                self._decoder.flush_buffers()

    def rewind(self, threaded: bool = True) -> None:
        """Open the file again, since not every container can seek to its start.

        If FFmpeg meets damage while its decoder is flushed, PyAV leaves the remaining frames in it: as many
        as it has threads. A decoder without threads holds none back.
        """
        self.threaded = threaded
        self.close()
        self._open()

    def display_matrix(self, frame: av.VideoFrame) -> _DisplayMatrix:
        """Return the display matrix, read from the first frame for all frames.

        Read once, for the reason given in `side_data`.
        """
        if self._display_matrix is None:
            self._display_matrix = _read_display_matrix(frame)
        return self._display_matrix

    def to_image(self, frame: av.VideoFrame, pixel_format: str) -> Pixels:
        """Return the frame upright, full range, in `pixel_format`.

        "rgb24": `[H, W, 3]` RGB uint8; "rgb48le": the same in uint16; "gray": `[H, W]` uint8.
        """
        width, height = self._inner_size(frame)
        with read_errors(self.name):
            if pixel_format == "gray":
                image: Pixels = self._converter.to_grey(frame, width, height)
            else:
                image = self._converter.to_rgb(frame, width, height, high_bit_depth=pixel_format == "rgb48le")
        return _apply_matrix(self._add_borders(image), self.display_matrix(frame))

    def _inner_size(self, frame: av.VideoFrame) -> tuple[int, int]:
        """Return the size that a frame is scaled to within `size`, keeping its aspect ratio."""
        width, height = self.size
        across, down = self._display_width(frame.width), frame.height
        scale = min(Fraction(width, across), Fraction(height, down))
        inner = max(1, round(across * scale)), max(1, round(down * scale))
        # A difference of one pixel is rounding.
        near = abs(inner[0] - width) <= 1 and abs(inner[1] - height) <= 1
        return self.size if near else inner

    def _add_borders(self, image: Pixels) -> Pixels:
        """Pad the image with black at both sides, or above and below, up to `size`."""
        width, height = self.size
        across, down = width - image.shape[1], height - image.shape[0]
        if not across and not down:
            return image
        sides = (down // 2, down - down // 2, across // 2, across - across // 2)
        return cast(Pixels, cv2.copyMakeBorder(image, *sides, cv2.BORDER_CONSTANT))

    def to_alpha(self, frame: av.VideoFrame) -> Matte | None:
        """Return the upright alpha as `[H, W]` uint8, 255 opaque; None if it is opaque everywhere."""
        with read_errors(self.name):
            alpha = self._converter.to_alpha(frame, *self._inner_size(frame))
        if alpha is None or (self._filled and not alpha.any()):
            return None
        return cast(Matte, _apply_matrix(self._add_borders(alpha), self.display_matrix(frame)))


def download(frame: av.VideoFrame) -> av.VideoFrame:
    """Return the frame on the host; itself if it is there."""
    return frame if frame.sw_format is None else frame.reformat(format=frame.sw_format.name)


def _create_decoder(name: str, context: VideoCodecContext) -> VideoCodecContext:
    """Create a decoder in place of the one that FFmpeg chose, with the same options."""
    decoder = cast(VideoCodecContext, CodecContext.create(name, "r"))
    decoder.options = dict(context.options)
    return decoder


def _read_display_matrix(frame: av.VideoFrame) -> _DisplayMatrix:
    matrix = side_data(frame, "DISPLAYMATRIX")
    if matrix is None:
        return _UPRIGHT
    a, b, _, c, d, *_rest = np.frombuffer(matrix, dtype=np.int32)
    return int(a), int(b), int(c), int(d)


def _apply_matrix(image: Pixels, matrix: _DisplayMatrix) -> Pixels:
    """Apply the quarter turn or mirroring that is nearest to `matrix`."""
    a, b, c, d = matrix
    if abs(b) > abs(a):  # x and y are swapped
        image, a, d = cast(Pixels, cv2.transpose(image)), c, b
    if a < 0 or d < 0:
        image = cast(Pixels, cv2.flip(image, -1 if a < 0 and d < 0 else 1 if a < 0 else 0))
    return image


def time_base(stream: Any) -> Fraction:
    """Return the seconds per tick of a stream; one frame duration if it states no time base."""
    return Fraction(stream.time_base or 1 / Fraction(stream.guessed_rate or 25))


def codec_name(stream: VideoStream | AudioStream) -> str:
    """Return the codec's name; FFmpeg's decoders have other names, such as mp3float and libdav1d."""
    return stream.codec_context.codec.canonical_name


def read_metadata(path: Path) -> dict[str, str]:
    """Return the container's tags; raises VideoError if the file cannot be opened."""
    with Source(path) as source:
        return dict(source.container.metadata)
