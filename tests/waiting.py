"""Waiting for what another thread or process does: for the condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable

DEADLINE = 120.0
"""Seconds after which something that should happen is given up.

For every wait of the tests, Playwright's among them. It is no promise of the product: a machine that does
other work beside the tests may take many times as long as a quiet one.
"""


def until(condition: Callable[[], object]) -> None:
    """Wait until the condition holds; AssertionError where it does not within DEADLINE."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"it never came within {DEADLINE:.0f} seconds"
        time.sleep(0.01)
