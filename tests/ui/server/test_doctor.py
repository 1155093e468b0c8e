"""The doctor command, the settings it reads, and the user command."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import app
from db.embedded import EmbeddedServer
from db.engine import Database
from db.tokens import hash_token
from pipeline import models
from tests.ui.configured import settings
from tests.ui.conftest import ROOT
from ui.server import doctor
from ui.server.login.accounts import DatabaseAccounts
from ui.server.login.login_sessions import DatabaseLoginSessions, Login
from ui.startup import CannotStart


def program(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k != "DATABASE_URL"}
    return subprocess.run(
        [sys.executable, "app.py", *arguments],
        cwd=ROOT,
        env=clean | settings,
        input="",
        capture_output=True,
        text=True,
    )


def found(home: Path, **changes: object) -> list[doctor.Finding]:
    asked = {"database_url": None, "host": "127.0.0.1", "port": 0, "running": False} | changes
    return list(doctor.examine(home, **asked))  # type: ignore[arg-type]


def test_doctor_prints_each_finding_and_leaves_no_files(tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = program("doctor", RECORTE_HOME=str(home), RECORTE_PORT="0")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "It can serve." and not home.exists()
    for word in (
        "data folder",
        "free on its disk",
        "embedded database",
        "127.0.0.1",
        "of memory",
        "Models run",
    ):
        assert any(word in line for line in lines), word
    for card in models.cards().values():
        assert any(card.label in line for line in lines)
    assert any("formats can be encoded" in line for line in lines)
    assert all(line[:4] in ("ok  ", "--  ") and line.endswith(".") for line in lines[:-1])


def test_findings_are_in_the_language_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"total": 2_500_000_000, "used": 0, "free": 10**6})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    folder, disk = doctor._folder(tmp_path)
    assert str(folder) == f"ok  Der Datenordner ist {tmp_path}."
    assert disk.sentence.startswith("Auf seinem Datenträger sind 1.0 MB von 2.5 GB frei".replace(".", ","))
    monkeypatch.setenv("LC_ALL", "es")
    assert disk.sentence.endswith("haz sitio antes de ejecutar nada.")
    done = program("doctor", RECORTE_HOME=str(tmp_path / "home"), RECORTE_PORT="0", LC_ALL="es_ES.UTF-8")
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "Puede servir."


def test_a_finding_that_stops_the_server_is_the_exit_status(tmp_path: Path) -> None:
    url = "postgresql://user:geheim@127.0.0.1:1/nothing"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = program("doctor", RECORTE_HOME=str(tmp_path), RECORTE_PORT=port, DATABASE_URL=url)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[-1] == "It cannot serve like this."
    bad = [line for line in lines if line.startswith("!!")]
    assert len(bad) == 2 and "geheim" not in done.stdout
    assert any("DATABASE_URL" in line for line in bad) and any("RECORTE_PORT" in line for line in bad)


def test_a_running_database_is_joined_and_kept_running(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / "database") as server:
        before = (server.data / "postmaster.pid").read_text().splitlines()[0]
        said = [str(finding) for finding in found(tmp_path, running=True)]
        assert any("database answers: PostgreSQL" in line for line in said)
        assert (server.data / "postmaster.pid").read_text().splitlines()[0] == before


def test_the_port_of_a_running_server_is_fine(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ours = doctor._port("127.0.0.1", port, running=True)
        others = doctor._port("127.0.0.1", port, running=False)
    assert ours.ok and "Recorte is running" in ours.sentence
    assert others.stops


def test_a_full_disk_stops_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"total": 10**12, "used": 10**12, "free": 10**6})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    *_, disk = doctor._folder(tmp_path)
    assert disk.stops and "make room" in disk.sentence


def test_an_exposed_server_needs_accounts(tmp_path: Path) -> None:
    done = program(RECORTE_HOME=str(tmp_path / "home"), RECORTE_PORT="0", RECORTE_HOST="0.0.0.0")
    assert done.returncode == 2 and done.stdout == ""
    said = done.stderr.strip().splitlines()[-1]
    assert "user add NAME" in said and "RECORTE_OPEN=1" in said


def test_switches_and_names_are_read_and_checked() -> None:
    read = settings(
        RECORTE_OPEN="1",
        RECORTE_HOSTS="a.example, b.example",
        RECORTE_KEEP_DAYS="30",
        RECORTE_QUOTA_GB="2",
        RECORTE_MOST_MINUTES="5",
        RECORTE_MOST_PIXELS="8294400",
        RECORTE_STALL_MINUTES="3",
        RECORTE_LOG="text",
    )
    assert read.open and not read.users and read.hosts == ("a.example", "b.example") and read.log == "text"
    assert (read.keep_days, read.quota_bytes, read.max_seconds) == (30, 2 * 2**30, 300)
    assert (read.max_pixels, read.stall_seconds) == (8294400, 180)
    assert read.exposed and not settings().exposed
    assert settings(RECORTE_HOST="0.0.0.0").exposed
    assert settings(RECORTE_HOSTS="recorte.example.org").exposed  # through a proxy
    for name, value in (("RECORTE_OPEN", "yes"), ("RECORTE_HOSTS", "https://a"), ("RECORTE_LOG", "xml")):
        with pytest.raises(CannotStart, match=f"^{name} "):
            settings(**{name: value})


def test_users_are_added_listed_changed_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RECORTE_HOME", str(tmp_path))
    monkeypatch.delenv("DATABASE_URL", raising=False)

    def user(*arguments: str, password: str = "") -> str:
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{password}\n"))
        status = app.main(["user", *arguments])
        out, err = capsys.readouterr()
        assert (status, out if status else err) == (2 if err else 0, "")
        return (out or err).strip()

    before = signal.getsignal(signal.SIGTERM)
    with EmbeddedServer(tmp_path / "database"):  # as while a server runs
        assert user("list") == "There are no users."
        assert user("add", "Ana", "--admin", password="password of ana") == "Ana may sign in."
        assert user("add", "ANA", password="another one") == (
            "There is a user called ANA already: choose another name."
        )
        assert user("add", "Ben", password="short") == "A password has at least 8 characters."
        assert user("add", "Ben", password="password of ben") == "Ben may sign in."
        assert user("list").splitlines() == ["Ana (admin): 0 sessions", "Ben: 0 sessions"]
        with Database.open(None, tmp_path / "database") as database:
            accounts = DatabaseAccounts(database)
            ana = accounts.check("ana", "password of ana")
            logins = DatabaseLoginSessions(database)
            assert ana is not None and ana.admin and accounts.any()
            signed_in = hash_token(logins.add(ana))
            found = logins.find(signed_in)
            assert found is not None and found.visitor == ana
            assert accounts.check("ana", "password of ben") is None
            assert "new password" in user("password", "ana", password="a newer password")
            changed = accounts.check("ana", "a newer password")
            assert changed is not None and changed.id == ana.id and changed.auth_hash != ana.auth_hash
            assert accounts.check("ana", "password of ana") is None
            assert logins.find(signed_in) is None
            ben = accounts.check("ben", "password of ben")
            assert ben is not None
            signed_in = hash_token(logins.add(ben))
            assert isinstance(logins.find(signed_in), Login)
            assert user("remove", "BEN") == "Ben and their sessions are removed."
            assert accounts.check("ben", "password of ben") is None and logins.find(signed_in) is None
        assert user("remove", "Ben") == "There is no user called 'Ben'."
        assert user("password", "Ben", password="password of ben") == "There is no user called 'Ben'."
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(("codecs", "told"), [(("h264", "av1"), "it decodes h264, av1."), ((), "processor.")])
def test_doctor_says_how_far_frames_stay_on_a_card(
    monkeypatch: pytest.MonkeyPatch, codecs: tuple[str, ...], told: str
) -> None:
    monkeypatch.setattr(doctor.devices, "list_all", lambda: [torch.device("cuda", 1)])
    monkeypatch.setattr(doctor.devices, "describe", lambda device: ("A card", 2**34))
    monkeypatch.setattr(doctor, "list_decoders", lambda card: codecs if card == 1 else pytest.fail("number"))
    sentences = [str(finding.message) for finding in doctor._device()]
    assert len(sentences) == 2
    assert "A card" in sentences[0] and sentences[1].endswith(told)


def test_doctor_lists_every_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.xpu, "is_available", lambda: True)
    monkeypatch.setattr(torch.xpu, "device_count", lambda: 2)
    monkeypatch.setattr(doctor.devices, "describe", lambda device: (f"Card {device.index}", 2**34))
    sentences = [str(finding.message) for finding in doctor._device()]
    assert len(sentences) == 4  # each with where it decodes
    assert "xpu:0" in sentences[0] and "Card 1" in sentences[2] and sentences[3].endswith("processor.")


@pytest.mark.parametrize("version", [None, "2.14.0"])
def test_doctor_looks_for_tensorrt_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, version: str | None
) -> None:
    from pipeline.networks import tensorrt

    monkeypatch.setattr(tensorrt, "find_version", lambda: version)
    assert list(doctor._engines()) == []
    monkeypatch.setenv("RECORTE_TENSORRT", "1")
    (finding,) = doctor._engines()
    assert finding.ok == (version is not None) and not finding.stops
    assert (version or "RECORTE_TENSORRT") in finding.sentence
