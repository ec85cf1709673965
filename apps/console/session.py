"""Session: who is at the console, as a signed cookie that a login with an API key begins."""

from __future__ import annotations

import asyncio
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from itsdangerous import BadSignature, URLSafeTimedSerializer

from engine.service import Caller, Keys, from_here
from engine.service.app import LOCAL
from engine.service.keys import fingerprint

if TYPE_CHECKING:
    from fastapi.requests import HTTPConnection

COOKIE = "keel_session"
LASTS_S = 12 * 3600


class Sessions:
    """A session is worth what its key is, and ends with it.

    Args:
        secret: signs the cookies.
    """

    def __init__(self, keys: Keys, secret: bytes) -> None:
        self._keys = keys
        self._signer = URLSafeTimedSerializer(secret, salt=COOKIE)

    def begin(self, key: str) -> str | None:
        """A cookie's value; None: the key is nobody's, or a widget's, which is public."""
        caller = self._keys.caller(key)
        return None if caller is None or caller.role == "widget" else self._signer.dumps(fingerprint(key))

    async def caller(self, connection: HTTPConnection) -> Caller | None:
        """Who asks; None: nobody with a session."""
        if (told := self._told(connection)) is not None:
            return await asyncio.to_thread(self._keys.holder, told)
        here = from_here(connection) and not await asyncio.to_thread(self._keys.any)
        return LOCAL if here else None

    async def signed(self, connection: HTTPConnection) -> Caller | None:
        """Whose cookie it is; None: nobody's, be they on this machine or not."""
        told = self._told(connection)
        return None if told is None else await asyncio.to_thread(self._keys.holder, told)

    def _told(self, connection: HTTPConnection) -> str | None:
        """The fingerprint that the cookie names, if it is one of ours and not too old."""
        try:
            told: str = self._signer.loads(connection.cookies.get(COOKIE, ""), max_age=LASTS_S)
        except BadSignature:
            return None
        return told


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
