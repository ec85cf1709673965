"""Documents that were deleted stay so when their files are read again; all are once, as comments were kept before."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "support_deleted",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
    )
    op.execute("DELETE FROM support_files")


def downgrade() -> None:
    op.drop_table("support_deleted")
