"""What still fires at the end of a silence is told then, and what a sink was given up for may be sent again."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    heard = op.create_table(
        "finance_heard",
        sa.Column("place", sa.Integer, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("time", sa.Text, nullable=False),
        sa.Column("silence", sa.Text),
    )
    op.create_index("finance_heard_number", "finance_heard", ["number"])
    connection = op.get_bind()
    before = connection.exec_driver_sql(
        "SELECT c.number, c.data, s.silence FROM finance_changes c LEFT JOIN finance_silenced s ON s.number = c.number "
        "ORDER BY c.number"
    ).all()
    if before:  # at the places that sinks have been told up to
        op.bulk_insert(heard, [_row(*change) for change in before])
    if before and connection.dialect.name == "postgresql":
        op.execute("SELECT setval(pg_get_serial_sequence('finance_heard', 'place'), max(place)) FROM finance_heard")
    # Escalations were counted with those that a silence hid; at worst some are told twice, by the same id.
    op.execute(
        "UPDATE finance_deliveries SET number = CASE "
        "WHEN number > (SELECT count(*) FROM finance_silenced) "
        "THEN number - (SELECT count(*) FROM finance_silenced) ELSE 0 END "
        "WHERE sink LIKE 'escalation after %'"
    )
    op.drop_table("finance_silenced")
    op.add_column("finance_undelivered", sa.Column("again", sa.Boolean, nullable=False, server_default=sa.false()))


def _row(number: int, data: str, silence: str | None) -> dict[str, object]:
    alert = json.loads(data)
    time = next(filter(None, map(alert.get, ("updated", "closed", "opened"))), "1970-01-01T00:00:00Z")
    return {"place": number, "number": number, "time": time, "silence": silence}
