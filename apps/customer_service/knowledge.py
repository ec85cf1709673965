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
from apps.customer_service.documents import Document, gone
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


@dataclass(frozen=True)
class Replaced:
    """What became of a file's documents."""

    documents: int
    """Those that are there now."""
    chunks: int
    removed: int
    """Those that the file held before and holds no more."""
    moved: list[str]
    """Files that are gone and held them before."""


class OtherEmbedder(InputError):
    """The live vectors are another model's."""


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
            OtherEmbedder: the live vectors are another model's.
        """
        with self.database.write() as connection:
            live = connection.execute(select(tables.generations.c.embedder).where(*self._live())).scalar()
            if live is None:
                values = {"tenant": self.tenant, "number": 1, "embedder": embedder, "state": "live"}
                connection.execute(insert(tables.generations), values)
                self._changed(connection)
            else:
                _same(live, embedder)

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

    def sources(self) -> set[str]:
        """The files that its documents come from."""
        with self.database.read() as connection:
            c = tables.documents.c
            return set(connection.execute(select(c.source).where(c.tenant == self.tenant).distinct()).scalars())

    def deleted(self) -> dict[str, str]:
        """Ids that were deleted -> the file that holds the document still, as far as is known, or ""."""
        d = tables.deleted.c
        with self.database.read() as connection:
            rows = connection.execute(select(d.id, d.source).where(d.tenant == self.tenant).order_by(d.id))
            return {row.id: row.source for row in rows}

    def replace(
        self,
        source: str,
        sha256: str,
        documents: Sequence[Document],
        chunks: Sequence[Chunk],
        made: dict[str, Vectors],
        embedder: str,
    ) -> Replaced:
        """Make a file's documents what they are now, in one transaction: new, changed, and gone from the file. Those
        that were deleted stay so; those of a file that is gone are this one's now.

        Args:
            made: vectors of the chunks that had none.
            embedder: the model that made them.

        Raises:
            OtherEmbedder: the live vectors are another model's by now.
            InputError: a document has the id of another file's, or was written by somebody else meanwhile.
        """
        c, f = tables.documents.c, tables.files.c
        with self.database.write() as connection:
            self._alone(connection)
            live = connection.execute(
                select(tables.generations.c.number, tables.generations.c.embedder).where(*self._live())
            ).one()
            _same(live.embedder, embedder)
            left_out = self._left_out(connection, source, [one.id for one in documents])
            documents = [one for one in documents if one.id not in left_out]
            chunks = [chunk for chunk in chunks if chunk.document not in left_out]
            moved = self._moved(connection, source, [one.id for one in documents])
            mine = (c.tenant == self.tenant, c.source.in_([source, *moved]))
            before = set(connection.execute(select(c.id).where(*mine)).scalars())
            packed = self._vectors(connection, live.number, [chunk.id for chunk in chunks])
            packed |= {chunk: _packed(vectors) for chunk, vectors in made.items()}
            if any(chunk.id not in packed for chunk in chunks):
                raise InputError(f"{source}: its documents were changed meanwhile; give the command again")
            connection.execute(delete(tables.documents).where(*mine))
            for document in documents:
                row = {"tenant": self.tenant, "version": document.version, **vars(document)}
                connection.execute(insert(tables.documents), row)
            for chunk in chunks:
                connection.execute(insert(tables.chunks), {"tenant": self.tenant, **vars(chunk)})
                row = {"tenant": self.tenant, "generation": live.number, "chunk": chunk.id, "data": packed[chunk.id]}
                connection.execute(insert(tables.vectors), row)
            connection.execute(delete(tables.files).where(f.tenant == self.tenant, f.source.in_([source, *moved])))
            connection.execute(insert(tables.files), {"tenant": self.tenant, "source": source, "sha256": sha256})
            self._changed(connection)
        return Replaced(len(documents), len(chunks), len(before - {one.id for one in documents}), moved)

    def _left_out(self, connection: Connection, source: str, ids: list[str]) -> set[str]:
        """Which of a file's documents stay deleted; what is known of where they are is brought up to date."""
        d = tables.deleted.c
        mine = (d.tenant == self.tenant, d.source == source)
        connection.execute(update(tables.deleted).where(*mine).values(source=""))
        found: set[str] = set()
        for part in _parts(ids):
            these = (d.tenant == self.tenant, d.id.in_(part))
            found.update(connection.execute(select(d.id).where(*these)).scalars())
            connection.execute(update(tables.deleted).where(*these).values(source=source))
        return found

    def _moved(self, connection: Connection, source: str, ids: list[str]) -> list[str]:
        """The files, gone by now, that held documents of these ids.

        Raises:
            InputError: such a file is there still.
        """
        c = tables.documents.c
        moved: set[str] = set()
        for part in _parts(ids):
            query = select(c.id, c.source).where(c.tenant == self.tenant, c.id.in_(part), c.source != source)
            for id, other in connection.execute(query):
                if not gone(other):
                    raise InputError(f"{source}: its id {id!r} is that of {other}; give one of them another id")
                moved.add(other)
        return sorted(moved)

    def delete(self, ids: Sequence[str]) -> list[str]:
        """Remove documents with all that was made of them; after it nothing of them is found or quoted, nor brought
        back by their files until `lift`.

        Returns:
            The ids that there were.
        """
        c = tables.documents.c
        removed: list[str] = []
        with self.database.write() as connection:
            self._alone(connection)
            for part in _parts(list(ids)):
                mine = (c.tenant == self.tenant, c.id.in_(part))
                for row in connection.execute(select(c.id, c.source).where(*mine)).all():
                    values = {"tenant": self.tenant, "id": row.id, "source": row.source}
                    connection.execute(insert(tables.deleted), values)
                    removed.append(row.id)
                connection.execute(delete(tables.documents).where(*mine))
                t = tables.templates.c
                connection.execute(delete(tables.templates).where(t.tenant == self.tenant, t.document.in_(part)))
            if removed:
                self._changed(connection)
        return removed

    def lift(self, ids: Sequence[str]) -> None:
        """Let documents that were deleted come again when their files are read."""
        d, f = tables.deleted.c, tables.files.c
        with self.database.write() as connection:
            self._alone(connection)
            for part in _parts(list(ids)):
                mine = (d.tenant == self.tenant, d.id.in_(part))
                held = select(d.source).where(*mine)
                # A file that is not known is read.
                connection.execute(delete(tables.files).where(f.tenant == self.tenant, f.source.in_(held)))
                connection.execute(delete(tables.deleted).where(*mine))

    def drop(self, sources: Sequence[str]) -> int:
        """Remove the documents of files that are gone; with the files they may come again.

        Returns:
            How many there were.
        """
        c, f = tables.documents.c, tables.files.c
        dropped = 0
        with self.database.write() as connection:
            self._alone(connection)
            for part in _parts(list(sources)):
                mine = delete(tables.documents).where(c.tenant == self.tenant, c.source.in_(part))
                dropped += connection.execute(mine).rowcount
                connection.execute(delete(tables.files).where(f.tenant == self.tenant, f.source.in_(part)))
            if dropped:
                self._changed(connection)
        return dropped

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
        while not self._swapped(number):
            waiting = self._without(number)
            made = {one.chunk.id: embedder.embed(units(one.chunk, one.title), side="pair") for one in waiting}
            with self.database.write() as connection:
                self._alone(connection)
                # A document may have changed in the meantime: only chunks that are there still take their vectors.
                live = self.live(connection, list(made))
                for chunk in live:
                    row = {"tenant": self.tenant, "generation": number, "chunk": chunk, "data": _packed(made[chunk])}
                    connection.execute(insert(tables.vectors), row)
            done += len(waiting)
        return done

    def _swapped(self, generation: int) -> bool:
        """Make a generation the live one, unless a chunk lacks its vectors."""
        g = tables.generations.c
        with self.database.write() as connection:
            self._alone(connection)
            if self._missing(connection, generation):
                return False
            connection.execute(delete(tables.generations).where(g.tenant == self.tenant, g.number != generation))
            connection.execute(
                update(tables.generations).where(g.tenant == self.tenant, g.number == generation).values(state="live")
            )
            self._changed(connection)
        return True

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

    def _alone(self, connection: Connection) -> None:
        """Wait until the tenant's other writers have ended: PostgreSQL lets several write beside each other, and none
        would see what the others do."""
        mine = tables.revisions.c.tenant == self.tenant
        connection.execute(select(tables.revisions.c.revision).where(mine).with_for_update())

    def _changed(self, connection: Connection) -> None:
        mine = tables.revisions.c.tenant == self.tenant
        done = connection.execute(update(tables.revisions).where(mine).values(revision=tables.revisions.c.revision + 1))
        if not done.rowcount:
            connection.execute(insert(tables.revisions), {"tenant": self.tenant, "revision": 1})


def _same(live: str, embedder: str) -> None:
    """Raises: OtherEmbedder: they are two."""
    if live != embedder:
        raise OtherEmbedder(
            f"the vectors of the index are {live}'s, not {embedder}'s; give the command again to go on with {live}, or "
            "change all of them to the champion's with: support-bot reindex"
        )


def _passage(row: Row[Any]) -> Passage:
    chunk = Chunk(row.id, row.document, row.ordinal, row.heading, row.start, row.end, row.text)
    return Passage(chunk, row.title, row.version, row.lang)


def _packed(vectors: Vectors) -> bytes:
    return vectors.astype("<f2").tobytes()


def _unpacked(data: bytes, rows: int) -> Vectors:
    return np.frombuffer(data, "<f2").reshape(rows, -1).astype(np.float32)


def _parts(ids: list[str]) -> Iterable[list[str]]:
    return (ids[at : at + MANY] for at in range(0, len(ids), MANY))
