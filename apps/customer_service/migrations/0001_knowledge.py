"""Documents, chunks and vectors."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "support_revisions",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("revision", sa.Integer, nullable=False),
    )
    op.create_table(
        "support_files",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("sha256", sa.Text, nullable=False),
    )
    op.create_table(
        "support_documents",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("version", "title", "text", "lang", "source", "section", "updated")
        ),
    )
    op.create_index("support_documents_source", "support_documents", ["tenant", "source"])
    op.create_table(
        "support_chunks",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("heading", sa.Text, nullable=False),
        sa.Column("start", sa.Integer, nullable=False),
        sa.Column("end", sa.Integer, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "document"], ["support_documents.tenant", "support_documents.id"], ondelete="CASCADE"
        ),
    )
    op.create_index("support_chunks_document", "support_chunks", ["tenant", "document"])
    op.create_table(
        "support_generations",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("embedder", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
    )
    op.create_table(
        "support_vectors",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("generation", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("chunk", sa.Text, primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "chunk"], ["support_chunks.tenant", "support_chunks.id"], ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant", "generation"], ["support_generations.tenant", "support_generations.number"], ondelete="CASCADE"
        ),
    )
    op.create_index("support_vectors_chunk", "support_vectors", ["tenant", "chunk"])


def downgrade() -> None:
    for table in ("vectors", "generations", "chunks", "documents", "files", "revisions"):
        op.drop_table(f"support_{table}")
