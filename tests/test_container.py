"""The container's files: what they name exists, and the application runs with what the image copies.

No image is built here: that takes a container engine.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions with their arguments, lines put together."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]


def environment() -> dict[str, str]:
    pairs = [
        word.partition("=") for name, rest in instructions() if name == "ENV" for word in shlex.split(rest)
    ]
    return {name: value for name, _, value in pairs}


def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    return read


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the image copies, and nothing else of the repository."""
    folder = tmp_path_factory.mktemp("image")
    ignored = shutil.ignore_patterns("__pycache__")
    for name, rest in instructions():
        if name != "COPY":
            continue
        *sources, target = rest.split()
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, folder / target, ignore=ignored)
            else:
                shutil.copy(ROOT / source, folder / target / source)
    return folder


def call(image: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    home = image.parent / "volumes"
    own = {k: v for k, v in os.environ.items() if k != "DATABASE_URL" and not k.startswith("RECORTE_")}
    own |= environment() | {"RECORTE_HOME": str(home / "data"), "RECORTE_WEIGHTS": str(home / "weights")}
    own |= {"XDG_CACHE_HOME": str(home / "data/cache")}
    return subprocess.run(
        [sys.executable, *arguments], cwd=image, env=own, capture_output=True, encoding="utf-8"
    )


def test_what_is_copied_is_not_ignored() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    allowed = [line[1:] for line in lines if line.startswith("!")]
    copied = [word for name, rest in instructions() if name == "COPY" for word in rest.split()[:-1]]
    assert copied and lines[0] == "*"
    assert all(
        (ROOT / word).exists() and any(fnmatch.fnmatch(word, one) for one in allowed) for word in copied
    )


def test_packages_are_installed_before_the_code_is_copied() -> None:
    steps = [f"{name} {rest}" for name, rest in instructions()]
    install = next(n for n, step in enumerate(steps) if "pip install" in step)
    code = next(n for n, step in enumerate(steps) if step.startswith("COPY") and "app.py" in step)
    assert steps.index("COPY requirements.txt ./") < install < code


def test_the_image_runs_as_a_user_that_owns_the_volumes_alone() -> None:
    last = dict(instructions())
    assert last["USER"] == "recorte"
    assert json.loads(last["VOLUME"]) == [environment()["RECORTE_HOME"], environment()["RECORTE_WEIGHTS"]]
    for name, service in compose()["services"].items():
        if name != "database":
            assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
            assert {volume.partition(":")[2] for volume in service["volumes"]} == {"/data", "/weights"}


def test_the_settings_are_those_of_the_readme() -> None:
    named = {name for name in environment() if name.startswith("RECORTE_")}
    named |= {
        name
        for service in compose()["services"].values()
        for name in service["environment"]
        if name.startswith("RECORTE_") or name == "DATABASE_URL"
    }
    assert named and all(f"`{name}`" in README for name in named)


def test_a_service_waits_for_the_database_that_it_names() -> None:
    services, volumes = compose()["services"], compose()["volumes"]
    assert [name for name, service in services.items() if "profiles" not in service] == [
        "recorte",
        "database",
    ]
    for service in services.values():
        assert {volume.partition(":")[0] for volume in service["volumes"]} <= {*volumes}
    address = re.fullmatch(
        r"postgresql://(\w+):\$\{(\w+):\?.*\}@(\w+)/(\w+)", services["recorte"]["environment"]["DATABASE_URL"]
    )
    own = services["database"]["environment"]
    assert address is not None
    assert (address[1], address[4]) == (own["POSTGRES_USER"], own["POSTGRES_DB"])
    assert address[2] in own["POSTGRES_PASSWORD"] and address[3] in services["recorte"]["depends_on"]


def test_the_application_runs_with_what_the_image_copies(image: Path, tmp_path: Path) -> None:
    (entry,) = [json.loads(rest) for name, rest in instructions() if name == "ENTRYPOINT"]
    assert entry[0] == "python"
    done = call(image, *entry[1:], "user", "add", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    out = tmp_path / "out.mp4"
    done = call(image, "-m", "pipeline", "run", "assets/sample.mp4", str(out), "--end", "0.2", "--json")
    assert done.returncode == 0, done.stderr
    assert out.stat().st_size > 0
    assert not list(image.rglob("*.pyc"))  # it writes nothing beside the code


class _Health(BaseHTTPRequestHandler):
    """Answers for the health of a server: `status`."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.end_headers()


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_the_healthcheck_asks_what_the_server_answers(image: Path, status: int, healthy: bool) -> None:
    (check,) = [rest for name, rest in instructions() if name == "HEALTHCHECK"]
    command = json.loads(check[check.index("CMD ") + 4 :])
    port = f":{environment()['RECORTE_PORT']}/"
    assert port in command[2] and "`/healthz`" in README
    with HTTPServer(("127.0.0.1", 0), type("Health", (_Health,), {"status": status})) as server:
        threading.Thread(target=server.handle_request).start()
        done = call(image, "-c", command[2].replace(port, f":{server.server_port}/"))
    assert (done.returncode == 0) is healthy
