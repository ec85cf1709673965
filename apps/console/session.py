"""Session: who is at the console, as a signed cookie that a login with an API key begins."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING

from itsdangerous import BadSignature, URLSafeTimedSerializer

from engine.service import Caller, Keys, from_here

if TYPE_CHECKING:
    from fastapi.requests import HTTPConnection

COOKIE = "keel_session"
LASTS_S = 12 * 3600
KNOWN_S = 2.0
"""How long the keys are remembered: a page is many requests, and a revoked key must end its sessions at once."""
LOCAL = Caller("local", "default", "server", (), "")
"""Whoever is on this machine, as long as no key was ever made."""


class Sessions:
    """A session is worth what its key is, and ends with it.

    Args:
        secret: signs the cookies.
    """

    def __init__(self, keys: Keys, secret: bytes) -> None:
        self._keys = keys
        self._signer = URLSafeTimedSerializer(secret, salt=COOKIE)
        self._known: tuple[float, list[Caller]] = (-KNOWN_S, [])

    def begin(self, key: str) -> str | None:
        """A cookie's value; None: the key is nobody's, or a widget's, which is public."""
        caller = self._keys.caller(key)
        return None if caller is None or caller.role == "widget" else self._signer.dumps(_named(caller))

    async def caller(self, connection: HTTPConnection) -> Caller | None:
        """Who asks; None: nobody with a session."""
        known = await self._callers()
        if not known and from_here(connection):
            return LOCAL
        try:
            told = self._signer.loads(connection.cookies.get(COOKIE, ""), max_age=LASTS_S)
        except BadSignature:
            return None
        return next((one for one in known if _named(one) == told), None)

    async def _callers(self) -> list[Caller]:
        read, known = self._known
        if time.monotonic() - read >= KNOWN_S:
            known = await asyncio.to_thread(self._keys.all)
            self._known = time.monotonic(), known
        return known


def secret(home: Path) -> bytes:
    """What signs the cookies of the house in that folder; made when it is first asked for, readable by its owner."""
    path = home / "console.secret"
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        made = path.with_name(f".{path.name}-{os.getpid()}")
        made.touch(mode=0o600)
        made.write_bytes(secrets.token_bytes(32))
        try:
            os.link(made, path)  # of two processes that begin at once, the first one's is kept
        except FileExistsError:
            pass
        finally:
            made.unlink()
    return path.read_bytes()


def _named(caller: Caller) -> list[str]:
    # A key that was revoked and made anew under its name begins no old session again.
    return [caller.name, caller.tenant, caller.role, caller.created]
