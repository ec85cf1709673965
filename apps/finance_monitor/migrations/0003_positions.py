"""How far a feed has been read is a text that its source writes, as feeds need not be files."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("finance_feeds", sa.Column("position", sa.Text, nullable=False, server_default=""))
    op.execute("UPDATE finance_feeds SET position = line || ' ' || byte || ' ' || inode")
    with op.batch_alter_table("finance_feeds") as table:
        for name in ("line", "byte", "inode"):
            table.drop_column(name)
