"""Log formats: one line for each event, without what users wrote or named."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.errors import VideoError
from tests.ui.conftest import ROOT
from ui.server import logs


@pytest.fixture
def lines() -> Iterator[Any]:
    """A logger of its own, and the lines that it wrote."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logs.JsonFormatter())
    log = logging.Logger("ui.test")
    log.addHandler(handler)
    yield log, lambda: [json.loads(line) for line in out.getvalue().splitlines()]


def test_an_event_is_a_line_with_its_fields(lines: Any) -> None:
    log, said = lines
    log.info("run ended", extra={"session": "abc", "seconds": 1.5, "frames": 3, "file": "geheim.mp4"})
    (line,) = said()
    assert line.pop("time").startswith("20")
    assert line == {
        "level": "info",
        "event": "run ended",
        "from": "ui.test",
        "session": "abc",
        "seconds": 1.5,
        "frames": 3,
    }


def test_an_error_is_logged_by_kinds_and_places_without_its_message(lines: Any) -> None:
    log, said = lines

    def broken() -> None:
        try:
            open("/nowhere/geheim.mp4")  # noqa: PTH123, SIM115
        except OSError as error:
            raise VideoError("video.unreadable", name="geheim.mp4") from error

    try:
        broken()
    except VideoError:
        log.exception("a handler failed")
    (line,) = said()
    assert [error["kind"] for error in line["errors"]] == ["VideoError", "FileNotFoundError"]
    assert line["errors"][1]["reason"] == "No such file or directory"
    assert line["errors"][0]["at"][-1].startswith("tests/ui/server/test_logs.py:")
    assert "geheim" not in json.dumps(line) and str(ROOT) not in json.dumps(line)


def test_a_message_of_several_lines_is_logged_as_one(lines: Any) -> None:
    log, said = lines
    log.error("job failed\nTraceback (most recent call last):\n  geheim.mp4")
    log.error("x" * 10_000)
    first, second = said()
    assert first["event"] == "job failed" and len(second["event"]) == 400


def test_the_text_format_is_readable(lines: Any) -> None:
    record = logging.LogRecord("ui", logging.INFO, __file__, 1, "run %s", ("ended",), None)
    record.session, record.seconds = "abc", 2.0
    said = logs.TextFormatter().format(record)
    assert said.endswith("INFO    run ended  session=abc  seconds=2.0")
    try:
        raise KeyError("x")
    except KeyError:
        record.exc_info = sys.exc_info()
    assert "KeyError: 'x'" in logs.TextFormatter().format(record)


SAYS = """
import logging, sys, threading, warnings
from ui.server import logs
logs.setup({form!r})
logging.getLogger("uvicorn.error").warning("from uvicorn")
logging.getLogger("ui.x").info("from us")
logging.getLogger("httpx").info("of no interest")
warnings.warn("a warning")
def fail(): raise ValueError("geheim.mp4")
thread = threading.Thread(target=fail); thread.start(); thread.join()
fail()
"""


def said(form: str | None) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SAYS.format(form=form)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1 and done.stdout == ""
    return done.stderr


def test_all_loggers_use_one_format() -> None:
    lines = [json.loads(line) for line in said(None).splitlines()]  # no terminal: JSON
    events = [line["event"] for line in lines]
    assert events[:2] == ["from uvicorn", "from us"] and "a warning" in events[2]
    assert events[3:] == ["a thread ended", "the program ended"]
    assert [line["errors"][0]["kind"] for line in lines[3:]] == ["ValueError", "ValueError"]
    assert "geheim" not in json.dumps(lines)


def test_the_text_format_can_be_chosen_without_a_terminal() -> None:
    assert "ValueError: geheim.mp4" in said("text")


PRINTS = """
import logging, sys, traceback, warnings
warnings.simplefilter("ignore")
import gradio as gr
from fastapi import FastAPI
from fastapi.testclient import TestClient
from ui.server import logs
logs.setup({form!r})
with logs.log_printed_output():
    with gr.Blocks() as page:
        choice = gr.Dropdown(["a"])
        choice.input(lambda x: x, choice, None, api_name="direct", queue=False)
        choice.change(lambda x: x, choice, None, api_name="queued")
    app = gr.mount_gradio_app(FastAPI(), page, path="/", ssr_mode=False)
    with TestClient(app) as client:
        client.post("/gradio_api/run/direct", json={{"data": ["geheim.mp4"]}})
        event = {{"data": ["geheim.mp4"], "fn_index": 1, "session_hash": "x"}}
        client.post("/gradio_api/queue/join", json=event)
        client.get("/gradio_api/queue/data?session_hash=x")
    print("geheim.mp4", file=sys.stderr)
    logging.getLogger("ui.x").info("and goes on")
print("A sentence.", file=sys.stderr)
"""


def printed(form: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PRINTS.format(form=form)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()


def test_output_printed_by_gradio_is_logged_without_its_text() -> None:
    *said, last = printed("json")
    assert last == "A sentence." and "geheim" not in " ".join(said)
    lines = [json.loads(line) for line in said]
    assert [line["event"] for line in lines] == [
        "a library printed an error",
        "a library printed an error",
        "a library printed something",
        "and goes on",
    ]
    assert lines[0]["errors"][0]["kind"] == lines[1]["errors"][0]["kind"] == "gradio.exceptions.Error"


def test_output_is_still_printed_on_a_terminal() -> None:
    assert any("geheim.mp4" in line for line in printed("text"))
