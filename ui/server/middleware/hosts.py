"""Host names: parse the Host header, and tell loopback addresses and local requests from others."""

from __future__ import annotations

import ipaddress
from collections.abc import Set
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import Scope


def parse_host(netloc: str) -> str | None:
    """Return the name or address in a Host header; None where the header is malformed."""
    try:
        parts = urlsplit(f"//{netloc}")
        _ = parts.port  # raises ValueError for a port that is no number
    except ValueError:
        return None
    if parts.netloc != netloc or parts.username is not None or not parts.hostname:
        return None
    return parts.hostname.rstrip(".")


def is_own_host(scope: Scope, headers: Headers, names: Set[str]) -> bool:
    """Return True if the Host header has one of this server's names, with any port: a proxy may have another.

    `names` are those beside the loopback names and the address at which the request arrived.
    """
    sent = headers.getlist("host")
    if len(sent) != 1:
        return False
    host = parse_host(sent[0])
    if host is None:
        return False
    arrived_at, _port = scope.get("server") or (None, None)
    return is_loopback(host) or host in names or host == arrived_at


def is_loopback(host: str) -> bool:
    """Return True if a name or an address is a loopback one of this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def is_local(request: HTTPConnection) -> bool:
    """Return True if this machine sent a request itself, and no proxy that may forward requests of others.

    A proxy sends headers of its own, or the server's public name; one that is set up to send neither (nginx
    by default, up to 1.29.6) speaks HTTP/1.0, which no browser does.
    """
    peer, host = request.client, parse_host(request.headers.get("host", ""))
    forwarded = any(
        name in ("forwarded", "via") or name.startswith("x-forwarded-") for name in request.headers
    )
    return (
        peer is not None
        and is_loopback(peer.host)
        and host is not None
        and is_loopback(host)
        and not forwarded
        and request.scope["http_version"] != "1.0"
    )
