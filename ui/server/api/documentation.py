"""Documentation page of the API: its OpenAPI description as one HTML page, without a script."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi.responses import Response

from ui.server import html_pages
from ui.server.api.problems import KINDS
from ui.server.html_pages import escape

Json = dict[str, Any]


def render(schema: Json) -> Response:
    """Render the page of an OpenAPI description: operations, schemas, and types of problems."""
    info = schema["info"]
    parts = [
        f"<main><h1>{escape(info['title'])} API {escape(info['version'])}</h1>",
        *(f"<p>{escape(paragraph)}</p>" for paragraph in info["description"].split("\n\n")),
        '<p><a href="openapi.json">openapi.json</a> describes the same for programs.</p>',
        *_operations(schema),
        *_schemas(schema),
        *_problems(),
        "</main>",
    ]
    return html_pages.render_page("en", "API", "\n".join(parts))


def _operations(schema: Json) -> Iterator[str]:
    prefix = schema["servers"][0]["url"]
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            yield f"<h2><code>{method.upper()} {escape(prefix + path)}</code></h2>"
            yield f"<p>{escape(operation.get('description', operation['summary']))}</p>"
            parameters = operation.get("parameters", [])
            if parameters:
                yield _table(
                    ("Parameter", "in", "is", "meaning"),
                    (
                        (each["name"], each["in"], _kind(each["schema"]), each.get("description", ""))
                        for each in parameters
                    ),
                )
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                yield f"<p>Takes {_link(content.get('schema', {}))} as <code>{escape(kind)}</code>.</p>"
            for status, response in operation["responses"].items():
                if status == "default":  # as of every other
                    continue
                given = ", ".join(
                    f"{_link(content.get('schema', {}))} as <code>{escape(kind)}</code>"
                    for kind, content in response.get("content", {}).items()
                )
                meaning = escape(response["description"])
                yield f"<p>{escape(status)}: {meaning}{f' · {given}' if given else ''}</p>"


def _schemas(schema: Json) -> Iterator[str]:
    for name, described in sorted(schema["components"]["schemas"].items()):
        yield f'<h2 id="{escape(name)}"><code>{escape(name)}</code></h2>'
        yield f"<p>{escape(described.get('description', ''))}</p>"
        needed = described.get("required", ())
        yield _table(
            ("Field", "is", "", "meaning"),
            (
                (field, _kind(one), "always" if field in needed else "", one.get("description", ""))
                for field, one in described.get("properties", {}).items()
            ),
        )


def _problems() -> Iterator[str]:
    yield "<h2>Types of problems</h2>"
    yield "<dl>"
    for status, kind in KINDS.items():
        yield f'<dt id="{kind.name}"><code>{kind.name}</code> ({status})</dt><dd>{escape(kind.title)}.</dd>'
    yield "</dl>"


def _table(headings: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    """Return a table of plain text, which scrolls by itself where it is too wide."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    cells = ("".join(f'<td class="wrapped">{escape(cell)}</td>' for cell in row) for row in rows)
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _kind(schema: Json) -> str:
    """Return what a value is, such as "string or null"."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(map(_kind, schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or "anything")


def _link(schema: Json) -> str:
    """Return what is sent, as HTML; a schema of its own as a link to it."""
    if "anyOf" in schema:
        return " or ".join(map(_link, schema["anyOf"]))
    kind = _kind(schema)
    return f'<a href="#{escape(kind)}">{escape(kind)}</a>' if "$ref" in schema else escape(kind)
