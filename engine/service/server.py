"""Server: an application on a port, until it is told to end; what is being answered then is answered first."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

from engine.service import logs, telemetry

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

GRACE_S = 20
"""For which requests that run may go on after SIGTERM or Ctrl-C; new ones are refused at once."""


SWITCH_S = 0.0005
"""For which one thread may keep the interpreter from another that waits: by default ten times as long, in which the
event loop leaves a thread that is done with a text, and its core, idle."""


def listening(app: ASGIApp, *, host: str, port: int, grace_s: int = GRACE_S) -> uvicorn.Server:
    """The server, not begun yet; from here on this process logs JSON lines."""
    import uvicorn

    sys.setswitchinterval(SWITCH_S)
    logs.configure()
    telemetry.configure()
    config = uvicorn.Config(
        app, host=host, port=port, log_config=None, access_log=False, timeout_graceful_shutdown=grace_s
    )

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            await super().shutdown(sockets)
            logs.flush()  # then uvicorn ends the process by the signal itself, and nothing else is done at its end

    return Server(config)


def serve(app: ASGIApp, *, host: str, port: int) -> None:
    """Answer until SIGTERM or Ctrl-C."""
    listening(app, host=host, port=port).run()
