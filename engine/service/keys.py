"""Keys: who may call, for which tenant, as what, and what for. Of a key only its SHA-256 is stored."""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from sqlalchemy import Column, MetaData, Table, Text, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from engine.errors import InputError

if TYPE_CHECKING:
    from engine.db import Database

MIGRATIONS = Path(__file__).parent / "migrations"
Role = Literal["server", "agent", "widget"]
"""server: all that a tenant may do; agent: a person who answers customers; widget: stands in a public page, begins
conversations and goes on with those whose id it has."""
ADMIN = "admin"
"""The scope of what changes models and keys, over all others; only a key that names it has it."""
REMEMBERED_S = 2.0
"""For which a key that was found is not looked up again: another process' revoking is noticed after so long."""
NOTED = timedelta(minutes=10)
"""How exactly it is noted when a key was used last: each note is a write."""
_ORIGIN = re.compile(r"https?://[^/\s*]+")
_SCOPE = re.compile(r"[a-z][a-z-]*")
_TABLE = Table(
    "service_keys",
    MetaData(),
    Column("sha256", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("tenant", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("origins", Text, nullable=False),
    Column("created", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("former", Text, nullable=False),
    Column("former_until", Text, nullable=False),
    Column("expires", Text, nullable=False),
    Column("used", Text, nullable=False),
)


@dataclass(frozen=True)
class Caller:
    name: str
    tenant: str
    role: Role
    origins: tuple[str, ...]
    """Pages that a widget's key works in."""
    created: str
    scopes: tuple[str, ...] = ()
    """What the key is narrowed to; none: all that its role may, but for what takes the scope admin."""
    expires: str = ""
    used: str = ""
    """Last, to within `NOTED`; "" for never."""

    def may(self, scope: str) -> bool:
        return ADMIN in self.scopes or (scope in self.scopes if self.scopes else scope != ADMIN)


class Keys:
    """The keys in one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.migrate("service", MIGRATIONS)
        self._known: dict[str, tuple[Caller, float]] = {}
        self._any, self._lock = False, threading.Lock()

    def add(
        self,
        name: str,
        role: Role,
        tenant: str = "default",
        origins: Sequence[str] = (),
        *,
        scopes: Sequence[str] = (),
        lasts: timedelta | None = None,
    ) -> str:
        """Make a key.

        Args:
            name: what people call it.
            origins: of a widget's key, as browsers send them: https://shop.example, without a path.
            scopes: what it is narrowed to: titles of applications, "predict", "feedback", "admin".
            lasts: after which it is nobody's; None: for ever.

        Returns:
            The key; it cannot be had again.

        Raises:
            InputError: the name is taken or has a /, the role or a scope is none, or a widget's key has no proper
                origin.
        """
        from engine.feedback.voice import BY

        if role not in get_args(Role):
            raise InputError(f"role {role!r}: choose {', '.join(get_args(Role))}")
        if not name or not tenant:
            raise InputError("a key has a name and a tenant")
        if BY in name:
            raise InputError(f"name {name!r}: leave {BY} out; it stands between a key and who speaks by it")
        if role == "widget" and not origins:
            raise InputError("a widget's key is public; bind it to its page: --origin https://shop.example")
        if origins and role != "widget":
            raise InputError(f"origins bind a widget's key; leave --origin out for a key of the role {role}")
        if wrong := [origin for origin in origins if not _ORIGIN.fullmatch(origin)]:
            raise InputError(f"origin {wrong[0]!r}: write scheme and host alone, such as https://shop.example")
        if wrong := [scope for scope in scopes if not _SCOPE.fullmatch(scope)]:
            raise InputError(f"scope {wrong[0]!r}: a scope is a word, such as predict")
        key, now = _made(role), datetime.now(UTC)
        row = {
            "sha256": fingerprint(key),
            "name": name,
            "tenant": tenant,
            "role": role,
            "origins": " ".join(origins),
            "created": _stamp(now),
            "scopes": " ".join(scopes),
            "former": "",
            "former_until": "",
            "expires": _stamp(now + lasts) if lasts else "",
            "used": "",
        }
        try:
            with self.database.write() as connection:
                connection.execute(insert(_TABLE), row)
        except IntegrityError:
            raise InputError(f"there is a key named {name!r} already; revoke it first or choose another name") from None
        return key

    def rotate(self, name: str, *, grace: timedelta = timedelta(0)) -> str:
        """A new secret for a key.

        Args:
            grace: for which the one before works beside it; one before that works no longer.

        Raises:
            InputError: there is no such key.
        """
        with self.database.write() as connection:
            row = connection.execute(select(_TABLE).where(_TABLE.c.name == name)).first()
            if row is None:
                raise InputError(f"no key is named {name!r}")
            key, until = _made(row.role), _stamp(datetime.now(UTC) + grace)
            values = {"sha256": fingerprint(key), "former": row.sha256 if grace else "", "former_until": until}
            connection.execute(update(_TABLE).where(_TABLE.c.name == name).values(values))
        self._forget()
        return key

    def caller(self, key: str) -> Caller | None:
        """Whose key this is; None: nobody's."""
        return self.holder(fingerprint(key))

    def remembered(self, key: str) -> Caller | None:
        """Whose key this is, if it was looked up just now: without asking the database."""
        return self._remembered(fingerprint(key))

    def holder(self, hashed: str) -> Caller | None:
        """Whose key has that fingerprint: a session that a key began goes on for as long as the key is good."""
        return self._remembered(hashed) or self._found(hashed)

    def any(self) -> bool:
        """Whether a key was ever made here, which then holds for this process' life: who shuts a door finds it shut."""
        if not self._any:
            with self.database.read() as connection:
                self._any = connection.execute(select(_TABLE.c.name).limit(1)).first() is not None
        return self._any

    def all(self) -> list[Caller]:
        """By name."""
        with self.database.read() as connection:
            return [_caller(row) for row in connection.execute(select(_TABLE).order_by(_TABLE.c.name))]

    def revoke(self, name: str) -> None:
        """Raises: InputError: there is no such key."""
        with self.database.write() as connection:
            if not connection.execute(delete(_TABLE).where(_TABLE.c.name == name)).rowcount:
                raise InputError(f"no key is named {name!r}")
        self._forget()

    def _remembered(self, hashed: str) -> Caller | None:
        found, until = self._known.get(hashed, (None, 0.0))
        return found if time.monotonic() < until else None

    def _found(self, hashed: str) -> Caller | None:
        now = datetime.now(UTC)
        with self.database.read() as connection:
            row = connection.execute(
                select(_TABLE).where(or_(_TABLE.c.sha256 == hashed, _TABLE.c.former == hashed))
            ).first()
        if row is None or (row.expires and row.expires <= _stamp(now)):
            return None
        if row.sha256 != hashed and row.former_until <= _stamp(now):
            return None
        if row.used < _stamp(now - NOTED):
            with self.database.write() as connection:
                connection.execute(update(_TABLE).where(_TABLE.c.name == row.name).values(used=_stamp(now)))
        found = _caller(row)
        with self._lock:
            self._known = {one: held for one, held in self._known.items() if held[1] > time.monotonic()}
            self._known[hashed] = (found, time.monotonic() + REMEMBERED_S)
        return found

    def _forget(self) -> None:
        with self._lock:
            self._known = {}


def _made(role: str) -> str:
    return f"keel_{role}_{secrets.token_urlsafe(24)}"


def _caller(row: Any) -> Caller:
    return Caller(
        row.name,
        row.tenant,
        row.role,
        tuple(row.origins.split()),
        row.created,
        tuple(row.scopes.split()),
        row.expires,
        row.used,
    )


def _stamp(time: datetime) -> str:
    return time.isoformat(timespec="seconds")


def fingerprint(key: str) -> str:
    """What is stored of a key; it opens nothing."""
    # A key is random and long: unlike a password it needs no slow hash.
    return hashlib.sha256(key.encode()).hexdigest()
