"""Description of the API as OpenAPI 3.1, with what FastAPI cannot know of it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from ui.server.api.problems import MEDIA_TYPE
from ui.server.middleware.request_ids import HEADER

TEXT = """\
Cuts the background out of videos, for programs.

Send a token of `python app.py token add NAME` with each request, as `Authorization: Bearer TOKEN`; without
accounts, programs on the server's own machine need none. What belongs to others is answered as what does not
exist. Errors are problem details (RFC 9457) in the language of `Accept-Language`; each answer has an id in
`X-Request-Id`, which the server's log has too. After 429 and 503 wait for the seconds of `Retry-After`.

Coordinates are pixels of the displayed frame from its top left; times are seconds from the first frame."""

_REQUEST_ID = {
    "description": "Id of the request, which the server's log has too",
    "schema": {"type": "string"},
}


def complete(schema: dict[str, Any], *models: type[BaseModel]) -> None:
    """Complete FastAPI's description in place, which it keeps, with models that it has no operation of.

    Errors are problems, also those of values that do not fit; each response has a request id; and access is
    by token or by the page's cookie.
    """
    schemas = schema["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for model in models:
        described = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= {
            name: each for name, each in described.pop("$defs", {}).items() if name not in schemas
        } | {model.__name__: described}
    for item in schema["paths"].values():
        for operation in item.values():
            responses = operation["responses"]
            responses.pop("422", None)
            problem = responses["default"]
            problem["content"] = {MEDIA_TYPE: problem["content"]["application/json"]}
            for response in responses.values():
                response.setdefault("headers", {})[HEADER] = _REQUEST_ID
    schema["components"]["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer"},
        "cookie": {"type": "apiKey", "in": "cookie", "name": "recorte"},
    }
    schema["security"] = [{"token": []}, {"cookie": []}, {}]
