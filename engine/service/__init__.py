"""Service: the FastAPI base that every application shares.

keys = Keys(database)
app = create("support-bot", keys, queue=Queue())

@app.post("/v1/things")
async def make(caller: Annotated[Caller, allow("server")]) -> Thing: ...
"""

from __future__ import annotations

from engine.service.app import allow, create, from_here, from_own_page
from engine.service.keys import Caller, Keys, Role
from engine.service.pages import page
from engine.service.problems import Problem
from engine.service.queue import Queue

__all__ = ["Caller", "Keys", "Problem", "Queue", "Role", "allow", "create", "from_here", "from_own_page", "page"]
