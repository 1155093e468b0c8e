"""All checks, one after another: `python -m tests [arguments for pytest]`.

The tests read clips back with ffmpeg and drive the page with Chromium; Node checks the page's scripts. Where
one is missing it is installed if that can be done without asking; otherwise one sentence says what to
install, and the run has failed.
"""

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from tests import browser

ROOT = Path(__file__).resolve().parent.parent
WORKERS = max(2, min(4, os.cpu_count() or 2))
"""Processes that run the tests side by side, each with a database, ports and folders of its own."""
OLDEST_NODE = (18, 19)
"""Debian 12's."""


def missing() -> list[str]:
    """Debian's names of the packages whose programs are not there."""
    packages = [] if shutil.which("ffmpeg") and shutil.which("ffprobe") else ["ffmpeg"]
    try:
        browser.chromium()
    except FileNotFoundError:
        packages.append("chromium")
    packages += [
        package for program, package in (("node", "nodejs"), ("npm", "npm")) if not shutil.which(program)
    ]
    return packages


def system() -> str:
    """The distribution's identifier, such as `debian`; empty where there is none."""
    try:
        return platform.freedesktop_os_release()["ID"]
    except OSError:
        return ""


def as_root() -> list[str] | None:
    """Return the words before a command with which root runs it unasked; None if there are none."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return []
    sudo = ["sudo", "-n"]
    if shutil.which("sudo") and subprocess.run([*sudo, "true"], capture_output=True).returncode == 0:
        return sudo
    return None


def run(*command: str) -> None:
    """Echo a command and run it in the repository root; where it fails, end with its exit status."""
    print("$", shlex.join(command), flush=True)
    status = subprocess.run(command, cwd=ROOT).returncode
    if status:
        # A signal's negative status becomes what a shell would say, never a 0.
        sys.exit(status if status > 0 else 128 - status)


def check(module: str, *arguments: str) -> None:
    """Run a checker of this environment, whichever of its name the PATH holds."""
    run(sys.executable, "-m", module, *arguments)


def provide_programs() -> None:
    packages = missing()
    if not packages:
        return
    if os.environ.get("CHROMIUM") and "chromium" in packages:
        sys.exit("CHROMIUM names no browser that runs: correct it, or unset it to have one looked for.")
    if "chromium" in packages and system() == "ubuntu":
        sys.exit(
            "Chromium is missing, and Ubuntu's package of it is a snap: install it with "
            "`sudo snap install chromium`, or name another with CHROMIUM=/path/to/chrome."
        )
    prefix = as_root()
    if prefix is not None and shutil.which("apt-get"):
        apt = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
        run(*apt, "update", "-qq")
        run(*apt, "install", "-y", "-qq", "--no-install-recommends", *packages)
        packages = missing()
    if packages:
        sys.exit(
            f"The tests need {' and '.join(packages)}: install them with the system's package manager "
            "(on Debian: `sudo apt-get install ffmpeg chromium nodejs npm`) and try again."
        )


def node_version() -> tuple[int, int]:
    """Return the major and the minor version of the Node that the PATH holds."""
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    major, minor = said.removeprefix("v").split(".")[:2]
    return int(major), int(minor)


def check_scripts() -> None:
    """Lint the page's scripts, check their types, and test what Node can import of them."""
    if (version := node_version()) < OLDEST_NODE:
        oldest, present = (".".join(map(str, numbers)) for numbers in (OLDEST_NODE, version))
        sys.exit(f"The checks of the page's scripts need Node {oldest} or newer; this is {present}.")
    npm = shutil.which("npm") or "npm"
    lock, installed = ROOT / "package-lock.json", ROOT / "node_modules" / "installed-lock.json"
    if not installed.is_file() or installed.read_bytes() != lock.read_bytes():
        run(npm, "ci", "--no-audit", "--no-fund")
        shutil.copyfile(lock, installed)
    for script in ("lint", "types", "test"):
        run(npm, "run", "--silent", script)


def audit() -> None:
    """Say what known holes the installed packages have.

    A hole that is found tomorrow is no fault of what is tested today, so it is told and ends nothing.
    """
    command = [sys.executable, "-m", "pip_audit", "--progress-spinner", "off", "--timeout", "10"]
    said = "Known holes could not be asked for."
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
        if done.returncode == 0:
            said = "No installed package has a known hole."
        elif re.search(r"Found \d+ known vulnerabilit", done.stderr):
            said = f"{done.stdout}\nInstalled packages have known holes: see above."
    except subprocess.TimeoutExpired:
        pass
    print(said, flush=True)


def main() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036 - whoever runs this may have an older one
        sys.exit(f"Recorte needs Python 3.11 or newer; this is {platform.python_version()}.")
    provide_programs()
    check("ruff", "check", ".")
    check("ruff", "format", "--check", ".")
    check("mypy")
    check_scripts()
    audit()
    # A module's tests stay together, for they share servers and clips. Last, so that its closing line is the
    # last of the output.
    check("pytest", "-n", str(WORKERS), "--dist", "loadscope", "--no-loadscope-reorder", *sys.argv[1:])


if __name__ == "__main__":
    main()
