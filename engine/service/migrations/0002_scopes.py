"""Scopes, a former secret while a key is rotated, expiry, and when a key was used last."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("service_keys", sa.Column("scopes", sa.Text, nullable=False, server_default=""))
    for name in ("former", "former_until", "expires", "used"):
        op.add_column("service_keys", sa.Column(name, sa.Text, nullable=False, server_default=""))
