"""Folder of what is shipped beside the code: scripts, style, texts, pictures and the sample."""

from pathlib import Path

ASSETS = Path(__file__).resolve().parents[1] / "assets"
