"""Answers requests until it is stopped."""

from __future__ import annotations

import logging
import socket
from functools import partial
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp

from ui.server.middleware.connections import ACCEPTED_AT_ONCE, BoundedProtocol, Connections, max_connections

log = logging.getLogger(__name__)

_BACKLOG = 1024


def serve(page: ASGIApp, port: socket.socket) -> None:
    """Answer requests until interrupted; says where, once it does."""
    host, number, *_ = port.getsockname()
    address = f"http://[{host}]:{number}" if ":" in host else f"http://{host}:{number}"

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            for listening in sockets or []:
                # uvicorn has one number for how many may wait to be accepted and how many are at once.
                listening.listen(_BACKLOG)
            print(f"Recorte is at {address}", flush=True)
            log.info("serving")

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # A page that is open holds a connection for as long; to cut that off now is no error to report.
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
            log.info("stopping")
            await super().shutdown(sockets)

    config = uvicorn.Config(
        page,
        log_config=None,  # its loggers' lines go the way of all others
        log_level="warning",
        access_log=False,
        server_header=False,
        http=cast(Any, partial(BoundedProtocol, bounds=Connections(max_connections()))),
        ws="none",
        backlog=ACCEPTED_AT_ONCE,
        timeout_graceful_shutdown=2,
    )
    Server(config).run(sockets=[port])
