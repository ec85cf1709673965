"""What faces need: items that were pushed, counts a step for charts, silences, and the changes that they hid."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "finance_inbox",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("item", sa.Text, unique=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,  # a number that was read is never given again
    )
    op.create_table(
        "finance_series",
        sa.Column("time", sa.Text, primary_key=True),
        sa.Column("key_type", sa.Text, primary_key=True),
        sa.Column("key_value", sa.Text, primary_key=True),
        sa.Column("stories", sa.Integer, nullable=False),
        sa.Column("negative", sa.Integer, nullable=False),
        sa.Column("expected", sa.Float, nullable=False),
    )
    op.create_table(
        "finance_silences",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("key_type", sa.Text, nullable=False),
        sa.Column("key_value", sa.Text, nullable=False),
        sa.Column("starts", sa.Text, nullable=False),
        sa.Column("ends", sa.Text),
        sa.Column("weekly", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("made", sa.Text, nullable=False),
    )
    op.create_table(
        "finance_silenced",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("silence", sa.Text, nullable=False),
    )
