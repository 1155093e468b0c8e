"""API under load: python -m benchmarks.api [CLIP] [--seconds 3] [--rounds 3] [--connections 8] [--size 512]

A server as `app.py` starts it, with a data folder of its own, and beside it a bare FastAPI route in another
process. In interleaved rounds of `--seconds`, with `--connections` kept alive: requests per second of the
bare route, of `GET /sessions/{id}` and of a frame whose mask is cached. Then a file of `--size` MiB is
sent by a form and by tus, beside a plain copy to the same disk, with the server's resident memory before and
at its peak. Figures are medians of the rounds; the sender runs on the same machine and takes its share of it.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psutil
from fastapi import FastAPI

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "assets" / "sample.mp4"
PREFIX = "/api/v1"
BOUNDARY = "recorte-benchmark"
FORM_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
_MIB = 2**20
_SAMPLE_SECONDS = 0.01
_START_SECONDS = 120.0

bare = FastAPI()


@bare.get("/sessions/{id}")
async def answer_bare(id: str) -> dict[str, str]:
    """Return as little as there is."""
    return {"id": id}


@contextmanager
def serving(folder: Path, upload_mib: int) -> Iterator[tuple[int, psutil.Process]]:
    """Run the application on a free port; yields the port and its process."""
    settings = {"RECORTE_HOME": str(folder), "RECORTE_PORT": "0", "RECORTE_UPLOAD_MB": str(upload_mib)}
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"} | settings
    with (folder.parent / "server.log").open("w+b") as log:
        process = subprocess.Popen(
            [sys.executable, "-u", str(ROOT / "app.py")], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
        try:
            said = re.compile(rb"Recorte is at http://127\.0\.0\.1:(\d+)")
            found = _wait(lambda: said.search(Path(log.name).read_bytes()), process)
            yield int(found[1]), psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait()


@contextmanager
def serving_bare() -> Iterator[int]:
    """Run the bare route on a free port; yields the port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "benchmarks.api:bare", "--port", str(port)]
    process = subprocess.Popen([*command, "--log-level", "warning"], cwd=ROOT)
    try:
        _wait(lambda: _listens(port), process)
        yield port
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait(ready: Callable[[], Any], process: subprocess.Popen[bytes]) -> Any:
    until = time.monotonic() + _START_SECONDS
    while not (found := ready()):
        if process.poll() is not None or time.monotonic() > until:
            raise SystemExit("a server did not start")
        time.sleep(0.1)
    return found


def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
    """Send one request and return the content of its answer."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=600)) as connection:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        response = connection.getresponse()
        content = response.read()
        if response.status >= 400:
            raise SystemExit(f"{method} {path}: {response.status} {content[:500]!r}")
        return content


def request_rate(port: int, path: str, seconds: float, connections: int) -> float:
    """Return the requests per second that are answered over so many connections."""
    counts = [0] * connections
    over = time.perf_counter() + seconds

    def load(number: int) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            while time.perf_counter() < over:
                connection.request("GET", path)
                response = connection.getresponse()
                response.read()
                if response.status != 200:
                    raise SystemExit(f"{path}: {response.status}")
                counts[number] += 1

    began = time.perf_counter()
    threads = [threading.Thread(target=load, args=(number,)) for number in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - began)


# ---------------------------------------------------------------- uploads


def write_file(path: Path, mib: int) -> None:
    """Write a file that no file system can shorten."""
    block = os.urandom(_MIB)
    with path.open("wb") as file:
        for number in range(mib):
            file.write(number.to_bytes(8, "big") + block[8:])


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_MIB):
            yield block


def copy(path: Path, target: Path) -> None:
    """Read and write a file, block by block."""
    with target.open("wb") as file:
        for block in _blocks(path):
            file.write(block)


def send_form(port: int, path: Path) -> None:
    """Send a file by a form, to where the page sends it: it is received, and nothing else."""
    head, tail = _form_ends("files", path.name)
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=600)) as connection:
        connection.putrequest("POST", "/gradio_api/upload")
        connection.putheader("Content-Type", FORM_TYPE)
        connection.putheader("Content-Length", str(len(head) + path.stat().st_size + len(tail)))
        connection.endheaders()
        for part in _form(head, path, tail):
            connection.send(part)
        _check(connection.getresponse())


def _form_ends(field: str, name: str) -> tuple[bytes, bytes]:
    """Return what comes before a file in a form, and what after it."""
    disposition = f'Content-Disposition: form-data; name="{field}"; filename="{name}"'
    return f"--{BOUNDARY}\r\n{disposition}\r\n\r\n".encode(), f"\r\n--{BOUNDARY}--\r\n".encode()


def _form(head: bytes, path: Path, tail: bytes) -> Iterator[bytes]:
    yield head
    yield from _blocks(path)
    yield tail


def send_tus(port: int, path: Path) -> None:
    """Send a file by tus, in one part."""
    size = path.stat().st_size
    tus = {"Tus-Resumable": "1.0.0"}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=600)) as connection:
        name = base64.b64encode(path.name.encode()).decode()
        created = tus | {"Upload-Length": str(size), "Upload-Metadata": f"filename {name}"}
        connection.request("POST", f"{PREFIX}/uploads", headers=created)
        address = _check(connection.getresponse())
        connection.putrequest("PATCH", address)
        part = tus | {
            "Upload-Offset": "0",
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(size),
        }
        for header, value in part.items():
            connection.putheader(header, value)
        connection.endheaders()
        for block in _blocks(path):
            connection.send(block)
        _check(connection.getresponse())


def _check(response: http.client.HTTPResponse) -> str:
    content = response.read()
    if response.status >= 400:
        raise SystemExit(f"an upload was refused: {response.status} {content[:500]!r}")
    return response.headers.get("location", "")


@contextmanager
def peak_memory(process: psutil.Process) -> Iterator[list[int]]:
    """Yield a list that has the resident bytes of a process before and, afterwards, at their peak."""
    found = [process.memory_info().rss]
    over = threading.Event()

    def watch() -> None:
        peak = found[0]
        while not over.wait(_SAMPLE_SECONDS):
            peak = max(peak, process.memory_info().rss)
        found.append(peak)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


# ---------------------------------------------------------------- the parts


def measure_requests(port: int, bare_port: int, clip: Path, options: argparse.Namespace) -> None:
    """Print the rates of requests."""
    head, tail = _form_ends("file", clip.name)
    form = head + clip.read_bytes() + tail
    session = json.loads(ask(port, "POST", f"{PREFIX}/sessions", form, Content_Type=FORM_TYPE))
    frame = f"{PREFIX}/sessions/{session['id']}/frames/0?view=over"
    paths = {
        "a bare FastAPI route": (bare_port, f"/sessions/{session['id']}"),
        "GET /sessions/{id}": (port, f"{PREFIX}/sessions/{session['id']}"),
        "GET a cached frame (PNG)": (port, frame),
    }
    size = f"{session['clip']['width']} × {session['clip']['height']}"
    previews = f"{PREFIX}/sessions/{session['id']}/previews"
    ask(port, "POST", previews, b'{"frames": [0]}', Content_Type="application/json")
    rates: dict[str, list[float]] = {name: [] for name in paths}
    for _ in range(options.rounds):
        for name, (at, path) in paths.items():
            rates[name].append(request_rate(at, path, options.seconds, options.connections))
    print(f"requests per second, {options.connections} connections, clip of {size}:")
    plain = statistics.median(rates["a bare FastAPI route"])
    for name, values in rates.items():
        middle = statistics.median(values)
        spread = f"{min(values):.1f} to {max(values):.1f}"
        print(f"  {name:26} {middle:8.1f}  ({spread}; {middle / plain:.3f} of bare)")


def measure_uploads(
    port: int, server: psutil.Process, folder: Path, home: Path, options: argparse.Namespace
) -> None:
    """Print the throughput of uploads, and the server's memory meanwhile."""
    source = folder / "upload.bin"
    write_file(source, options.size)
    ways: dict[str, Callable[[], None]] = {
        "copy to disk": lambda: copy(source, folder / "copied.bin"),
        "form": lambda: send_form(port, source),
        "tus": lambda: send_tus(port, source),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    grown: dict[str, list[str]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, send in ways.items():
            with peak_memory(server) as memory:
                began = time.perf_counter()
                send()
                rates[name].append(options.size / (time.perf_counter() - began))
            grown[name].append(f"{memory[0] / _MIB:.0f} → {memory[1] / _MIB:.0f}")
            (folder / "copied.bin").unlink(missing_ok=True)
            for arrived in (home / "uploads").glob("*/*/*"):
                arrived.unlink()
    print(f"uploads of {options.size} MiB, MiB per second, and the server's resident MiB before → peak:")
    for name, values in rates.items():
        spread = f"({min(values):.0f} to {max(values):.0f})"
        print(f"  {name:14} {statistics.median(values):8.0f}  {spread:16} {', '.join(grown[name])}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.api")
    parser.add_argument("clip", nargs="?", type=Path, default=SAMPLE)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--size", type=int, default=512, metavar="MIB")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="recorte-api-", dir=os.environ.get("TMPDIR")) as name:
        folder, home = Path(name), Path(name, "home")
        home.mkdir()
        free = shutil.disk_usage(folder).free
        if free < 3 * options.size * _MIB:
            raise SystemExit(f"three times {options.size} MiB are needed, and {free // _MIB} MiB are free")
        with serving(home, options.size + 1) as (port, server), serving_bare() as bare_port:
            measure_requests(port, bare_port, options.clip, options)
            measure_uploads(port, server, folder, home, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
