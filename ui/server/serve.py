"""HTTP server: runs the application under uvicorn until it is stopped."""

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
    """Serve an application at a listening socket until interrupted; prints the address once it is ready."""
    host, number, *_ = port.getsockname()
    address = f"http://[{host}]:{number}" if ":" in host else f"http://{host}:{number}"

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            for listening in sockets or []:
                # uvicorn has one number for the backlog and for how many connections are accepted at once.
                listening.listen(_BACKLOG)
            print(f"Recorte is at {address}", flush=True)
            log.info("serving")

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # An open page holds a connection all the time; that it is cut now is no error to log.
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
            log.info("stopping")
            await super().shutdown(sockets)

    config = uvicorn.Config(
        page,
        log_config=None,  # its records go to the root logger's handler
        log_level="warning",
        access_log=False,
        server_header=False,
        http=cast(Any, partial(BoundedProtocol, bounds=Connections(max_connections()))),
        ws="none",
        backlog=ACCEPTED_AT_ONCE,
        timeout_graceful_shutdown=2,
    )
    Server(config).run(sockets=[port])
