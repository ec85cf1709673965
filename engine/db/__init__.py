"""Databases: SQLite by default, PostgreSQL by URL; each opened by its application, which brings its migrations.

database = Database.open("sqlite:///bot.db", name="customer_service", migrations=Path("apps/.../migrations"))
with database.write() as connection: ...
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import InputError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

DATABASE = "KEEL_DATABASE"
ALEMBIC = Path(__file__).parent / "alembic"
WAIT_MS = 30_000
"""How long a writer of SQLite waits for another one to end."""
_IN_PLACE = re.compile(r"^([\w+.-]*:?//)?([^@:/]*):(?!//).*@", re.DOTALL)
_IN_QUERY = re.compile(r"(password=)[^&]*")


class Database:
    """Transactions over one database. Threads may share it; processes open their own.

    Attributes:
        engine: SQLAlchemy's.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._migrated: set[str] = set()

    @classmethod
    def open(cls, url: str, *, name: str, migrations: Path) -> Database:
        """Open a database and bring its tables to the newest state; what cannot be brought there is left as it was.

        Args:
            url: as SQLAlchemy writes it: sqlite:///FILE, postgresql+psycopg://USER@HOST/DATABASE.
            name: whose tables these are: several applications may share a PostgreSQL database.
            migrations: folder with alembic's versions.

        Raises:
            InputError: the URL is none, its driver is not installed, or nothing answers there.
        """
        from sqlalchemy import create_engine, event
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

        try:
            engine = create_engine(url)
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError, ValueError) as fault:  # ValueError: of a port
            raise InputError(
                f"database {shown(url)}: {fault}; write sqlite:///FILE or postgresql+psycopg://..."
            ) from None
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _set_up)
            event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(_begin(connection)))
        database = cls(engine)
        try:
            if engine.dialect.name == "sqlite" and engine.url.database:
                Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
            database.migrate(name, migrations)
        except (SQLAlchemyError, OSError) as fault:
            raise InputError(
                f"database {shown(url)}: {getattr(fault, 'orig', fault)}; is it there, and may you write to it?"
            ) from None
        return database

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database to its end."""
        with self.engine.connect() as connection:
            options = {} if self.engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
            with connection.execution_options(**options).begin():
                yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is kept whole at its end, or not at all after a fault."""
        with self.engine.connect() as connection, connection.execution_options(writes=True).begin():
            yield connection

    def close(self) -> None:
        self.engine.dispose()

    def migrate(self, name: str, migrations: Path) -> None:
        """Bring one owner's tables to their newest state; looked at once for each owner.

        Args:
            name: whose they are; each owner counts its own versions.
            migrations: folder with alembic's versions.

        Raises:
            InputError: a newer Keel has written them.
        """
        if name in self._migrated:
            return
        from alembic import command
        from alembic.config import Config
        from alembic.migration import MigrationContext
        from alembic.script import ScriptDirectory

        config = Config()
        config.set_main_option("script_location", str(ALEMBIC))
        config.set_main_option("version_locations", str(migrations))
        config.set_main_option("path_separator", "os")
        table = f"{name}_migrations"
        with self.read() as connection:
            at = MigrationContext.configure(connection, opts={"version_table": table}).get_current_revision()
        script = ScriptDirectory.from_config(config)
        if at == (newest := script.get_current_head()):
            self._migrated.add(name)
            return
        if at is not None and at not in {revision.revision for revision in script.walk_revisions()}:
            url = self.engine.url.render_as_string(hide_password=False)
            raise InputError(
                f"database {shown(url)}: written by a newer Keel (its tables are at {at}, this one knows {newest}); "
                "update Keel"
            )
        with self.write() as connection:
            config.attributes.update(connection=connection, version_table=table)
            command.upgrade(config, "head")
        self._migrated.add(name)


def shown(url: str) -> str:
    """A URL as people and logs may see it, even where it is none: without its password, of which the end is the last @,
    as whoever writes it may forget to quote those within."""
    return _IN_QUERY.sub(r"\1***", _IN_PLACE.sub(r"\1\2:***@", url))


def default_url(*, formerly: str | None = None) -> str:
    """What KEEL_DATABASE says, by default `keel.db` in Keel's home: one database for everything that Keel writes.

    Args:
        formerly: name of the file in Keel's home that an earlier version kept this owner's tables in.

    Raises:
        InputError: that file is still there, and its content would be missed.
    """
    if url := os.environ.get(DATABASE):
        return url
    from engine import resources

    home = resources.home()
    if formerly and (old := home / formerly).exists():
        raise InputError(
            f"{old}: an earlier version stored here, this one stores in {home / 'keel.db'}; go on with it by "
            f"--database sqlite:///{old}, or rename it to keel.db if there is none, or move it away to begin anew"
        )
    return f"sqlite:///{home / 'keel.db'}"


def _set_up(connection: Any, _: object) -> None:
    """SQLite as a server would use it: readers beside one writer, references held, transactions begun by us."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={WAIT_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> str:
    # A writer that begins as a reader would be refused if another wrote in between.
    return "BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN"
