"""Since when a conversation waits for a person; whether the bot handed over by itself is gone, as it never did."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("support_conversations", sa.Column("asked", sa.Text, nullable=True))
    op.execute("UPDATE support_conversations SET asked = created WHERE side IN ('waiting', 'agent')")
    op.drop_column("support_conversations", "handed")


def downgrade() -> None:
    op.add_column("support_conversations", sa.Column("handed", sa.Integer, nullable=False, server_default="0"))
    op.drop_column("support_conversations", "asked")
