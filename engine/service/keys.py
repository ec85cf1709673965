"""Keys: who may call, for which tenant, and as what. Of a key only its SHA-256 is stored."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from sqlalchemy import Column, MetaData, Table, Text, delete, insert, select
from sqlalchemy.exc import IntegrityError

from engine.errors import InputError

if TYPE_CHECKING:
    from engine.db import Database

MIGRATIONS = Path(__file__).parent / "migrations"
Role = Literal["server", "agent", "widget"]
"""server: all that a tenant may do; agent: a person who answers customers; widget: stands in a public page, begins
conversations and goes on with those whose id it has."""
_ORIGIN = re.compile(r"https?://[^/\s*]+")
_TABLE = Table(
    "service_keys",
    MetaData(),
    Column("sha256", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("tenant", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("origins", Text, nullable=False),
    Column("created", Text, nullable=False),
)


@dataclass(frozen=True)
class Caller:
    name: str
    tenant: str
    role: Role
    origins: tuple[str, ...]
    """Pages that a widget's key works in."""
    created: str


class Keys:
    """The keys in one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.migrate("service", MIGRATIONS)

    def add(self, name: str, role: Role, tenant: str = "default", origins: Sequence[str] = ()) -> str:
        """Make a key.

        Args:
            name: what people call it.
            origins: of a widget's key, as browsers send them: https://shop.example, without a path.

        Returns:
            The key; it cannot be had again.

        Raises:
            InputError: the name is taken, the role is none, or a widget's key has no proper origin.
        """
        if role not in get_args(Role):
            raise InputError(f"role {role!r}: choose {', '.join(get_args(Role))}")
        if not name or not tenant:
            raise InputError("a key has a name and a tenant")
        if role == "widget" and not origins:
            raise InputError("a widget's key is public; bind it to its page: --origin https://shop.example")
        if wrong := [origin for origin in origins if not _ORIGIN.fullmatch(origin)]:
            raise InputError(f"origin {wrong[0]!r}: write scheme and host alone, such as https://shop.example")
        key = f"keel_{role}_{secrets.token_urlsafe(24)}"
        row = {
            "sha256": _hash(key),
            "name": name,
            "tenant": tenant,
            "role": role,
            "origins": " ".join(origins),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        try:
            with self.database.write() as connection:
                connection.execute(insert(_TABLE), row)
        except IntegrityError:
            raise InputError(f"there is a key named {name!r} already; revoke it first or choose another name") from None
        return key

    def caller(self, key: str) -> Caller | None:
        """Whose key this is; None: nobody's."""
        with self.database.read() as connection:
            row = connection.execute(select(_TABLE).where(_TABLE.c.sha256 == _hash(key))).first()
        return None if row is None else _caller(row)

    def all(self) -> list[Caller]:
        """By name."""
        with self.database.read() as connection:
            return [_caller(row) for row in connection.execute(select(_TABLE).order_by(_TABLE.c.name))]

    def revoke(self, name: str) -> None:
        """Raises: InputError: there is no such key."""
        with self.database.write() as connection:
            if not connection.execute(delete(_TABLE).where(_TABLE.c.name == name)).rowcount:
                raise InputError(f"no key is named {name!r}")


def _caller(row: Any) -> Caller:
    return Caller(row.name, row.tenant, row.role, tuple(row.origins.split()), row.created)


def _hash(key: str) -> str:
    # A key is random and long: unlike a password it needs no slow hash.
    return hashlib.sha256(key.encode()).hexdigest()
