"""Service: the FastAPI base that every application shares.

keys = Keys(database)
app = create("support-bot", keys, queue=Queue())

@app.post("/v1/things")
async def make(caller: Annotated[Caller, allow("server")]) -> Thing: ...

serve(app, host="127.0.0.1", port=8080)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.service.app import allow as allow
    from engine.service.app import create as create
    from engine.service.app import from_here as from_here
    from engine.service.app import from_own_page as from_own_page
    from engine.service.champions import Champions as Champions
    from engine.service.current import Current as Current
    from engine.service.keys import Caller as Caller
    from engine.service.keys import Keys as Keys
    from engine.service.keys import Role as Role
    from engine.service.pages import page as page
    from engine.service.problems import Problem as Problem
    from engine.service.queue import Queue as Queue
    from engine.service.readiness import Readiness as Readiness
    from engine.service.server import listening as listening
    from engine.service.server import serve as serve

_HOMES = {
    "Caller": "keys",
    "Champions": "champions",
    "Current": "current",
    "Keys": "keys",
    "Problem": "problems",
    "Queue": "queue",
    "Readiness": "readiness",
    "Role": "keys",
    "allow": "app",
    "create": "app",
    "from_here": "app",
    "from_own_page": "app",
    "listening": "server",
    "page": "pages",
    "serve": "server",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    """Public names are imported at first use: a command's `--help` stays fast."""
    if name in _HOMES:
        return getattr(import_module(f"engine.service.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'engine.service' has no attribute {name!r}")
