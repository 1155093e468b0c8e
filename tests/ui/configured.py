"""Settings as the environment of a test gives them."""

from __future__ import annotations

import os

import pytest

from ui.settings import Settings, read_settings


def settings(**environment: str) -> Settings:
    """Read the settings with these variables and no other one of this program."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n == "DATABASE_URL" or n.startswith("RECORTE_")]:
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        return read_settings()
