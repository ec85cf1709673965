"""Feedback on predictions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "feedback",
        sa.Column("id", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("time", "tenant", "model", "subject", "text", "said")),
        sa.Column("verdict", sa.Float, nullable=True),
        sa.Column("correction", sa.Text, nullable=True),
    )
    op.create_index("feedback_subject", "feedback", ["tenant", "subject"])
