"""Refusals: an exception that carries the response to a request that is not let through."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response


class Refused(Exception):
    """A request is not let through; `response` is sent instead."""

    def __init__(self, response: Response) -> None:
        self.response = response


def refusal(status: int, sentence: str) -> Refused:
    """Return a refusal with a status and a sentence as JSON."""
    return Refused(JSONResponse({"error": sentence}, status, headers={"Cache-Control": "no-store"}))
