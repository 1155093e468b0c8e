"""Deliveries to webhooks: signed, sent, and repeated with ever longer waits until they are taken."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import logging
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import timedelta
from uuid import UUID

from db import webhooks
from db.engine import Database
from db.errors import DatabaseAway
from db.webhooks import Due
from pipeline.errors import InputError
from pipeline.languages.messages import Message
from ui.sessions.webhooks.addresses import CheckedConnection, Target, resolve

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
FIRST_WAIT = 5.0
"""Seconds before the second attempt; each wait is twice as long as the one before."""
LONGEST_WAIT = 3600.0
PATIENCE = timedelta(hours=24)
"""Time for which a webhook may fail before it is switched off."""
TIMEOUT = 10.0
"""Seconds that one attempt may take in all, once its name is looked up."""

_SENDERS = 8
_MOST_DUE = 1000


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """Return the signature of a body: HMAC-SHA256 of "TIMESTAMP.BODY" with the secret, in hexadecimal."""
    return hmac.new(secret.encode(), b"%d." % timestamp + body, hashlib.sha256).hexdigest()


class DeliveryThread:
    """Thread that sends the deliveries that are due; of each webhook one at a time."""

    def __init__(self, database: Database, *, private: bool) -> None:
        """`private`: also to private, loopback and link-local addresses."""
        self._database = database
        self._private = private
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._going: set[UUID] = set()
        """Webhooks that something is being sent to."""
        self._senders = ThreadPoolExecutor(_SENDERS, "webhook")
        self._thread = threading.Thread(target=self._work, name="webhooks", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the thread; waits for the attempts that are under way, what is not taken stays."""
        self._closing.set()
        self._thread.join()
        self._senders.shutdown(cancel_futures=True)

    def _work(self) -> None:
        while True:
            try:
                self._send_due()
            except DatabaseAway:
                pass  # logged by those who need the database now
            except Exception:
                log.exception("the round of webhooks failed")
            if self._closing.wait(POLL_SECONDS):
                return

    def _send_due(self) -> None:
        # Asked before the deliveries are: whatever ended before it has been written, and is not listed again.
        with self._lock:
            busy = set(self._going)
        with self._database.begin() as tx:
            due = webhooks.list_due(tx, limit=_MOST_DUE)
        for each in due:
            if each.hook.id not in busy:
                with self._lock:
                    self._going.add(each.hook.id)
                self._senders.submit(self._send, each)

    def _send(self, due: Due) -> None:
        try:
            error = attempt(due, private=self._private)
            with self._database.begin() as tx:
                if error is None:
                    webhooks.succeed(tx, id=due.row.id)
                    return
                wait = min(FIRST_WAIT * 2.0 ** min(due.row.attempts, 30), LONGEST_WAIT)
                hours = round(PATIENCE / timedelta(hours=1))
                kept = webhooks.fail(
                    tx,
                    id=due.row.id,
                    error=error,
                    wait=timedelta(seconds=wait),
                    patience=PATIENCE,
                    switched_off=Message("webhooks.switched_off", {"hours": hours, "how": error}),
                )
            if not kept:
                log.warning("webhook %s has failed for too long and is switched off", due.hook.id)
        except DatabaseAway:
            pass  # it is sent again, under the same id
        except Exception:
            log.exception("a webhook could not be served")
        finally:
            with self._lock:
                self._going.discard(due.hook.id)


def attempt(due: Due, *, private: bool, context: ssl.SSLContext | None = None) -> Message | None:
    """Send a delivery once; returns why it was not taken, None if it was. Redirects are not followed."""
    try:
        target = resolve(due.hook.url, private=private)
    except InputError as error:
        return error.message
    body, timestamp = due.row.body.encode(), int(time.time())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Recorte",
        "Recorte-Event": due.row.event,
        "Recorte-Delivery": str(due.row.id),
        "Recorte-Timestamp": str(timestamp),
        "Recorte-Signature": f"sha256={sign(due.hook.secret, timestamp, body)}",
    }
    try:
        status = _post(target, headers, body, context)
    except (OSError, http.client.HTTPException) as error:
        return Message("webhooks.no_answer", {"kind": type(error).__name__})
    return None if 200 <= status < 300 else Message("webhooks.refused", {"status": status})


def _post(target: Target, headers: dict[str, str], body: bytes, context: ssl.SSLContext | None) -> int:
    """Send a body and return the status of the answer, whose content is not read."""
    with closing(CheckedConnection(target, TIMEOUT, context)) as connection:
        connection.connect()
        sock = connection.sock

        def give_up() -> None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # which wakes whoever waits for it

        timer = threading.Timer(TIMEOUT, give_up)
        timer.start()
        try:
            connection.request("POST", target.path, body, headers)
            return connection.getresponse().status
        finally:
            timer.cancel()
