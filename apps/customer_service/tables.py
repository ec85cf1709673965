"""The tables of support-bot, as its newest migration leaves them. Each row belongs to a tenant."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Column, ForeignKeyConstraint, Integer, LargeBinary, MetaData, Table, Text

MIGRATIONS = Path(__file__).parent / "migrations"
NAME = "customer_service"

METADATA = MetaData()

revisions = Table(
    "support_revisions",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("revision", Integer, nullable=False),
)
"""Grows with every change of a tenant's documents: whoever holds a cache of them compares it."""

files = Table(
    "support_files",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("sha256", Text, nullable=False),
)

documents = Table(
    "support_documents",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("lang", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("section", Text, nullable=False),
    Column("updated", Text, nullable=False),
)

deleted = Table(
    "support_deleted",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("source", Text, nullable=False),
)
"""Ids of documents that were deleted, which their files do not bring back; `source`: the file that still holds it, as
far as is known, or empty."""

chunks = Table(
    "support_chunks",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("document", Text, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("heading", Text, nullable=False),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("text", Text, nullable=False),
    ForeignKeyConstraint(
        ["tenant", "document"], ["support_documents.tenant", "support_documents.id"], ondelete="CASCADE"
    ),
)

generations = Table(
    "support_generations",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("embedder", Text, nullable=False),
    Column("state", Text, nullable=False),
)
"""Vectors made by one embedder: state "building" until all chunks have theirs, then "live"; one is live a tenant."""

vectors = Table(
    "support_vectors",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("chunk", Text, primary_key=True),
    Column("data", LargeBinary, nullable=False),
    ForeignKeyConstraint(["tenant", "chunk"], ["support_chunks.tenant", "support_chunks.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(
        ["tenant", "generation"], ["support_generations.tenant", "support_generations.number"], ondelete="CASCADE"
    ),
)
"""Of a chunk, one for each of its units (see units.py); float16, little endian, row after row."""

conversations = Table(
    "support_conversations",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("customer", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("agent", Text, nullable=True),
    Column("created", Text, nullable=False),
    Column("consent", Integer, nullable=False),
    Column("asked", Text, nullable=True),
)
"""`customer` is the company's own key for a person, `forget` erases by it; `consent`: 1 where models may be trained on
what they write; `asked`: when a person was last asked for."""

turns = Table(
    "support_turns",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("conversation", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("role", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("time", Text, nullable=False),
    Column("answer", Text, nullable=True),
    Column("verdict", Integer, nullable=True),
    ForeignKeyConstraint(
        ["tenant", "conversation"], ["support_conversations.tenant", "support_conversations.id"], ondelete="CASCADE"
    ),
)
"""`answer`: of the bot's turns, its answer with evidence, as JSON; `verdict`: 1 good, 0 bad, as the customer said."""

templates = Table(
    "support_templates",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("document", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("data", Text, nullable=False),
)
"""`state`: proposed, approved or rejected; `data`: text, sources and the like, as JSON."""
