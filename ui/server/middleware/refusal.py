"""Refusals: an exception that carries the response to a request that is not let through."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response


class Refused(Exception):
    """A request is not let through; `response` is sent instead, and at the API a problem of its sentence."""

    def __init__(self, response: Response, sentence: str = "") -> None:
        self.response = response
        self.sentence = sentence
        """Reason, in the visitor's language; empty where the response is a page or leads to one."""


def refusal(status: int, sentence: str) -> Refused:
    """Return a refusal with a status and a sentence as JSON."""
    response = JSONResponse({"error": sentence}, status, headers={"Cache-Control": "no-store"})
    return Refused(response, sentence)
