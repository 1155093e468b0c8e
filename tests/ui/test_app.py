"""Start of the program, refusals to start, and the imports that its parts may have."""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from tests.imports import imported, pipeline_but_languages
from tests.ui.configured import settings
from ui import startup
from ui.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k != "DATABASE_URL" and not k.startswith("RECORTE_")}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=clean | environment,
        capture_output=True,
        text=True,
    )


# ---------------------------------------------------------------- settings


def test_the_defaults_are_private() -> None:
    read = settings()
    assert (read.host, read.port, read.database_url) == ("127.0.0.1", 7860, None)
    assert read.home.is_absolute() and read.home.name == "recorte"
    assert read.upload_bytes == 4 * 2**30 and read.stall_seconds == 600


def test_every_setting_is_read(tmp_path: Path) -> None:
    read = settings(
        RECORTE_HOME=str(tmp_path / ".." / "there"),
        RECORTE_HOST="0.0.0.0",
        RECORTE_PORT="0",
        RECORTE_UPLOAD_MB="7",
        RECORTE_STALL_MINUTES="3",
        RECORTE_DEVICES="cuda:1, cpu,cuda:1",
        RECORTE_RAY="auto",
        RECORTE_STORE="s3://bucket/work",
        DATABASE_URL="postgresql://a@b/c",
    )
    assert read.home == tmp_path.parent / "there"
    assert (read.host, read.port, read.upload_bytes) == ("0.0.0.0", 0, 7 * 2**20)
    assert read.stall_seconds == 180
    assert read.devices == ("cuda:1", "cpu") and settings().devices == ()
    assert (read.ray, read.store) == ("auto", "s3://bucket/work") and settings().ray is None
    assert read.database_url == "postgresql://a@b/c"
    assert settings(RECORTE_HOME="~/x").home == Path.home() / "x"
    assert settings(RECORTE_PORT="", DATABASE_URL="").port == 7860


@pytest.mark.parametrize("value", ["-1", "65536", "80.5", "http", " ", "٣x", "²"])
def test_an_invalid_number_is_reported_with_its_variable(value: str) -> None:
    with pytest.raises(startup.CannotStart, match=r"^RECORTE_PORT is .* whole number from 0"):
        settings(RECORTE_PORT=value)


@pytest.mark.parametrize("value", ["auto", "cuda", "cuda:1;cuda:2", "gpu:0"])
def test_invalid_devices_are_reported_with_their_variable(value: str) -> None:
    with pytest.raises(startup.CannotStart, match=r"^RECORTE_DEVICES holds .*cuda:N"):
        settings(RECORTE_DEVICES=value)


def test_the_readme_lists_the_variables_that_are_read_and_their_defaults() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `([A-Z_]+)` \|.*\| ([^|]*) \|$", readme, re.MULTILINE))
    fields = {str(field.validation_alias): name for name, field in Settings.model_fields.items()}
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "pipeline").rglob("*.py")]
    library = set(re.findall(r"environ(?:\.get\(|\[)\"(RECORTE_\w+)\"", "".join(sources)))
    assert listed.keys() == fields.keys() | library and not fields.keys() & library
    stated = {name: value[1] for name, said in listed.items() if (value := re.match("`([^`]+)`(:|$)", said))}
    assert len(stated) >= 8
    for variable, value in stated.items():
        assert getattr(settings(**{variable: value}), fields[variable]) == getattr(
            settings(), fields[variable]
        ), variable


# ---------------------------------------------------------------- starting


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence with which the program ended."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (sentence,) = done.stderr.strip().splitlines()
    return sentence


def test_an_invalid_setting_ends_the_program_with_a_sentence(tmp_path: Path) -> None:
    said = refused(python("app.py", RECORTE_HOME=str(tmp_path), RECORTE_UPLOAD_MB="much"))
    assert said == "RECORTE_UPLOAD_MB is 'much'; it must be a whole number from 1 to 1000000."


def test_an_error_is_in_the_language_of_the_environment(tmp_path: Path) -> None:
    done = python("app.py", RECORTE_HOME=str(tmp_path), RECORTE_PORT="many", LANG="de_DE.UTF-8")
    assert refused(done) == "RECORTE_PORT ist 'many'; nötig ist eine ganze Zahl von 0 bis 65535."


def test_an_unreachable_database_ends_the_program_with_a_sentence(tmp_path: Path) -> None:
    url = "postgresql://user:geheim@127.0.0.1:1/nothing"
    said = refused(python("app.py", RECORTE_HOME=str(tmp_path), RECORTE_PORT="0", DATABASE_URL=url))
    assert "DATABASE_URL" in said and "geheim" not in said


def test_a_cluster_that_cannot_be_joined_ends_the_program_with_a_sentence(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    done = python("app.py", RECORTE_HOME=str(tmp_path), RECORTE_PORT="0", RECORTE_RAY="127.0.0.1:1")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("No Ray cluster answers at 127.0.0.1:1.")
    said = refused(python("app.py", RECORTE_HOME=str(tmp_path), RECORTE_STORE="s3://bucket"))
    assert said.startswith("RECORTE_STORE is 's3://bucket', which only RECORTE_RAY makes use of")


@pytest.mark.parametrize("command", [[], ["user", "list"], ["user", "add", "Ana"]])
def test_an_unusable_data_folder_ends_the_program_with_a_sentence(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "file").write_text("kept")
    said = refused(python("app.py", *command, RECORTE_HOME=str(tmp_path / "file"), RECORTE_PORT="0"))
    assert str(tmp_path) in said and "RECORTE_HOME" in said and "Errno" not in said
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize(
    ("home", "in_the_way"),
    [
        ("file/below", "file"),
        ("home", "home/sessions"),
        ("home", "home/uploads"),
        ("loop/below", ""),
        ("~nobody-of-that-name/x", ""),
        ("x" * 300, ""),
    ],
)
def test_every_fault_of_the_data_folder_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str, in_the_way: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    if in_the_way:
        Path(in_the_way).parent.mkdir(exist_ok=True)
        Path(in_the_way).write_text("kept")
    with pytest.raises(startup.CannotStart, match="RECORTE_HOME"):
        startup.prepare_data_dir(settings(RECORTE_HOME=home).home)
    assert not in_the_way or Path(in_the_way).read_text() == "kept"


def test_a_lock_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "in-use.lock").mkdir()
    with (
        pytest.raises(startup.CannotStart, match=r"in-use\.lock\): mend that"),
        startup.lock_data_dir(tmp_path),
    ):
        pass


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_data_folders_are_closed_to_other_users(tmp_path: Path) -> None:
    fresh = tmp_path / "a" / "b"
    startup.prepare_data_dir(fresh)
    assert [mode(folder) for folder in (fresh, fresh / "sessions", fresh / "uploads")] == [0o700] * 3
    # One that was named may be open on purpose; what an earlier server made in it is not.
    older = tmp_path / "older"
    for name in ("", "sessions", "uploads", "database", "lost", "another's"):
        (older / name).mkdir()
        (older / name).chmod(0o755)
    startup.prepare_data_dir(older)
    assert mode(older) == mode(older / "another's") == 0o755
    assert {mode(older / name) for name in ("sessions", "uploads", "database", "lost")} == {0o700}
    (older / "database").chmod(0o701)  # as root lets the embedded server's account pass
    startup.prepare_data_dir(older)
    assert mode(older / "database") == 0o701


def test_port_and_folder_of_a_killed_server_are_waited_for(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken, startup.lock_data_dir(tmp_path):
        port = taken.getsockname()[1]
        free = threading.Timer(1, taken.close)
        free.start()
        with startup.bind("127.0.0.1", port):
            free.join()
        with (
            pytest.raises(startup.CannotStart, match="RECORTE_PORT"),
            socket.create_server(("127.0.0.1", 0)) as other,
        ):
            startup.bind("127.0.0.1", other.getsockname()[1], timeout=0.2)
        with pytest.raises(startup.InUse), startup.lock_data_dir(tmp_path, timeout=0.2):
            pass
    holding = startup.lock_data_dir(tmp_path)
    holding.__enter__()
    free = threading.Timer(1, holding.__exit__, (None, None, None))
    free.start()
    with startup.lock_data_dir(tmp_path):
        free.join()


def test_a_port_in_use_ends_the_program_with_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = refused(python("app.py", RECORTE_HOME=str(tmp_path / "home"), RECORTE_PORT=port))
    assert port in said and "RECORTE_PORT" in said
    assert not (tmp_path / "home").exists()


def test_two_servers_do_not_share_a_data_folder(tmp_path: Path) -> None:
    with startup.lock_data_dir(tmp_path):
        said = refused(python("app.py", RECORTE_HOME=str(tmp_path), RECORTE_PORT="0"))
    assert str(tmp_path) in said and "RECORTE_HOME" in said
    with startup.lock_data_dir(tmp_path):  # and it is free again
        pass


def test_an_unresolvable_host_is_reported() -> None:
    with pytest.raises(startup.CannotStart, match="RECORTE_HOST"):
        startup.bind("no.such.host.invalid", 0)
    with startup.bind("127.0.0.1", 0) as port:
        assert port.getsockname()[1] > 0


# ---------------------------------------------------------------- imports

# page and server know sessions and not each other; sessions know pipeline and db.
PIPELINE = pipeline_but_languages(f"pipeline.{path.stem}" for path in (ROOT / "pipeline").iterdir())
"""Packages and modules of the pipeline, but for its languages, which know no other package."""

MAY_NOT = {
    "ui": {"torch", "sqlalchemy", "psycopg2", "alembic", "av", "app"},
    "ui/page": {"ui.server", "ui.application", "ui.settings", "db.repository", "db.engine", "db.ledger"},
    "ui/page/context.py": {"ui.page.sections", "ui.page.blocks"},
    "ui/page/sections": {"ui.page.sections", "ui.page.blocks"},  # none imports another
    "ui/server": {"gradio", "ui.page", "ui.application", "ui.settings"},
    "ui/sessions": {
        *("gradio", "fastapi", "starlette", "uvicorn"),
        *("ui.page", "ui.server", "ui.application", "ui.settings", "ui.visitor"),
    },
    "ui/sessions/rendering/frames.py": {"db.repository", "db.engine"},
    "ui/sessions/rendering/inference.py": {"db", "ui.sessions.session", "ui.sessions.service"},
    "ui/sessions/rendering/protocol.py": {"db"},
    "ui/sessions/session.py": {"db.repository", "db.engine"},
    "ui/settings.py": {"gradio", "fastapi", "db", "ui.page", "ui.server", "ui.sessions", *PIPELINE},
    "ui/startup.py": {"gradio", "fastapi", "db", "ui.page", "ui.server", "ui.sessions", *PIPELINE},
    "ui/text.py": {"gradio", "fastapi", "ui.page", "ui.server", "ui.sessions"},
    "pipeline": {"gradio", "fastapi", "sqlalchemy", "db", "ui", "app"},
    "pipeline/languages": {"numpy", "torch", "av", "cv2", *PIPELINE},
    "db": {"gradio", "fastapi", "torch", "ui", "app", *PIPELINE},
}


@pytest.mark.parametrize("place", MAY_NOT)
def test_imports_follow_the_floors(place: str) -> None:
    where = ROOT / place
    files = sorted(where.rglob("*.py")) if where.is_dir() else [where]
    assert files
    for file in files:
        for module in imported(file):
            for banned in MAY_NOT[place]:
                assert not f"{module}.".startswith(f"{banned}."), f"{file.relative_to(ROOT)} imports {module}"


BUILD = """
import sys
from pathlib import Path
from ui.application import create_application
from ui.sessions.service import SessionService
class Away: pass
create_application(
    SessionService(Path(sys.argv[1]), Away(), Away(), Path("assets/sample.mp4"), Away()), upload_bytes=1
)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_the_page_is_built_without_a_model(tmp_path: Path) -> None:
    done = python("-c", BUILD, str(tmp_path))
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "gradio" in loaded
    assert not loaded & {"torch", "torchvision", "transformers", "segment_anything", "psycopg2", "av"}


PLAIN = "import sys; import {package}; print(*sorted(sys.modules))"


@pytest.mark.parametrize("package", ["pipeline.process", "pipeline.models", "db.repository", "app"])
def test_each_package_is_imported_without_the_others(package: str) -> None:
    done = python("-c", PLAIN.format(package=package))
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert not loaded & {"torch", "gradio", "ui"}
    assert "db" not in loaded or not pipeline_but_languages(loaded)
