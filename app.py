"""Recorte's server: reads the settings once, starts the database, puts the parts together, serves."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_path

ASSETS = Path(__file__).resolve().parent / "assets"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Settings:
    """What the environment says; README.md lists them."""

    home: Path
    database_url: str | None
    host: str
    port: int
    upload_bytes: int

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        """Raises ValueError with a sentence where a setting is none."""
        home = environment.get("RECORTE_HOME")
        return cls(
            home=Path(home).expanduser().resolve() if home else user_data_path("recorte"),
            database_url=environment.get("DATABASE_URL") or None,
            host=environment.get("RECORTE_HOST") or LOOPBACK[0],
            port=_number(environment, "RECORTE_PORT", 7860, 0, 65535),
            upload_bytes=_number(environment, "RECORTE_UPLOAD_MB", 4096, 1, 10**6) * 10**6,
        )


def _number(environment: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal() or not least <= int(text) <= most:
        raise ValueError(f"{name} is {text!r}; it must be a whole number from {least} to {most}.")
    return int(text)


def listening(host: str, port: int) -> socket.socket:
    """Raises ValueError with a sentence where the address cannot be had."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ValueError(
            f"Nothing can be served at {host}:{port} ({error.strerror}). "
            "Another program may be there: choose with RECORTE_HOST and RECORTE_PORT."
        ) from error


def serve(settings: Settings) -> None:
    """Run until interrupted."""
    settings.home.mkdir(parents=True, exist_ok=True)
    # Gradio reads these when it is imported.
    os.environ["GRADIO_TEMP_DIR"] = str(settings.home / "uploads")
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

    import gradio as gr
    import uvicorn
    from fastapi import FastAPI

    from db import repository
    from db.engine import Database
    from db.ledger import Ledger
    from pipeline.runner import Runner
    from ui import blocks, media
    from ui.actions import Actions

    with Database.open(settings.database_url, settings.home / "database") as database:
        with database.begin() as tx:
            repository.interrupt_unfinished(tx)
        ledger = Ledger(database)
        runner = Runner(ledger)
        actions = Actions(settings.home, database, runner, ASSETS / "sample.mp4")
        server = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        server.include_router(media.router(actions))
        gr.mount_gradio_app(
            server,
            blocks.build(actions),
            path="/",
            footer_links=[],
            run_history=False,
            max_file_size=settings.upload_bytes,
            show_error=True,
            ssr_mode=False,
            i18n=blocks.I18N,
            theme=blocks.THEME,
            css_paths=[blocks.CSS],
        )
        try:
            with listening(settings.host, settings.port) as port:
                print(f"Recorte is at http://{settings.host}:{port.getsockname()[1]}", flush=True)
                uvicorn.Server(uvicorn.Config(server, log_level="warning")).run(sockets=[port])
        finally:
            runner.close()
            ledger.close()


def main() -> int:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    try:
        settings = Settings.read(os.environ)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    from db.errors import DatabaseError

    try:
        serve(settings)
    except (ValueError, DatabaseError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
