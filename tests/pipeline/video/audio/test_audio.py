"""Sound goes along: every track, whole, in sync, and unchanged where the container takes it."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline import formats
from pipeline.video.audio import audio_read
from pipeline.video.audio.audio_read import AudioRange, SampleFormat
from pipeline.video.reading.frames import read_frames
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.probe import probe_clip
from pipeline.video.writing.output import create_output
from pipeline.video.writing.timing import StreamSpec
from tests import ffprobe
from tests.hearing import ffmpeg, hear, melody, write_melody, write_wav
from tests.pipeline.stand_in import numbered
from tests.rendered import write_clip

SECONDS = 3
SYNC = 0.01  # what the ear forgives, and half a millisecond more for clocks that tick no finer
ROUNDING = 0.0011
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2")
VP9 = ("-c:v", "libvpx-vp9", "-cpu-used", "8", "-deadline", "realtime")
MJPEG = ("-c:v", "mjpeg")
PICTURE = {".webm": VP9, ".avi": MJPEG}
SOURCES = {
    "aac": (".mp4", "aac", 48_000),
    "aac-ms": (".mkv", "aac", 44_100),
    "ts": (".ts", "aac", 48_000),
    "phone": (".mp4", "aac", 16_000),
    "mp3": (".mkv", "libmp3lame", 44_100),
    "opus": (".webm", "libopus", 48_000),
    "vorbis": (".webm", "libvorbis", 44_100),
    "flac": (".mkv", "flac", 96_000),
    "pcm": (".mov", "pcm_s24le", 48_000),
    "avi": (".avi", "pcm_s16le", 11_025),
    "alac": (".mov", "alac", 44_100),
}
SUFFIX = {"mp4": ".mp4", "mkv": ".mkv", "webm": ".webm", "prores": ".mov"}


def make(
    path: Path, sound: Path, codec: str, *options: object, seconds: float = SECONDS, offset: float = 0
) -> Path:
    """A clip of `seconds` with that sound, `offset` seconds later than the picture."""
    picture = ("-f", "lavfi", "-i", f"testsrc=s=64x48:r=25:d={seconds}")
    coded = (*PICTURE.get(path.suffix, H264), "-pix_fmt", "yuv420p", "-c:a", codec, "-strict", "-2")
    ffmpeg(*picture, "-itsoffset", offset, "-i", sound, *coded, *options, path)
    return path


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three seconds of picture and melody, the sound in several codecs."""
    folder = tmp_path_factory.mktemp("sound")
    return {
        name: make(
            folder / f"{name}{suffix}",
            write_melody(folder / f"{name}.wav", SECONDS, rate),
            codec,
            "-ar",
            rate,
        )
        for name, (suffix, codec, rate) in SOURCES.items()
    }


def save(
    source: Path,
    target: Path,
    key: str,
    start: Fraction | float = 0,
    end: Fraction | float | None = None,
    sound: AudioRange | None = None,
) -> tuple[Path, float]:
    """The clip's frames and sound from `start` to `end` seconds in another format, and where they begin."""
    clip = probe_clip(source)
    tick = clip.time_base
    first = next(p for p in load_index(source).pts if p * tick >= Fraction(start) - Fraction(1, 1000))
    past = None if end is None else round(Fraction(end) / tick)
    path = target / f"out{SUFFIX[key]}"
    with create_output(
        path,
        formats.by_key(key),
        StreamSpec(clip.width, clip.height, tick, clip.rate, first),
        sound=sound or AudioRange(source, first * tick, None if end is None else Fraction(end)),
    ) as out:
        for frame in read_frames(source, first, past):
            out.write(frame.image, frame.pts)
    return path, float(first * tick)


def packets(path: Path) -> list[str]:
    """The hash of each packet of sound."""
    out = ffprobe._output(
        "ffprobe", "-select_streams", "a:0", "-show_data_hash", "md5", "-show_packets", path
    )
    return [line for line in out.decode().splitlines() if line.startswith("data_hash")]


def sounds(path: Path) -> list[dict[str, Any]]:
    return [each for each in ffprobe.probe(path)["streams"] if each["codec_type"] == "audio"]


COPIED = {
    "mp4": {"aac": "aac", "aac-ms": "aac", "ts": "aac", "phone": "aac", "mp3": "mp3"},
    "webm": {"opus": "opus", "vorbis": "vorbis"},
    "mkv": {"opus": "opus", "flac": "flac", "pcm": "pcm_s24le", "avi": "pcm_s16le"},
    "prores": {"ts": "aac", "alac": "alac", "pcm": "pcm_s24le", "avi": "pcm_s16le"},
}
ELSE = {"mp4": "aac", "mkv": "aac", "webm": "opus", "prores": "aac"}


def test_sound_with_a_video_stream_without_timestamps(tmp_path: Path) -> None:
    """H.264 in AVI, where ffprobe itself can only guess when the first picture is shown: at the sound's."""
    sound = write_melody(tmp_path / "in.wav", SECONDS, 48_000)
    source = make(tmp_path / "in.avi", sound, "pcm_s16le", *H264)
    path, _ = save(source, tmp_path, "mp4")
    for at in (0.02, SECONDS - 0.45):
        assert hear(path).late(at) == pytest.approx(0, abs=SYNC)


@pytest.mark.parametrize(
    ("name", "key"),
    [(name, "mp4") for name in SOURCES]
    + [(name, "webm") for name in ("aac", "mp3", "opus", "vorbis", "flac", "avi")]
    + [(name, "mkv") for name in ("aac", "mp3", "opus", "flac", "pcm")]
    + [(name, "prores") for name in ("ts", "opus", "pcm", "alac")],
)
def test_sound_is_in_sync_in_full_and_in_part(
    tmp_path: Path, sources: dict[str, Path], name: str, key: str
) -> None:
    own = hear(sources[name])
    for start, end in ((0, None), (0.97, 2.345)):
        path, begin = save(sources[name], tmp_path, key, start, end)
        got = hear(path)
        length = (end or SECONDS) - begin
        expected = COPIED[key].get(name, ELSE[key])
        if end is None:
            assert sounds(path)[0]["codec_name"] == expected
            assert float(ffprobe.stream(path)["start_time"]) == 0
        for at in (0.02, length - 0.45):
            assert got.late(at, begin) == pytest.approx(own.late(at + begin), abs=SYNC + ROUNDING)
        heard, silent = got.span()
        assert heard == pytest.approx(max(0, own.span()[0] - begin), abs=SYNC + ROUNDING)
        assert silent == pytest.approx(min(length, own.span()[1] - begin), abs=SYNC + ROUNDING)


@pytest.mark.parametrize(
    ("name", "key"),
    [("aac", "mp4"), ("mp3", "mp4"), ("opus", "webm"), ("vorbis", "webm"), ("alac", "prores")],
)
def test_supported_audio_codecs_are_copied_bit_for_bit(
    tmp_path: Path, sources: dict[str, Path], name: str, key: str
) -> None:
    path, _ = save(sources[name], tmp_path, key)
    assert len(packets(path)) > 30
    assert packets(path) == packets(sources[name])


@pytest.mark.parametrize(("start", "end"), [(0, None), (0.97, 2.345)])
def test_pcm_samples_are_copied(
    tmp_path: Path, sources: dict[str, Path], start: float, end: float | None
) -> None:
    path, begin = save(sources["pcm"], tmp_path, "prores", start, end)
    own, got = hear(sources["pcm"]), hear(path)
    first, past = round(begin * own.rate), None if end is None else round(end * own.rate)
    assert np.array_equal(got.samples, own.samples[first:past])


@pytest.mark.parametrize(("suffix", "key"), [(".mp4", "mp4"), (".mkv", "webm"), (".mkv", "mp4")])
def test_every_track_is_kept_with_language_and_title(tmp_path: Path, suffix: str, key: str) -> None:
    first = write_melody(tmp_path / "first.wav", 1)
    second = write_wav(tmp_path / "second.wav", melody(np.arange(48_000) / 48_000 + 20)[:, None], 48_000)
    source = tmp_path / f"two{suffix}"
    named = ("-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu")
    named += ("-metadata:s:a:1", "title=Kommentar", "-disposition:a:0", "0", "-disposition:a:1", "default")
    maps = ("-map", "0:v", "-map", "1:a", "-map", "2:a", "-c:a", "aac")
    picture = ("-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=1")
    ffmpeg(*picture, "-i", first, "-i", second, *maps, *H264, *named, source)
    path, _ = save(source, tmp_path, key)
    told = sounds(path)
    assert [each["tags"]["language"] for each in told] == ["eng", "deu"]
    assert [each["channels"] for each in told] == [2, 1]
    assert [each["disposition"]["default"] for each in told] == [0, 1]
    if key == "webm":
        assert told[1]["tags"]["title"] == "Kommentar"
    else:
        assert b"Kommentar" in path.read_bytes()
    assert hear(path, 0).late(0.3) == pytest.approx(0, abs=SYNC)
    assert hear(path, 1).late(0.3, shift=20) == pytest.approx(0, abs=SYNC)


TAKES = (
    *(("aac", ".mp4"), ("aac", ".mkv"), ("libmp3lame", ".mkv"), ("libopus", ".webm"), ("ac3", ".ts")),
    *(("flac", ".mkv"), ("pcm_s16le", ".mov"), ("libvorbis", ".mkv"), ("eac3", ".mp4")),
)
SURROUND = {
    "codec": "flac",
    "suffix": ".mkv",
    "rate": 48_000,
    "channels": 8,
    "offset": 0,
    "start": 0.2,
    "end": 1.211,
}
TONES = (500, 660, 880, 60, 1100, 1320, 1540, 1760)


def chord(channels: int, seconds: float, rate: int) -> np.ndarray:
    """The melody on the first channel, a tone of its own on each of the others."""
    t = np.arange(round(seconds * rate)) / rate
    tones = [melody(t), *(0.4 * np.sin(2 * np.pi * tone * t) for tone in TONES[1:channels])]
    return np.stack(tones, axis=1)


def loudest(samples: np.ndarray, rate: int) -> list[float]:
    """The strongest tone of each channel but the first, in Hz."""
    spectrum = np.abs(np.fft.rfft(samples[:, 1:] * np.hanning(len(samples))[:, None], axis=0))
    return [float(peak) * rate / len(samples) for peak in np.argmax(spectrum, axis=0)]


@st.composite
def takes(draw: st.DrawFn) -> dict[str, Any]:
    codec, suffix = draw(st.sampled_from(TAKES))
    most = {"libmp3lame": 2, "flac": 8, "pcm_s16le": 8}.get(codec, 6)
    channels = draw(st.sampled_from([count for count in (1, 2, 6, 8) if count <= most]))
    rates = {"libopus": [48_000], "ac3": [48_000], "eac3": [44_100], "libmp3lame": [16_000, 44_100]}
    usual = [22_050, 44_100, 48_000, 96_000] if channels >= 6 else [8_000, 11_025, 44_100, 48_000]
    start = draw(st.sampled_from([0, 0.2, 0.83, 1.31]))
    return {
        "codec": codec,
        "suffix": suffix,
        "rate": draw(st.sampled_from(rates.get(codec, usual))),
        "channels": channels,
        "offset": draw(st.sampled_from([-0.3, 0, 0.013, 0.4])),
        "start": start,
        "end": draw(st.sampled_from([None, start + 0.9, start + 1.011])),
        "key": draw(st.sampled_from(["mp4", "webm", "prores"])),
    }


@settings(max_examples=10, deadline=None, derandomize=True)
@example(take=SURROUND | {"key": "webm"})
@example(take=SURROUND | {"key": "mp4"})
@given(take=takes())
def test_transcoded_sound_keeps_time_duration_and_channels(
    tmp_path_factory: pytest.TempPathFactory, take: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("take")
    rate, channels = take["rate"], take["channels"]
    layout = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}[channels]
    wav = write_wav(folder / "sound.wav", chord(channels, SECONDS, rate), rate)
    source = make(
        folder / f"in{take['suffix']}",
        wav,
        take["codec"],
        *(
            "-ar",
            rate,
            "-af",
            f"aformat=channel_layouts={layout}",
            "-b:a",
            f"{min(64, rate // 250) * channels}k",
        ),
        offset=take["offset"],
    )
    path, begin = save(source, folder, take["key"], take["start"], take["end"])
    own, got = hear(source), hear(path)
    # The first picture stands from where the sound begins, and this is where the clip's time begins.
    lead = -own.begin if own.begin < -0.1 else 0
    own.begin += lead
    offset = take["offset"] + lead
    length = (take["end"] or 2 * SECONDS) - begin  # twice: nothing is cut
    # What a codec adds at the end to fill its last packet one decoder plays and another does not.
    ends = (own.span()[1], SECONDS + offset)
    first, past, latest = (min(length, max(0, m - begin)) for m in (own.span()[0], min(ends), max(ends)))
    for at in (first + 0.05, past - 0.4):
        expected = own.late(at + begin, -offset, 0.3)
        assert got.late(at, begin - offset, 0.3) == pytest.approx(expected, abs=SYNC + ROUNDING)
    heard, silent = got.span()
    assert heard == pytest.approx(first, abs=SYNC + ROUNDING)
    assert past - SYNC - ROUNDING < silent < latest + SYNC + ROUNDING
    assert got.samples.shape[1] == channels
    middle = slice(round((first + 0.1 - got.begin) * got.rate), round((past - 0.1 - got.begin) * got.rate))
    assert loudest(got.samples[middle], got.rate) == pytest.approx(TONES[1:channels], abs=8)


@pytest.mark.parametrize(("suffix", "codec"), [(".mkv", "libmp3lame"), (".ts", "aac"), (".mp4", "aac")])
def test_audio_late_in_a_video_is_found_by_seeking(tmp_path: Path, suffix: str, codec: str) -> None:
    sound = write_melody(tmp_path / "long.wav", 9)
    source = make(tmp_path / f"long{suffix}", sound, codec, "-g", 25, seconds=9)
    with audio_read._open_track(source, 0, Fraction(8)) as (_, timed):
        assert -4 < next(timed).begin <= 0
    path, begin = save(source, tmp_path, "mp4", 8, 8.7)
    expected = hear(source).late(begin + 0.1)
    assert hear(path).late(0.1, begin) == pytest.approx(expected, abs=ROUNDING)


@pytest.mark.parametrize(("start", "key"), [(0, "mp4"), (3.1, "webm"), (0.5, "prores")])
def test_background_sound_repeats_until_the_end(
    tmp_path: Path, sources: dict[str, Path], start: float, key: str
) -> None:
    repeat = Fraction(125, 96)  # 1.302 s, between two samples and between two packets
    heard = AudioRange(sources["aac"], Fraction(start), Fraction(start) + 3, repeat)
    path, _ = save(sources["aac"], tmp_path, key, sound=heard)
    got = hear(path)
    for at in np.arange(0.02, 2.5, 0.3):
        inside = (start + at) % float(repeat)
        if inside < float(repeat) - 0.25:
            assert got.late(at, inside - at, 0.2) == pytest.approx(0, abs=0.002)
    loud = np.abs(got.samples[: 3 * got.rate, 0])
    assert loud[: len(loud) // 480 * 480].reshape(-1, 480).max(axis=1).min() > 0.1  # no hole where it turns
    assert got.span() == pytest.approx((0, 3), abs=SYNC)


def test_repeating_sound_is_silent_until_the_next_repetition(
    tmp_path: Path, sources: dict[str, Path]
) -> None:
    short = make(tmp_path / "short.mp4", write_melody(tmp_path / "short.wav", 0.5), "aac", seconds=1)
    heard = AudioRange(short, Fraction(0), Fraction(5, 2), Fraction(1))
    path, _ = save(sources["aac"], tmp_path, "mp4", sound=heard)
    got = hear(path)
    for turn in range(3):
        assert got.late(turn + 0.05, -turn, 0.3) == pytest.approx(0, abs=0.001)
    assert np.abs(got.samples[round(1.6 * got.rate) : round(1.9 * got.rate)]).max() < 0.02


def test_a_repeating_audio_range_needs_an_end_and_a_positive_period() -> None:
    for end, repeat in ((None, Fraction(1)), (Fraction(1), Fraction(0))):
        with pytest.raises(ValueError, match="repeats"):
            AudioRange(Path("a.mp4"), end=end, repeat=repeat)


def test_gaps_in_the_sound_are_kept(tmp_path: Path, sources: dict[str, Path]) -> None:
    gap = tmp_path / "gap.mkv"
    hole = "aselect='not(between(t,0.6,1.2))'"
    ffmpeg("-i", sources["pcm"], *H264, "-c:a", "flac", "-af", hole, gap)
    for key in ("webm", "mp4", "prores"):
        path, _ = save(gap, tmp_path, key)
        got = hear(path)
        assert got.late(0.1) == pytest.approx(0, abs=0.002)
        assert got.late(1.4) == pytest.approx(0, abs=0.002)
        assert np.abs(got.samples[round(0.7 * got.rate) : round(1.1 * got.rate)]).max() < 0.02


def test_a_silent_video_has_a_result_without_sound(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "mute.mp4", numbered(6))
    for key in ("mp4", "webm"):
        path, _ = save(source, tmp_path, key)
        assert sounds(path) == []


@pytest.mark.parametrize("key", ["mp4", "webm"])
def test_an_empty_track_is_dropped(tmp_path: Path, sources: dict[str, Path], key: str) -> None:
    source = tmp_path / "empty.mkv"
    with av.open(str(sources["aac-ms"])) as whole, av.open(str(source), "w") as hollow:
        picture = hollow.add_stream_from_template(whole.streams.video[0])
        hollow.add_stream_from_template(whole.streams.audio[0])
        for packet in whole.demux(video=0):
            if packet.size:
                packet.stream = picture
                hollow.mux(packet)
    assert len(sounds(source)) == 1
    path, _ = save(source, tmp_path, key)
    assert sounds(path) == []


def test_undecodable_sound_is_dropped(tmp_path: Path, sources: dict[str, Path]) -> None:
    hurt = damaged(sources["flac"], tmp_path / "hurt.mkv", slice(None))
    path, _ = save(hurt, tmp_path, "mp4")
    assert sounds(path) == []


def test_damaged_sound_affects_neither_pictures_nor_times(tmp_path: Path, sources: dict[str, Path]) -> None:
    hurt = damaged(sources["aac"], tmp_path / "hurt.mp4", slice(40, 52))
    path, _ = save(hurt, tmp_path, "webm")
    assert len(ffprobe.frame_times(path)) == 25 * SECONDS
    got = hear(path)
    assert got.late(0.1) == pytest.approx(0, abs=SYNC)
    assert got.late(2.2) == pytest.approx(0, abs=SYNC)


def damaged(source: Path, target: Path, which: slice) -> Path:
    """The file with some packets of its sound overwritten."""
    entries = ("-show_entries", "packet=pos,size", "-of", "csv=p=0")
    out = ffprobe._output("ffprobe", "-select_streams", "a:0", *entries, source)
    places = [tuple(map(int, line.split(",")[:2])) for line in out.decode().split()]
    data = bytearray(source.read_bytes())
    for size, position in places[which]:
        end = position + size + (8 if target.suffix == ".mkv" else 0)  # a block's head stands before it
        data[end - size : end] = b"\xff" * size
    target.write_bytes(data)
    return target


KIND = SampleFormat("flt", "mono", 1000)


def test_a_gap_of_an_hour_is_not_buffered() -> None:
    tone = np.ones((100, 1), np.float32)
    laid = audio_read._align_samples(iter([(Fraction(3600), tone)]), KIND, None)
    lengths = [len(block) for block in laid]
    assert sum(lengths) == 3_600_100
    assert max(lengths) <= 1000


def test_audio_follows_drifting_timestamps() -> None:
    blocks = [(Fraction(n * 1003, 10_000), np.ones((100, 1), np.float32)) for n in range(1000)]
    for order in (1, -1):  # longer by 0.3 %, shorter by as much
        timed = [(begin if order > 0 else begin * 997 / 1003, block) for begin, block in blocks]
        laid = list(audio_read._align_samples(iter(timed), KIND, None))
        reached = sum(len(block) for block in laid) / KIND.rate
        assert reached == pytest.approx(float(timed[-1][0]) + 0.1, abs=SYNC)
        assert all(block.all() for block in laid)
        assert max(len(block) for block in laid) <= 101


def muted(path: Path, sounds: int) -> Path:
    """A clip with sounds of a kind that nothing here decodes, as phones and television sets write them."""
    tone = ("-f", "lavfi", "-i", "sine=440:d=1:r=48000")
    maps = [word for n in range(1 + sounds) for word in ("-map", n)]
    picture = ("-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=1")
    ffmpeg(*picture, *(tone * sounds), *maps, *H264, "-pix_fmt", "yuv420p", "-c:a", "aac", path)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"mp4a", b"apac", 1).replace(b"esds", b"free", 1))
    return path


@pytest.mark.parametrize("key", ["mp4", "webm", "prores", "pair", "stacked"])
def test_unreadable_sound_is_reported(tmp_path: Path, key: str) -> None:
    form = formats.by_key(key)
    for sounds, said in ((1, "its sound could not be read, so the result has none"), (2, "1 of its 2 sound")):
        source = muted(tmp_path / f"{sounds}.mp4", sounds)
        shape = StreamSpec(64, 48, Fraction(1, 25), Fraction(25))
        content = 4 if form.has_foreground else 3
        out = tmp_path / f"out{sounds}{form.suffix}"
        with create_output(out, form, shape, sound=AudioRange(source)) as made:
            for number in range(25):
                made.write(np.zeros((48, 64, content), np.uint8), number)
        assert len(made.notes) == 1
        assert str(made.notes[0]).startswith(f"{source.name}: {said}")


def test_a_format_without_sound_reports_nothing(tmp_path: Path) -> None:
    source = muted(tmp_path / "a.mp4", 1)
    shape = StreamSpec(64, 48, Fraction(1, 25), Fraction(25))
    with create_output(tmp_path / "a.gif", formats.by_key("gif"), shape, sound=AudioRange(source)) as made:
        made.write(np.zeros((48, 64, 3), np.uint8), 0)
    assert made.notes == ()
