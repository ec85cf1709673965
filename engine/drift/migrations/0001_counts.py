"""Counts of what served models read and answered."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "drift_counts",
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("hour", sa.Text, primary_key=True),
        sa.Column("measure", sa.Text, primary_key=True),
        sa.Column("bin", sa.Text, primary_key=True),
        sa.Column("count", sa.Float(53), nullable=False),
    )
