"""Addresses of webhooks: which are allowed, and connections to just the address that was checked."""

from __future__ import annotations

import http.client
import ipaddress
import re
import socket
import ssl
from typing import NamedTuple
from urllib.parse import urlsplit

from pipeline.errors import InputError

MAX_URL = 2000
"""Longest address, in characters."""

_PLAIN = re.compile("[!-~]+")
_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
_COMPATIBLE = ipaddress.IPv6Network("::/96")
"""Range of addresses that hold one of IPv4 in their last 32 bits, in an outdated way."""

look_up = socket.getaddrinfo

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Target(NamedTuple):
    """Address of a webhook, looked up and checked."""

    scheme: str
    host: str
    """Name, or an IP address."""
    port: int
    path: str
    """With its query."""
    ip: str
    """The address to connect to."""


def resolve(url: str, *, private: bool) -> Target:
    """Look up where a webhook is. Raises InputError for one that is malformed, unknown, or not public.

    All addresses of its name have to be public, unless `private` ones are allowed.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode()
    except ValueError as error:
        raise InputError("webhooks.url") from error
    plain = len(url) <= MAX_URL and _PLAIN.fullmatch(url) and "@" not in parts.netloc and not parts.fragment
    if parts.scheme not in _PORTS or not host or not plain or port == 0:
        raise InputError("webhooks.url")
    port = port or _PORTS[parts.scheme]
    try:
        found = look_up(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise InputError("webhooks.unknown_host", host=host) from error
    ips = [str(address[4][0]).partition("%")[0] for address in found]
    if not private and not all(is_public(ipaddress.ip_address(ip)) for ip in ips):
        raise InputError("webhooks.private", host=host)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port, path, ips[0])


def is_public(ip: Address) -> bool:
    """Return True for an address of the public internet, also where it is wrapped in one of IPv6."""
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in _NAT64 or ip in _COMPATIBLE:
            return is_public(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
        for inner in (ip.ipv4_mapped, ip.sixtofour, ip.teredo and ip.teredo[1]):
            if inner is not None:
                return is_public(inner)
        if ip.is_site_local or ip in _LOCAL_NAT64:
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


class CheckedConnection(http.client.HTTPConnection):
    """Connection to the address of a target, whatever its name leads to by now."""

    def __init__(self, target: Target, timeout: float, context: ssl.SSLContext | None = None) -> None:
        """`timeout` is in seconds, of each step; `context` is that of TLS, for https."""
        super().__init__(target.host, target.port, timeout=timeout)
        self.default_port = _PORTS[target.scheme]  # which Host leaves out
        self._target = target
        self._context = context

    def connect(self) -> None:
        sock = socket.create_connection((self._target.ip, self._target.port), self.timeout)
        if self._target.scheme == "https":
            context = self._context or ssl.create_default_context()
            try:
                sock = context.wrap_socket(sock, server_hostname=self._target.host)
            except BaseException:
                sock.close()
                raise
        self.sock = sock
