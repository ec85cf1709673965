"""Whether a customer agreed that models are trained on what they write; of earlier ones nobody knows."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("support_conversations", sa.Column("consent", sa.Integer, nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("support_conversations", "consent")
