"""Feeds, their items with labels, dead letters, changes of alerts and their deliveries, and the state of it all."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "finance_feeds",
        sa.Column("feed", sa.Text, primary_key=True),
        sa.Column("line", sa.BigInteger, nullable=False),
        sa.Column("byte", sa.BigInteger, nullable=False),
        sa.Column("inode", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "finance_items",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("vector", sa.LargeBinary),
    )
    op.create_table(
        "finance_dead",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_table(
        "finance_changes",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("alert", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.UniqueConstraint("alert", "status"),
    )
    op.create_table(
        "finance_deliveries",
        sa.Column("sink", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due", sa.Float, nullable=False),
    )
    op.create_table(
        "finance_undelivered",
        sa.Column("sink", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_table(
        "finance_states",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("items", sa.Integer, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
