"""Conversations and their turns."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "support_conversations",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("customer", sa.Text, nullable=False),
        sa.Column("side", sa.Text, nullable=False),
        sa.Column("agent", sa.Text, nullable=True),
        sa.Column("handed", sa.Integer, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
    )
    op.create_index("support_conversations_customer", "support_conversations", ["tenant", "customer"])
    op.create_index("support_conversations_side", "support_conversations", ["tenant", "side"])
    op.create_table(
        "support_turns",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("conversation", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("time", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=True),
        sa.Column("verdict", sa.Integer, nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant", "conversation"], ["support_conversations.tenant", "support_conversations.id"], ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    op.drop_table("support_turns")
    op.drop_table("support_conversations")
