"""Throttle of failed logins."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple


class _Limit(NamedTuple):
    free_attempts: int
    """Attempts without a wait."""
    max_wait: float
    """The longest wait, in seconds."""


class _Failures(NamedTuple):
    attempts: int
    last: float


class LoginThrottle:
    """Throttle of failed logins, counted by name, by address and by both, in bounded memory.

    Each count allows some attempts without a wait, then one after 1, 2, 4, … seconds up to a limit. The limit
    of a name alone is short: else anybody could lock its owner out.

    Names are given in their normal form (`db.users.normalise_name`), in which they are looked up, so that no
    spelling has a count of its own. Only keyed digests are stored, for what is typed as a name may be a
    password, and for at most `_EXPIRY_SECONDS`.
    """

    _BOTH, _NAME, _ADDRESS = _Limit(3, 300.0), _Limit(10, 30.0), _Limit(20, 300.0)
    _EXPIRY_SECONDS = 900.0
    _MAX_ENTRIES = 10_000

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._secret = secrets.token_bytes(16)
        self._failures: OrderedDict[bytes, _Failures] = OrderedDict()  # by age, the oldest first

    def register_attempt(self, name: str, address: str) -> float:
        """Return the seconds until the next attempt is allowed; 0: this one is.

        An allowed attempt counts as failed until it is forgiven. It is counted beforehand, so that a hundred
        simultaneous attempts are not all allowed.
        """
        now = self._clock()
        with self._lock:
            self._drop_expired(now)
            limits = self._limits(name, address)
            wait = 0.0
            for key, limit in limits.items():
                count, last = self._failures.get(key, _Failures(0, now))
                over = count - limit.free_attempts
                pause = 0.0 if over < 0 else min(2.0 ** min(over, 30), limit.max_wait)
                wait = max(wait, last + pause - now)
            if wait <= 0:
                for key in limits:
                    count = self._failures[key].attempts if key in self._failures else 0
                    self._failures[key] = _Failures(count + 1, now)
                    self._failures.move_to_end(key)
                while len(self._failures) > self._MAX_ENTRIES:
                    self._failures.popitem(last=False)
        return max(0.0, wait)

    def forgive(self, name: str, address: str) -> None:
        """Uncount a successful attempt; failures from the address under other names stay counted."""
        with self._lock:
            for key, limit in self._limits(name, address).items():
                if limit is not self._ADDRESS:
                    self._failures.pop(key, None)
                elif key in self._failures:
                    count, last = self._failures[key]
                    self._failures[key] = _Failures(max(0, count - 1), last)

    def _drop_expired(self, now: float) -> None:
        while self._failures and now - next(iter(self._failures.values())).last > self._EXPIRY_SECONDS:
            self._failures.popitem(last=False)

    def _limits(self, name: str, address: str) -> dict[bytes, _Limit]:
        network = _network(address)
        return {
            self._digest("both", name, network): self._BOTH,
            self._digest("name", name): self._NAME,
            self._digest("address", network): self._ADDRESS,
        }

    def _digest(self, *parts: str) -> bytes:
        text = repr(parts).encode("utf-8", "backslashreplace")
        return hashlib.blake2b(text, digest_size=16, key=self._secret).digest()


class AddressThrottle(LoginThrottle):
    """Throttle of guesses without a name, such as at links to shared results: counted by address alone."""

    def _limits(self, name: str, address: str) -> dict[bytes, _Limit]:
        return {self._digest("address", _network(address)): self._ADDRESS}


def _network(address: str) -> str:
    """Return an IPv4 address itself, and of an IPv6 address the /64 network of its subscriber."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address) and found.ipv4_mapped is None:
        return str(ip_network((found, 64), strict=False))
    return address
