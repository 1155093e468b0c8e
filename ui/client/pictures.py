"""Steps of a client for single pictures, as of `ui.client.steps`."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ui.client import steps
from ui.client.steps import ApiError, Close, Json, Line, Open, Request, Steps, Wait, send


@dataclass(frozen=True)
class PictureStep:
    """Step of a picture's cut-out."""

    name: Literal["mask", "cutout", "result"]
    data: bytes
    """Encoded picture: PNG, or for the result the format that was chosen."""
    media_type: str
    width: int | None
    height: int | None
    """In pixels; None for a result that is no picture, as of a format for videos."""


def cut(
    picture: str | Path | bytes,
    prompts: list[Json] | None,
    objects: list[Json] | None,
    keep: bool,
    choices: Json,
) -> Steps[None]:
    """Send a picture; yields its steps."""
    data = picture if isinstance(picture, bytes) else Path(picture).read_bytes()
    body: Json = {"image_b64": base64.b64encode(data).decode(), **choices}
    if not isinstance(picture, bytes):
        body["name"] = Path(picture).name
    body |= {name: value for name, value in (("prompts", prompts), ("objects", objects)) if value is not None}
    request = Request("POST", "cutouts", {"Accept": "application/x-ndjson"}, json=body)
    session: str | None = None
    stream = yield from _open(request)
    try:
        while (line := (yield Line(stream))) is not None:
            step = json.loads(line)
            if step["step"] == "problem":
                raise ApiError(step["status"], step)
            session = step.get("session", session)
            if step["step"] != "waiting":
                content = base64.b64decode(step["image_b64"])
                yield PictureStep(step["step"], content, step["media_type"], step["width"], step["height"])
    finally:
        yield Close(stream)
        if session is not None and not keep:
            with suppress(ApiError):  # the server or somebody else has deleted it
                yield from send(Request("DELETE", f"sessions/{session}"))


def _open(request: Request) -> Steps[Any]:
    """Open a response, again while the server is too busy. Raises ApiError."""
    for attempt in range(steps.ATTEMPTS - 1):
        try:
            return (yield Open(request))
        except ApiError as error:
            if error.status not in steps.BUSY:
                raise
            yield Wait(steps.FIRST_WAIT * 2**attempt)
    return (yield Open(request))
