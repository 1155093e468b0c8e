"""Weights: where they are looked for, how they are fetched, and what is said when they cannot be."""

import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import models
from pipeline.errors import WeightsError
from pipeline.weights import download, licences, locate, verify
from pipeline.weights.download import DownloadProgress, download_files
from pipeline.weights.spec import File, Weights, format_size
from tests import children
from tests.pipeline.hub import CARD, CONTENT, LOOSE, PATH, PINNED, Hub, apart
from tests.waiting import DEADLINE, until

ROOT = Path(__file__).resolve().parents[3]
ONE = Weights((PINNED,))
COMMAND = [sys.executable, "-m", "tests.pipeline.hub", "download", "cutter", "--accept-licence"]


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    return apart(monkeypatch, tmp_path)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    hub = Hub()
    with hub.serving():
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        yield hub


def fetch(wanted: Weights = ONE) -> list[DownloadProgress]:
    return list(download_files(wanted))


def put(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def located(place: Path | None = None, wanted: Weights = ONE) -> list[Path]:
    return locate.find_files(wanted, "Cutter", "cutter", place)


def test_within_a_block_a_file_is_looked_for_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[File] = []
    search = locate._search
    monkeypatch.setattr(locate, "_search", lambda file: looks.append(file) or search(file))
    with locate.cached_lookups():
        assert not locate.are_present(ONE)
        put(folder / "cutter.pth")
        with locate.cached_lookups():
            assert not locate.are_present(ONE)
        elsewhere: list[bool] = []
        thread = threading.Thread(target=lambda: elsewhere.append(locate.are_present(ONE)))
        thread.start()
        thread.join()
        assert not locate.are_present(ONE) and elsewhere == [True] and looks == [PINNED, PINNED]
    assert locate.are_present(ONE) and locate.are_present(ONE) and len(looks) == 4


def test_weights_are_searched_in_folder_hub_cache_and_torch_cache(folder: Path, tmp_path: Path) -> None:
    assert not locate.are_present(ONE)
    with pytest.raises(WeightsError) as error:
        located()
    assert str(error.value) == (
        "Cutter needs its weights, cutter.pth (3 MB). Download them with `python -m pipeline download "
        f"cutter`, or put the file into {folder}."
    )
    torchs = put(tmp_path / "cache" / "torch" / "hub" / "checkpoints" / "cutter.pth")
    assert located() == [torchs] and locate.are_present(ONE)
    repository = tmp_path / "hub" / "models--tests--cutter"
    cached = put(repository / "snapshots" / "abc" / "cutter.pth")
    put(repository / "refs" / "main", b"abc")
    assert located() == [cached]
    own = put(folder / "cutter.pth")
    assert located() == [own]


def test_the_hub_cache_prefers_the_pinned_revision(tmp_path: Path) -> None:
    revision = "0123456789" * 4
    pinned = Weights((replace(PINNED, url=PINNED.url.replace("/main/", f"/{revision}/")),))
    repository = tmp_path / "hub" / "models--tests--cutter"
    newest = put(repository / "snapshots" / "abc" / "cutter.pth")
    put(repository / "refs" / "main", b"abc")
    assert located(wanted=pinned) == [newest]
    exact = put(repository / "snapshots" / revision / "cutter.pth")
    assert located(wanted=pinned) == [exact]


def test_a_given_path_is_the_only_one_searched(folder: Path, tmp_path: Path) -> None:
    put(folder / "cutter.pth")
    two = Weights((PINNED, LOOSE))
    place = tmp_path / "mine"
    with pytest.raises(WeightsError, match=r"^mine: there is no such file or folder"):
        located(place)
    put(place / "loose.pth")
    with pytest.raises(WeightsError, match=r"mine: Cutter needs cutter\.pth \(3 MB\)"):
        located(place, two)
    put(place / "cutter.pth")
    assert located(place, two) == [place / "cutter.pth", place / "loose.pth"]
    put(place / "tests" / "loose.pth")
    assert located(place, two) == [place / "cutter.pth", place / "tests" / "loose.pth"]
    assert located(place / "loose.pth") == [place / "loose.pth"]
    with pytest.raises(WeightsError, match="needs 2 files"):
        located(place / "loose.pth", two)


def test_redirects_are_followed(hub: Hub, folder: Path) -> None:
    steps = fetch()
    assert (folder / "cutter.pth").read_bytes() == CONTENT
    assert names(folder) == ["cutter.pth"]
    assert [path for path, _ in hub.requests] == [PATH, "/stored/cutter"]
    done = [step.done for step in steps]
    assert done == sorted(done) and len(done) > 5
    assert steps[-1] == DownloadProgress(len(CONTENT), len(CONTENT), "cutter.pth")
    assert fetch() == [] and len(hub.requests) == 2


def test_several_files_with_an_estimated_size(hub: Hub, folder: Path) -> None:
    steps = fetch(Weights((LOOSE, PINNED)))
    assert names(folder) == ["cutter.pth", "loose.pth"] and locate.are_present(Weights((LOOSE, PINNED)))
    assert steps[-1].done == steps[-1].total == 2 * len(CONTENT)


@pytest.mark.parametrize("file", [PINNED, LOOSE])
def test_an_interrupted_download_is_resumed(hub: Hub, folder: Path, file: File) -> None:
    hub.cut = 1_000_000
    with pytest.raises(WeightsError, match=r"broke off after 1 MB of 3 MB. Start it again"):
        fetch(Weights((file,)))
    assert not locate.are_present(Weights((file,)))
    hub.cut = None
    fetch(Weights((file,)))
    assert (folder / file.name).read_bytes() == CONTENT
    assert hub.sent == len(CONTENT) and hub.requests[-1][1] == "bytes=1000000-"


def test_closing_stops_a_download_and_the_next_resumes(hub: Hub, folder: Path) -> None:
    with closing(download_files(ONE)) as steps:
        first = next(steps)
        assert 0 < first.done < first.total
    had = (folder / "cutter.pth.part").stat().st_size
    assert had == first.done and not locate.are_present(ONE)
    fetch()
    assert hub.requests[-1][1] == f"bytes={had}-"
    assert (folder / "cutter.pth").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "changed", [{"ranges": False}, {"tag": '"two"'}, {"tag": 'W/"one"'}], ids=["no ranges", "changed", "weak"]
)
def test_a_download_that_cannot_be_resumed_restarts(
    hub: Hub, folder: Path, changed: dict[str, object]
) -> None:
    hub.content, hub.cut = CONTENT[::-1], 1_000_000
    hub.tag = str(changed.get("tag", hub.tag)) if changed.get("tag") == 'W/"one"' else hub.tag
    with pytest.raises(WeightsError, match="broke off"):
        fetch()
    hub.content, hub.cut = CONTENT, None
    vars(hub).update(changed)
    fetch()
    assert (folder / "cutter.pth").read_bytes() == CONTENT
    assert hub.sent == 1_000_000 + len(CONTENT)


def test_a_complete_partial_file_is_not_fetched_again(hub: Hub, folder: Path) -> None:
    for file in (PINNED, LOOSE):
        part = put(folder / f"{file.name}.part")
        part.with_name(part.name + ".tag").write_text('{"version": "\\"one\\""}')
    fetch(Weights((PINNED, LOOSE)))
    assert hub.sent == 0 and names(folder) == ["cutter.pth", "loose.pth"]


def test_a_partial_file_that_is_too_long_restarts(hub: Hub, folder: Path) -> None:
    part = put(folder / f"{LOOSE.name}.part", CONTENT + b"more")
    part.with_name(part.name + ".tag").write_text('{"version": "\\"one\\""}')
    fetch(Weights((LOOSE,)))
    assert (folder / LOOSE.name).read_bytes() == CONTENT


def test_files_with_a_wrong_hash_are_deleted(hub: Hub, folder: Path) -> None:
    hub.content = b"x" + CONTENT[1:]
    with pytest.raises(WeightsError, match=r"another SHA-256 .* was deleted"):
        fetch()
    assert "cutter.pth.part" not in names(folder) and "cutter.pth" not in names(folder)
    hub.cut = 1_000_000
    with pytest.raises(WeightsError, match="broke off"):
        fetch()
    hub.content, hub.cut = CONTENT, None  # under the same tag
    with pytest.raises(WeightsError, match="another SHA-256"):
        fetch()
    fetch()
    assert (folder / "cutter.pth").read_bytes() == CONTENT and names(folder) == ["cutter.pth"]


def test_a_wrong_content_length_is_refused(hub: Hub, folder: Path) -> None:
    hub.content = CONTENT + b"x"
    with pytest.raises(WeightsError, match="3000001 bytes instead of 3000000"):
        fetch()
    assert hub.requests and not (folder / "cutter.pth").exists()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "HF_TOKEN"),
        (403, "HF_TOKEN"),
        (404, "has no"),
        (500, "out of order"),
        (503, "out of order"),
        (418, "418"),
    ],
)
def test_http_errors_are_reported(hub: Hub, folder: Path, status: int, words: str) -> None:
    hub.status = status
    with pytest.raises(WeightsError) as error:
        fetch()
    said = str(error.value)
    assert words in said and hub.address + PATH in said and f"into {folder} as cutter.pth." in said


@pytest.mark.parametrize(("token", "sent"), [(None, None), ("", None), ("secret", "Bearer secret")])
def test_the_token_is_sent_to_the_hub(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch, token: str | None, sent: str | None
) -> None:
    if token is not None:
        monkeypatch.setenv("HF_TOKEN", token)
    fetch()
    assert hub.authorizations == {sent}
    other = File("theirs.pth", "https://example.org/theirs.pth", 1)
    assert download._authorization(other) == {}


def test_html_pages_are_refused(hub: Hub, folder: Path) -> None:
    """A network that wants a login first answers everything with its own page."""
    hub.kind, hub.content = "text/html; charset=utf-8", b"<html>Welcome to our hotel</html>"
    with pytest.raises(WeightsError, match="with a page instead of") as error:
        fetch(Weights((LOOSE,)))
    assert LOOSE.name in str(error.value) and not (folder / LOOSE.name).exists()


def test_a_missing_network_is_reported(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(WeightsError) as error:
        fetch()
    said = str(error.value)
    assert said.startswith("127.0.0.1 cannot be reached") and str(folder) in said and PATH in said


def test_plain_http_is_refused(hub: Hub) -> None:
    hub.location = "http://example.org/cutter"
    with pytest.raises(WeightsError, match=r"example\.org offers the weights without encryption"):
        fetch()


INNER = ("127.0.0.1", "localhost", "10.1.2.3", "169.254.169.254", "[::1]", "[fe80::1]", "inner.test")


@pytest.fixture
def public(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The hub as one of the Internet: by its name, which stands for a public address, but is met here."""
    look_up = socket.getaddrinfo

    def found(name: str, port: int | None, *more: int) -> list[Any]:
        there = {"inner.test": "192.168.0.9", "hub.test": "127.0.0.1" if port else "93.184.215.14"}
        return look_up(there.get(name, name), port, *more)

    monkeypatch.setattr(socket, "getaddrinfo", found)
    monkeypatch.setenv("HF_ENDPOINT", hub.address.replace("127.0.0.1", "hub.test"))
    return hub


def test_a_public_hub_is_allowed(public: Hub, folder: Path) -> None:
    fetch()
    assert (folder / "cutter.pth").read_bytes() == CONTENT


@pytest.mark.parametrize("host", INNER)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_redirects_into_the_local_network_are_refused(
    public: Hub, folder: Path, host: str, scheme: str
) -> None:
    public.location = f"{scheme}://{host}:{public.address.rpartition(':')[2]}/stored/cutter"
    with pytest.raises(WeightsError, match="nothing was fetched"):
        fetch()
    assert [path for path, _ in public.requests] == [PATH] and names(folder) == ["cutter.pth.part"]


def test_free_disk_space_is_checked_before_the_download(folder: Path) -> None:
    folder.mkdir()
    with pytest.raises(WeightsError, match=r"There is no room for .*: 1000000000.00 GB more are needed"):
        download._check_length(replace(LOOSE, bytes=10**18), None, 0)


def test_a_disk_that_fills_up_is_reported(hub: Hub, folder: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    done = subprocess.run(COMMAND, cwd=ROOT, capture_output=True, text=True, preexec_fn=limit)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("There is no room for cutter.pth in ")
    assert not (folder / "cutter.pth").exists()


def test_a_weights_folder_that_is_a_file_is_refused(hub: Hub, folder: Path) -> None:
    put(folder, b"")
    with pytest.raises(WeightsError, match=r"cutter\.pth cannot be written into .*RECORTE_WEIGHTS"):
        fetch()
    with pytest.raises(WeightsError, match=r"acknowledged\.json cannot be written into"):
        licences.acknowledge("cutter", "https://example.org")


def test_simultaneous_downloads_fetch_a_file_once(hub: Hub, folder: Path) -> None:
    hub.pause = 0.01
    errors: list[BaseException] = []

    def work() -> None:
        try:
            fetch()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert not errors and names(folder) == ["cutter.pth"]
    assert (folder / "cutter.pth").read_bytes() == CONTENT and hub.sent == len(CONTENT)


def test_a_download_of_a_killed_process_is_resumed(hub: Hub, folder: Path) -> None:
    hub.pause = 0.02
    part = folder / "cutter.pth.part"
    with children.running(COMMAND, cwd=ROOT, env=os.environ.copy()) as process:
        until(lambda: part.exists() and part.stat().st_size > 500_000)
        process.send_signal(signal.SIGKILL)
    had = part.stat().st_size
    assert had < len(CONTENT) and not (folder / "cutter.pth").exists()
    hub.pause = 0
    done = subprocess.run(COMMAND, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"Cutter is here: {folder / 'cutter.pth'}\n")
    assert hub.requests[-1][1] == f"bytes={had}-"
    assert (folder / "cutter.pth").read_bytes() == CONTENT
    again = subprocess.run(COMMAND, cwd=ROOT, capture_output=True, text=True)
    assert again.stdout == done.stdout and len(hub.requests) == 4


def test_stored_files_are_verified_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(folder / "cutter.pth", CONTENT[::-1])
    with pytest.raises(WeightsError, match=r"cutter\.pth in .* its SHA-256"):
        verify.verify_files(ONE, [path])
    put(path)
    assert verify.verify_files(ONE, [path]) == [path]
    with monkeypatch.context() as patch:
        patch.setattr(verify, "sha256", lambda _: pytest.fail("read again"))
        verify.verify_files(ONE, [path])
    put(path, b"x" + CONTENT[1:])
    os.utime(path, (1, 1))
    with pytest.raises(WeightsError, match="SHA-256"):
        verify.verify_file(PINNED, path)
    verify.verify_file(LOOSE, path)


def test_a_licence_is_acknowledged_once(folder: Path) -> None:
    assert not licences.is_acknowledged("cutter")
    with pytest.raises(WeightsError, match="Not to be sold"):
        models.check_licence(CARD)
    licences.acknowledge("other", "https://example.org/other")
    licences.acknowledge("cutter", CARD.licence_url)
    assert licences.is_acknowledged("cutter") and licences.is_acknowledged("other")
    assert names(folder) == ["acknowledged.json"]
    put(folder / "acknowledged.json", b"{")
    assert not licences.is_acknowledged("cutter")


def test_identity_depends_on_the_files_content(tmp_path: Path) -> None:
    file = put(tmp_path / "a" / "x.pth")
    put(tmp_path / "a" / "readme.txt")
    put(tmp_path / "b" / "x.pth")
    assert verify.identify(tmp_path / "a") == verify.identify(tmp_path / "b")
    before = verify.identify(file), verify.identify(tmp_path / "a")
    put(file, CONTENT[::-1])
    after = verify.identify(file), verify.identify(tmp_path / "a")
    assert before[0] != after[0] and before[1] != after[1]
    with pytest.raises(WeightsError, match="none"):
        verify.identify(tmp_path / "none")


@pytest.mark.parametrize(
    ("count", "said"),
    [(375_042_383, "375 MB"), (1_249_524_607, "1.25 GB"), (2_564_550_879, "2.56 GB"), (900, "1 kB")],
)
def test_download_sizes(count: int, said: str) -> None:
    assert format_size(count) == said
