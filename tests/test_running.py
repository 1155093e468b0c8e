"""Running of the tests themselves: one that hangs fails, and the others go on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HANGING = """
import signal
import threading

def test_that_hangs():
    threading.Event().wait()

def test_that_hears_no_signal():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    threading.Event().wait()

def test_behind_them():
    pass
"""


def test_one_that_hangs_fails_and_the_others_go_on(tmp_path: Path) -> None:
    (tmp_path / "test_hanging.py").write_text(HANGING)
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path)]
    command += ["-n", "1", "-o", "timeout=1", "-o", "faulthandler_timeout=4", str(tmp_path)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert re.search(r"\b2 failed, 1 passed\b", done.stdout.splitlines()[-1]), done.stdout
    assert "Timeout (>1.0s)" in done.stdout and "crashed while running" in done.stdout
    assert "in test_that_hears_no_signal" in done.stderr  # where it hung


OWN_DEADLINE = re.compile(
    r"""timeout=[1-9]                    # of a subprocess, an expectation, a request
    | \.(wait\(\d\d | join\(\d)          # of an event, a process, a thread
    | wait_procs\(.*\d
    | set_default_timeout\(\d | wait_for_timeout
    | until\(.*seconds=""",
    re.VERBOSE,
)


@pytest.mark.parametrize("path", sorted(ROOT.glob("tests/*/test_*.py")), ids=lambda path: path.stem)
def test_no_test_has_a_deadline_of_its_own(path: Path) -> None:
    """Or it fails on a machine that does other work as well: there is `tests.waiting.DEADLINE`."""
    assert not [line for line in path.read_text(encoding="utf-8").splitlines() if OWN_DEADLINE.search(line)]
