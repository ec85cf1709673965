"""Items are found by their ids: analysts correct their labels."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("finance_items", sa.Column("item", sa.Text, nullable=False, server_default=""))
    inside = "data::json ->> 'id'" if op.get_bind().dialect.name == "postgresql" else "json_extract(data, '$.id')"
    op.execute(f"UPDATE finance_items SET item = {inside}")
    op.create_index("finance_items_item", "finance_items", ["item"])
