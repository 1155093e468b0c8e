"""Stores: a shared folder, and an S3 server; and jobs whose nodes see no file of this machine."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline.cluster import store as module
from pipeline.cluster.driver import RayDriver
from pipeline.cluster.executor import RayExecutor, open_driver
from pipeline.cluster.shipping import Mirror, restore
from pipeline.cluster.store import NodeCache, Store, TransferStopped
from pipeline.compositing.background import Picture
from pipeline.errors import InputError, RunError, WorkerLost
from pipeline.job import Job
from pipeline.jobs.worker import Worker
from pipeline.prompts import MaskFile, Point, Prompt
from pipeline.propagation import resume
from pipeline.propagation.resume import resume_folder
from pipeline.video.reading.probe import probe_clip
from tests.pipeline.cluster.conftest import NODE
from tests.pipeline.cluster.stand_in_nodes import StandInDriver
from tests.pipeline.cluster.test_executor import expected, frames, made
from tests.waiting import until

pytest.importorskip("fsspec")
slow_files: Any = pytest.importorskip("tests.pipeline.cluster.slow_files")
BUCKET = "recorte"


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of a bucket in an S3 server of this machine."""
    moto = pytest.importorskip("moto.server")
    boto3 = pytest.importorskip("boto3")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    yield f"s3://{BUCKET}/work"
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})
    server.stop()


@pytest.fixture(params=["file", "slow", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "s3":
        return Store(f"{request.getfixturevalue('s3')}/{tmp_path.name}")
    (tmp_path / "store").mkdir()
    return Store(f"{request.param}://{tmp_path}/store")


def test_content_is_put_once_and_comes_back_whole(store: Store, tmp_path: Path) -> None:
    one, same = tmp_path / "one.bin", tmp_path / "same.bin"
    one.write_bytes(os.urandom(100_000))
    same.write_bytes(one.read_bytes())
    tree = store.put(one)
    assert store.put(same)["."][:2] == tree["."][:2]
    assert len(store.list("blobs")) == 1
    (tmp_path / "back.bin").write_text("before")
    store.receive(tree, tmp_path / "back.bin")
    assert (tmp_path / "back.bin").read_bytes() == one.read_bytes()
    store.forget(tree)
    assert not store.list("blobs")
    store.forget(tree)  # twice does no harm


def test_a_folder_keeps_names_and_times(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    (folder / "deep").mkdir(parents=True)
    for name in ("1.png", "2.png", "deep/3.png"):
        (folder / name).write_text("all the same")
    os.utime(folder / "2.png", ns=(10**18, 10**18))
    cache = NodeCache(tmp_path / "cache")
    cache.place(store, store.put(folder), tmp_path / "there")
    found = {p.relative_to(tmp_path / "there").as_posix() for p in (tmp_path / "there").rglob("*.png")}
    assert found == {"1.png", "2.png", "deep/3.png"}
    assert (tmp_path / "there" / "2.png").stat().st_mtime_ns == 10**18
    assert len(store.list("blobs")) == 1


class SetAfter(threading.Event):
    """Event that is set once it was looked at so many times."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self._looks = looks

    def is_set(self) -> bool:
        self._looks -= 1
        return self._looks < 0


def test_a_stopped_transfer_leaves_nothing_half(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CHUNK_BYTES", 5 * 2**20)
    monkeypatch.setattr(slow_files, "CHUNK_BYTES", 5 * 2**20)
    monkeypatch.setattr("s3fs.core.calculate_chunksize", lambda *_, **__: 5 * 2**20)
    path, back = tmp_path / "three.bin", tmp_path / "back.bin"
    path.write_bytes(os.urandom(12 * 2**20))
    stopped = 0
    for looks in range(100):
        try:
            tree = store.until(SetAfter(looks)).put(path)
            break
        except TransferStopped:
            stopped += 1
            assert set(store.list("blobs").values()) <= {path.stat().st_size}
            assert not list(tmp_path.glob("store/**/*.part"))
            if store.address.startswith("s3:"):
                s3 = pytest.importorskip("boto3").client("s3")
                assert not s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads")
            store.remove(store.list("blobs"))
    assert stopped > 3
    back.write_text("before")
    for looks in range(4):
        with pytest.raises(TransferStopped):
            store.until(SetAfter(looks)).receive(tree, back)
        assert back.read_text() == "before" and not list(tmp_path.glob(".back*"))
    store.receive(tree, back)
    assert back.read_bytes() == path.read_bytes()


def test_damaged_content_is_not_taken(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"right")
    tree = store.put(tmp_path / "a.bin")
    (tmp_path / "wrong").write_bytes(b"wrong")
    store.upload(tmp_path / "wrong", next(iter(store.list("blobs"))))
    (tmp_path / "result").write_text("before")
    with pytest.raises(RunError, match="not what was put there"):
        store.receive(tree, tmp_path / "result")
    assert (tmp_path / "result").read_text() == "before"
    assert not list(tmp_path.glob(".result*"))


def test_the_cache_is_bounded_and_keeps_what_was_used_last(store: Store, tmp_path: Path) -> None:
    cache = NodeCache(tmp_path / "cache", most_bytes=250)
    trees = []
    for n in range(3):
        (tmp_path / f"{n}").write_bytes(os.urandom(100))
        trees.append(store.put(tmp_path / f"{n}"))
        cache.place(store, trees[-1], tmp_path / "jobs" / f"{n}")
    assert {p.stem for p in cache.folder.glob("*.blob")} == {trees[1]["."][0], trees[2]["."][0]}
    assert (tmp_path / "jobs" / "0").read_bytes() == (tmp_path / "0").read_bytes()  # a job keeps its own


def test_a_store_that_is_away_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.01)
    folder, away = tmp_path / "store", tmp_path / "away"
    folder.mkdir()
    (tmp_path / "a").write_text("a")
    store = Store(f"file://{folder}")
    folder.rename(away)
    putting = threading.Thread(target=store.put, args=(tmp_path / "a",))
    putting.start()
    assert not folder.exists()  # nothing is made in its place
    away.rename(folder)
    putting.join()
    assert len(store.list("blobs")) == 1
    monkeypatch.setattr(module, "AWAY_SECONDS", 0.05)
    folder.rename(away)
    with pytest.raises(RunError, match="could not be reached"):
        store.put(tmp_path / "a")


def test_a_store_that_is_away_is_opened_by_a_node(tmp_path: Path) -> None:
    folder, put = tmp_path / "store", tmp_path / "put"
    put.write_bytes(b"something")
    store = Store(f"file://{folder}", opened=True)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(store.put, put)
        folder.mkdir()
        store.get(waiting.result()["."], tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b"something"


def test_a_file_that_is_gone_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AWAY_SECONDS", inf)
    (tmp_path / "store").mkdir()
    with pytest.raises(FileNotFoundError):
        Store(f"file://{tmp_path}/store").upload(tmp_path / "gone", "a")


def test_a_full_store_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(f"file://{tmp_path}")
    (tmp_path / "a").write_text("a")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(store, "_copy", fail)
    with pytest.raises(RunError, match="is full"):
        store.put(tmp_path / "a")
    assert not store.list("blobs")


@pytest.mark.parametrize("address", ["nothing://x", "file:///is/not/there"])
def test_an_address_of_no_store_is_refused(address: str) -> None:
    with pytest.raises(InputError, match="cannot be used"):
        Store(address)


def test_resume_data_are_mirrored_with_their_notes_last(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "m.mkv.parts"
    stream = folder / "0-0-forward"
    stream.mkdir(parents=True)
    (folder / "journal.json").write_text("{}")
    for n in range(2):
        for kind in ("mattes", "state", "json"):
            (stream / f"segment-0000{n}.{kind}").write_text(f"{n} {kind}")
    (stream / "segment-00002.mattes").write_text("half")
    sent = []
    upload = store.upload
    monkeypatch.setattr(store, "upload", lambda path, key: (sent.append(Path(key).name), upload(path, key)))
    mirror = Mirror(store, "runs/x", folder)
    mirror.update()
    segments = [name for name in sent if name.startswith("segment")]
    assert segments == [f"segment-0000{n}.{kind}" for n in range(2) for kind in ("mattes", "state", "json")]
    sent.clear()
    mirror.update()
    assert sent == []
    (stream / "segment-00001.json").unlink()  # given up
    (stream / "segment-00000.state").unlink()  # no longer needed
    mirror.update()
    held = {Path(key).name for key in store.list("runs/x")}
    assert "segment-00000.json" in held and not {"segment-00001.json", "segment-00000.state"} & held
    restored = tmp_path / "other.parts"
    (restored / "0-0-forward").mkdir(parents=True)
    (restored / "0-0-forward" / "segment-00007.json").write_text("of another run")
    times = restore(store, "runs/x", restored)
    assert (restored / "0-0-forward" / "segment-00000.mattes").read_text() == "0 mattes"
    assert not (restored / "0-0-forward" / "segment-00007.json").exists()
    sent.clear()
    Mirror(store, "runs/x", restored, times).update()
    assert sent == []


# ---------------------------------------------------------------------- jobs


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module", params=["folder", "s3"])
def store_driver(
    request: pytest.FixtureRequest, s3: str, cluster: Any, shared: Path
) -> Iterator[tuple[Worker, Store]]:
    """A driver of the cluster with a store, and the store; the nodes know the S3 server from their start."""
    address = s3 if request.param == "s3" else f"file://{shared}"
    with open_driver(cluster.address, address, factory=StandInDriver) as driver:
        yield driver, Store(address)


@pytest.fixture
def job(clip_path: Path, tmp_path: Path) -> Job:
    Image.new("RGB", (64, 36), (200, 30, 60)).save(tmp_path / "behind.png")
    return Job(
        clip_path,
        tmp_path / "result.mp4",
        model="dwelling",
        prompts=(Prompt(0.4, (Point(160.0, 90.0),)),),
        background=Picture(tmp_path / "behind.png"),
        matte=tmp_path / "matte.mkv",
    )


@pytest.mark.usefixtures("stand_ins")
def test_a_shipped_job_gives_the_result_of_this_machine(
    store_driver: tuple[Worker, Store], job: Job, tmp_path: Path
) -> None:
    driver, store = store_driver
    executor = RayExecutor(driver, 0)
    for _ in executor.run(job):
        pass
    assert made(job) == expected(job, tmp_path / "here")
    assert len(store.list("blobs")) == 2 and not store.list("runs")  # the source and the picture stay
    again = replace(job, output=tmp_path / "again.mp4")
    steps = list(frames(executor.run(again)))  # by the matte file
    assert {step.stage for step in steps} == {"render"}
    assert again.output.read_bytes() == job.output.read_bytes()


@pytest.mark.usefixtures("stand_ins")
def test_a_shipped_job_is_continued(store_driver: tuple[Worker, Store], job: Job, tmp_path: Path) -> None:
    driver, store = store_driver
    executor = RayExecutor(driver, 0)

    def is_mirrored() -> bool:
        return any("segment" in key and key.endswith(".json") for key in store.list("runs"))

    # Its process is killed: another one continues from the store.
    steps = executor.run(job)
    assert any(is_mirrored() for _ in frames(steps))
    os.kill(driver.call(StandInDriver.pid, 0), signal.SIGKILL)
    # It is cancelled: what it has comes back, for any machine to go on with.
    with closing(steps):
        assert next(frames(steps)).done > 1
    assert not job.output.exists() and not store.list("runs")
    assert resume.can_resume(job, probe_clip(job.source))
    # Its driver is killed: the next one finds it in the store.
    with pytest.raises(WorkerLost):
        for _ in frames(executor.run(job)):
            if is_mirrored():
                driver.kill()
    assert is_mirrored()
    for _ in executor.run(job):
        pass
    assert made(job) == expected(job, tmp_path / "here")
    assert not store.list("runs") and not resume_folder(tmp_path / "matte.mkv").exists()


@pytest.mark.usefixtures("stand_ins")
def test_a_result_never_replaces_what_is_read(store_driver: tuple[Worker, Store], job: Job) -> None:
    driver, _ = store_driver
    with pytest.raises(InputError):
        list(RayExecutor(driver, 0).run(replace(job, output=job.source)))
    with pytest.raises(InputError):
        list(RayExecutor(driver, 0).run(replace(job, output=job.output.parent / "no" / "folder.mp4")))
    assert job.source.stat().st_size > 1000


@pytest.fixture
def second_node(store_driver: tuple[Worker, Store], cluster: Any) -> Iterator[None]:
    driver, _ = store_driver
    node = cluster.add_node(**NODE)
    until(lambda: driver.call(RayDriver.capacity) == 2)
    yield
    driver.call(RayDriver.kill, 0)
    cluster.remove_node(node)
    until(lambda: driver.call(RayDriver.capacity) == 1)


@pytest.mark.usefixtures("stand_ins", "second_node")
def test_streams_go_through_a_store_and_a_cancelled_job_goes_on_with_them(
    store_driver: tuple[Worker, Store], job: Job, tmp_path: Path
) -> None:
    driver, store = store_driver
    executor = RayExecutor(driver, 0)
    mask = tmp_path / "mask.png"  # which each node has under another path
    Image.linear_gradient("L").resize((320, 180)).save(mask)
    second = Prompt(0.6, object=2, mask=MaskFile(mask))
    job = replace(job, prompts=(*job.prompts, second))
    whole, clip = expected(job, tmp_path / "here"), probe_clip(job.source)
    with closing(executor.run(job)) as steps:
        assert any(step.done >= 12 and driver.call(StandInDriver.helpers, 0) for step in steps)
    assert not store.list("runs") and not job.output.exists()
    assert resume.can_resume(job, clip) and len(resume.find_pieces(job, clip)) >= 2
    for _ in executor.run(job):
        pass
    assert made(job) == whole
    assert not store.list("runs") and not resume_folder(tmp_path / "matte.mkv").exists()
