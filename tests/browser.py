"""The browser that the page's tests drive: one that the system installed, not a download of Playwright's."""

import os
import shutil
import subprocess
from functools import cache

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# Headless, in a container, as root: no sandbox, no GPU, no /dev/shm of useful size, no calls home.
ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--autoplay-policy=no-user-gesture-required",
)


@cache
def chromium() -> str:
    """Path of a Chromium that runs: `CHROMIUM` if set, else the first of NAMES. FileNotFoundError if none."""
    named = os.environ.get("CHROMIUM")
    names = (named,) if named else NAMES
    for name in names:
        path = shutil.which(name)
        # Ubuntu's chromium-browser is a stub that asks for a snap and fails, so being there is not enough.
        if path and subprocess.run([path, "--version"], capture_output=True).returncode == 0:
            return path
    raise FileNotFoundError(f"No browser that runs under the name {' or '.join(names)}")
