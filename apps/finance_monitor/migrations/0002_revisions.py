"""An alert may change any number of times between its opening and its end; what was told counts its revisions."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.rename_table("finance_changes", "finance_changes_before")
    op.create_table(
        "finance_changes",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("alert", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.UniqueConstraint("alert", "revision"),
    )
    op.execute(
        "INSERT INTO finance_changes (number, alert, revision, status, data) "
        "SELECT number, alert, CASE status WHEN 'firing' THEN 1 ELSE 2 END, status, data FROM finance_changes_before"
    )
    op.drop_table("finance_changes_before")
