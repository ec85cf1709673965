"""Knowledge: a tenant's documents in SQL, with their chunks and vectors. All else is a cache of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, func, insert, select, update

from apps.customer_service import tables
from apps.customer_service.chunks import Chunk
from apps.customer_service.documents import Document
from apps.customer_service.units import units
from engine.errors import InputError

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Row, Select

    from engine import Embedder
    from engine.db import Database

Vectors = NDArray[np.float32]
"""Of a chunk, one row for each of its `units`: shape (units, width)."""
REREAD = 64
"""Chunks that get new vectors in one transaction."""
MANY = 500
"""Keys of one SQL statement."""


@dataclass(frozen=True)
class Passage:
    """A chunk as it stands in the database now, with what a citation of it names."""

    chunk: Chunk
    title: str
    version: str
    lang: str


@dataclass(frozen=True)
class Stored:
    """A chunk with its vectors."""

    passage: Passage
    vectors: Vectors


class Knowledge:
    """One tenant's documents.

    Args:
        tenant: whose; no method sees another's rows.
    """

    def __init__(self, database: Database, tenant: str = "default") -> None:
        self.database = database
        self.tenant = tenant

    def revision(self, connection: Connection | None = None) -> int:
        """Grows with every change."""
        query = select(tables.revisions.c.revision).where(tables.revisions.c.tenant == self.tenant)
        if connection is not None:
            return connection.execute(query).scalar() or 0
        with self.database.read() as own:
            return own.execute(query).scalar() or 0

    def embedder(self) -> str | None:
        """The name of the model whose vectors are live; None before anything was ingested."""
        with self.database.read() as connection:
            return connection.execute(select(tables.generations.c.embedder).where(*self._live())).scalar()

    def begin(self, embedder: str) -> None:
        """Name the model that makes the vectors from here on.

        Raises:
            InputError: the live vectors are another model's.
        """
        with self.database.write() as connection:
            live = connection.execute(select(tables.generations.c.embedder).where(*self._live())).scalar()
            if live is None:
                values = {"tenant": self.tenant, "number": 1, "embedder": embedder, "state": "live"}
                connection.execute(insert(tables.generations), values)
            elif live != embedder:
                raise InputError(
                    f"the index was made by {live}, not {embedder}; go on with {live}, or change all of it with: "
                    f"support-bot reindex --embedder {embedder}"
                )

    def hashes(self) -> dict[str, str]:
        """File -> hash of its content when it was ingested."""
        with self.database.read() as connection:
            rows = connection.execute(
                select(tables.files.c.source, tables.files.c.sha256).where(tables.files.c.tenant == self.tenant)
            )
            return {row.source: row.sha256 for row in rows}

    def documents(self) -> list[Document]:
        """All of them, by id."""
        c = tables.documents.c
        with self.database.read() as connection:
            rows = connection.execute(
                select(c.id, c.title, c.text, c.lang, c.source, c.section, c.updated)
                .where(c.tenant == self.tenant)
                .order_by(c.id)
            )
            return [Document(*row) for row in rows]

    def known(self, ids: Iterable[str]) -> set[str]:
        """Which of these chunks have live vectors already."""
        found: set[str] = set()
        with self.database.read() as connection:
            for part in _parts(list(ids)):
                query = select(tables.vectors.c.chunk).where(
                    tables.vectors.c.tenant == self.tenant,
                    tables.vectors.c.chunk.in_(part),
                    tables.vectors.c.generation == self._number(connection),
                )
                found.update(connection.execute(query).scalars())
        return found

    def replace(
        self, source: str, sha256: str, documents: Sequence[Document], chunks: Sequence[Chunk], made: dict[str, Vectors]
    ) -> int:
        """Make a file's documents what they are now, in one transaction: new, changed, and gone from the file.

        Args:
            made: vectors of the chunks that had none.

        Returns:
            How many documents that the file held before are gone.

        Raises:
            InputError: a document has the id of another file's.
        """
        c = tables.documents.c
        with self.database.write() as connection:
            generation = self._number(connection)
            taken = connection.execute(
                select(c.id, c.source).where(
                    c.tenant == self.tenant, c.id.in_([one.id for one in documents]), c.source != source
                )
            ).first()
            if taken:
                raise InputError(f"{source}: its id {taken[0]!r} is that of {taken[1]}; give one of them another id")
            before = set(connection.execute(select(c.id).where(c.tenant == self.tenant, c.source == source)).scalars())
            kept = self._vectors(connection, generation, [chunk.id for chunk in chunks])
            connection.execute(delete(tables.documents).where(c.tenant == self.tenant, c.source == source))
            for document in documents:
                row = {"tenant": self.tenant, "version": document.version, **vars(document)}
                connection.execute(insert(tables.documents), row)
            for chunk in chunks:
                connection.execute(insert(tables.chunks), {"tenant": self.tenant, **vars(chunk)})
                data = _packed(made[chunk.id]) if chunk.id in made else kept[chunk.id]
                row = {"tenant": self.tenant, "generation": generation, "chunk": chunk.id, "data": data}
                connection.execute(insert(tables.vectors), row)
            mine = (tables.files.c.tenant == self.tenant, tables.files.c.source == source)
            connection.execute(delete(tables.files).where(*mine))
            connection.execute(insert(tables.files), {"tenant": self.tenant, "source": source, "sha256": sha256})
            self._changed(connection)
        return len(before - {one.id for one in documents})

    def delete(self, ids: Sequence[str]) -> list[str]:
        """Remove documents with all that was made of them; after it nothing of them is found or quoted.

        Returns:
            The ids that there were.
        """
        c = tables.documents.c
        gone: list[str] = []
        with self.database.write() as connection:
            for part in _parts(list(ids)):
                mine = (c.tenant == self.tenant, c.id.in_(part))
                rows = connection.execute(select(c.id, c.source).where(*mine)).all()
                gone += [row.id for row in rows]
                connection.execute(delete(tables.documents).where(*mine))
                t = tables.templates.c
                connection.execute(delete(tables.templates).where(t.tenant == self.tenant, t.document.in_(part)))
                # Were the file to come again it is no longer one that is known.
                connection.execute(
                    delete(tables.files).where(
                        tables.files.c.tenant == self.tenant, tables.files.c.source.in_([row.source for row in rows])
                    )
                )
            if gone:
                self._changed(connection)
        return gone

    def reindex(self, embedder: Embedder) -> int:
        """Give every chunk vectors of another embedder, and swap both at once when all have them.

        The old vectors answer until then; stopped anywhere, the next call goes on where this one was.

        Returns:
            How many chunks were read; 0 where the embedder's vectors are live already.
        """
        number = self._building(embedder.model)
        if number is None:
            return 0
        done = 0
        while waiting := self._without(number):
            made = {one.chunk.id: embedder.embed(units(one.chunk, one.title), side="pair") for one in waiting}
            with self.database.write() as connection:
                # A document may have changed in the meantime: only chunks that are there still take their vectors.
                live = self.live(connection, list(made))
                for chunk in live:
                    row = {"tenant": self.tenant, "generation": number, "chunk": chunk, "data": _packed(made[chunk])}
                    connection.execute(insert(tables.vectors), row)
            done += len(waiting)
        with self.database.write() as connection:
            if self._missing(connection, number):
                return done + self.reindex(embedder)
            g = tables.generations.c
            connection.execute(delete(tables.generations).where(g.tenant == self.tenant, g.number != number))
            connection.execute(
                update(tables.generations).where(g.tenant == self.tenant, g.number == number).values(state="live")
            )
            self._changed(connection)
        return done

    def _building(self, model: str) -> int | None:
        """The generation that is being built by this model, begun now if there is none; None: it is live."""
        g = tables.generations.c
        with self.database.write() as connection:
            rows = connection.execute(select(g.number, g.embedder, g.state).where(g.tenant == self.tenant)).all()
            if any(row.embedder == model and row.state == "live" for row in rows):
                return None
            for row in rows:
                if row.state == "building" and row.embedder == model:
                    return int(row.number)
            number = max((row.number for row in rows), default=0) + 1
            connection.execute(delete(tables.generations).where(g.tenant == self.tenant, g.state == "building"))
            values = {"tenant": self.tenant, "number": number, "embedder": model, "state": "building"}
            connection.execute(insert(tables.generations), values)
            return int(number)

    def _without(self, generation: int) -> list[Passage]:
        """Some of the chunks that have no vectors of the generation yet."""
        with self.database.read() as connection:
            return [_passage(row) for row in self._missing(connection, generation)]

    def _missing(self, connection: Connection, generation: int) -> Sequence[Row[Any]]:
        c, v = tables.chunks.c, tables.vectors.c
        made = select(v.chunk).where(v.tenant == self.tenant, v.generation == generation)
        return connection.execute(self._passages().where(c.id.not_in(made)).limit(REREAD)).all()

    def all(self, connection: Connection) -> list[Stored]:
        """Every chunk with its live vectors, in a fixed order."""
        generation = self._number(connection)
        query = (
            self._passages()
            .add_columns(tables.vectors.c.data)
            .join(
                tables.vectors,
                (tables.vectors.c.tenant == tables.chunks.c.tenant) & (tables.vectors.c.chunk == tables.chunks.c.id),
            )
            .where(tables.vectors.c.generation == generation)
            .order_by(tables.chunks.c.document, tables.chunks.c.ordinal)
        )
        found = []
        for row in connection.execute(query):
            passage = _passage(row)
            found.append(Stored(passage, _unpacked(row.data, len(units(passage.chunk, passage.title)))))
        return found

    def live(self, connection: Connection, ids: Sequence[str]) -> dict[str, Passage]:
        """Those of the chunks that are still there, as they stand now."""
        found: dict[str, Passage] = {}
        for part in _parts(list(ids)):
            for row in connection.execute(self._passages().where(tables.chunks.c.id.in_(part))):
                found[row.id] = _passage(row)
        return found

    def counts(self) -> tuple[int, int]:
        """Documents and chunks."""
        with self.database.read() as connection:
            documents, chunks = (
                connection.execute(
                    select(func.count()).select_from(table).where(table.c.tenant == self.tenant)
                ).scalar()
                for table in (tables.documents, tables.chunks)
            )
        return documents or 0, chunks or 0

    def _passages(self) -> Select[Any]:
        c, d = tables.chunks.c, tables.documents.c
        return (
            select(c.id, c.document, c.ordinal, c.heading, c.start, c.end, c.text, d.title, d.version, d.lang)
            .join(tables.documents, (d.tenant == c.tenant) & (d.id == c.document))
            .where(c.tenant == self.tenant)
        )

    def _vectors(self, connection: Connection, generation: int, ids: list[str]) -> dict[str, bytes]:
        c = tables.vectors.c
        found: dict[str, bytes] = {}
        for part in _parts(ids):
            query = select(c.chunk, c.data).where(
                c.tenant == self.tenant, c.generation == generation, c.chunk.in_(part)
            )
            found.update({row.chunk: row.data for row in connection.execute(query)})
        return found

    def _live(self) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        return tables.generations.c.tenant == self.tenant, tables.generations.c.state == "live"

    def _number(self, connection: Connection) -> int:
        return connection.execute(select(tables.generations.c.number).where(*self._live())).scalar() or 0

    def _changed(self, connection: Connection) -> None:
        mine = tables.revisions.c.tenant == self.tenant
        done = connection.execute(update(tables.revisions).where(mine).values(revision=tables.revisions.c.revision + 1))
        if not done.rowcount:
            connection.execute(insert(tables.revisions), {"tenant": self.tenant, "revision": 1})


def _passage(row: Row[Any]) -> Passage:
    chunk = Chunk(row.id, row.document, row.ordinal, row.heading, row.start, row.end, row.text)
    return Passage(chunk, row.title, row.version, row.lang)


def _packed(vectors: Vectors) -> bytes:
    return vectors.astype("<f2").tobytes()


def _unpacked(data: bytes, rows: int) -> Vectors:
    return np.frombuffer(data, "<f2").reshape(rows, -1).astype(np.float32)


def _parts(ids: list[str]) -> Iterable[list[str]]:
    return (ids[at : at + MANY] for at in range(0, len(ids), MANY))
