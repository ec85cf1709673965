"""Log: the feedback of one database, written by the applications and by those who label; personal data masked."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    MetaData,
    Table,
    Text,
    column,
    delete,
    func,
    inspect,
    select,
    table,
    union_all,
)

from engine.errors import InputError
from engine.text.pii import mask

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, FromClause, Row

    from engine.db import Database

NAME = "feedback"
MIGRATIONS = Path(__file__).parent / "migrations"
Kind = Literal["vote", "correction", "edit", "verdict", "click", "purchase", "label"]
"""vote: a user's thumb; correction: what it should have been; edit: what an agent answered instead; verdict: an
analyst's on an alert; click, purchase: in a list; label: by one who labels for training."""
_TABLE = Table(
    "feedback",
    MetaData(),
    Column("id", Text, primary_key=True),
    Column("time", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("said", Text, nullable=False),
    Column("verdict", Float, nullable=True),
    Column("correction", Text, nullable=True),
    Column("app", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("rater", Text, nullable=False),
    Column("consent", Boolean, nullable=False),
    Column("name", Text, nullable=False),
)
"""`name`: the model's, without its number: an index finds all its versions."""
VIEWS = "feedback_"
"""How views begin that have the same columns: what an application keeps anyway, such as clicks, is not stored twice."""


@dataclass(frozen=True)
class Feedback:
    tenant: str
    model: str
    """NAME@NUMBER that made the prediction."""
    subject: str
    """What it belongs to, such as a conversation; all of a subject is erased together."""
    text: str
    """What was predicted for."""
    said: dict[str, Any]
    """The prediction; of a classifier head -> {"label" or "labels", "probability"}."""
    verdict: float | None = None
    """From 0, bad, to 1, good."""
    correction: dict[str, Any] | None = None
    """What it should have been; of a classifier head -> label."""
    time: str = ""
    """RFC 3339; when it was said. Empty: when it is written."""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    app: str = field(kw_only=True)
    """Where it was said: customer_service, finance_monitor, recommender, console, import."""
    kind: Kind = field(kw_only=True)
    rater: str = field(kw_only=True)
    """Who said it, under a name that is not their own: a key's name, that and an agent's as `rater_of` joins them, or
    a user's id. Empty: nobody knows."""
    consent: bool = field(kw_only=True)
    """Whether models may be trained on it."""


class FeedbackLog:
    """The feedback in one database: what is written here, and what its applications show of their own as views."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.migrate(NAME, MIGRATIONS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the database, which whoever brought it may rather do."""
        self.database.close()

    def add(self, connection: Connection, one: Feedback) -> bool:
        """Write one, within the transaction of what it belongs to; False: one of this id is there already."""
        from sqlalchemy.dialects import postgresql, sqlite

        row = {
            **vars(one),
            "text": mask(one.text)[0],
            "said": _dumped(one.said),
            "correction": None if one.correction is None else _dumped(one.correction),
            "time": _stamp(one.time or datetime.now(UTC)),
            "name": name_of(one.model),
        }
        insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(_TABLE)
        new = insert.values(row).on_conflict_do_nothing(index_elements=["id"]).returning(_TABLE.c.id)
        return connection.execute(new).first() is not None

    def erase(self, connection: Connection, tenant: str, subjects: Iterable[str]) -> int:
        """Remove all that is written here of some subjects; how many rows that were."""
        mine = _TABLE.c.tenant == tenant
        return sum(
            connection.execute(delete(_TABLE).where(mine, _TABLE.c.subject == subject)).rowcount for subject in subjects
        )

    def read(
        self,
        *,
        tenant: str | None = None,
        app: str | None = None,
        model: str | None = None,
        kind: Kind | None = None,
        subject: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
    ) -> list[Feedback]:
        """What fits, the oldest first.

        Args:
            model: NAME@NUMBER, or NAME for all its versions.
            since: first moment.
            until: the moment behind the last.

        Raises:
            InputError: a time is none.
        """
        with self.database.read() as connection:
            table = _whole(connection)
            where = _where(table, since, until, tenant=tenant, app=app, model=model, kind=kind, subject=subject)
            asked = select(table).where(*where).order_by(table.c.time, table.c.id)
            return [_feedback(row) for row in connection.execute(asked)]

    def count(
        self,
        *,
        tenant: str | None = None,
        app: str | None = None,
        model: str | None = None,
        kind: Kind | None = None,
        subject: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
    ) -> int:
        """How many fit; arguments as of `read`."""
        with self.database.read() as connection:
            table = _whole(connection)
            where = _where(table, since, until, tenant=tenant, app=app, model=model, kind=kind, subject=subject)
            return connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one()

    def find(self, id: str) -> Feedback | None:
        """The one of this id."""
        with self.database.read() as connection:
            table = _whole(connection)
            row = connection.execute(select(table).where(table.c.id == id)).first()
            return None if row is None else _feedback(row)


def opened(url: str | None = None) -> FeedbackLog:
    """The feedback of the database that a URL names; by default Keel's own, `engine.db.default_url`.

    Raises:
        InputError: it cannot be opened.
    """
    from engine.db import Database, default_url

    return FeedbackLog(Database.open(url or default_url(), name=NAME, migrations=MIGRATIONS))


def name_of(model: str) -> str:
    """NAME of NAME@NUMBER."""
    return model.rpartition("@")[0] or model


def _whole(connection: Connection) -> FromClause:
    """The table, with the views beside it."""
    views = [name for name in inspect(connection).get_view_names() if name.startswith(VIEWS)]
    if not views:
        return _TABLE
    columns = [column(one.name, one.type) for one in _TABLE.c]
    return union_all(select(_TABLE), *(select(*columns).select_from(table(name)) for name in views)).subquery()


def _where(
    table: FromClause, since: datetime | str | None, until: datetime | str | None, **wanted: str | None
) -> list[ColumnElement[bool]]:
    model = wanted.pop("model")
    wanted["model" if "@" in (model or "") else "name"] = model
    found = [table.c[column] == value for column, value in wanted.items() if value is not None]
    found += [] if since is None else [table.c.time >= _stamp(since)]
    return found + ([] if until is None else [table.c.time < _stamp(until)])


def _stamp(time: datetime | str) -> str:
    """A text that sorts as the times do.

    Raises:
        InputError: it is no time, or has no zone.
    """
    try:
        found = datetime.fromisoformat(time) if isinstance(time, str) else time
    except ValueError:
        found = datetime.min
    if found.tzinfo is None:
        raise InputError(f"{time}: no time with a zone; write 2026-03-02T08:15:00Z")
    return found.astimezone(UTC).isoformat(timespec="milliseconds")


def _feedback(row: Row[Any]) -> Feedback:
    values = dict(row._mapping)
    del values["name"]
    correction = None if row.correction is None else json.loads(row.correction)
    return Feedback(**{**values, "said": json.loads(row.said), "correction": correction})


def _dumped(value: Mapping[str, Any]) -> str:
    return json.dumps(_masked(value), ensure_ascii=False)


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return mask(value)[0]
    if isinstance(value, Mapping):
        return {key: _masked(one) for key, one in value.items()}
    return [_masked(one) for one in value] if isinstance(value, list | tuple) else value
