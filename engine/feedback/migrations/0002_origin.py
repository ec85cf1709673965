"""Where feedback came from, who gave it and whether it may be trained on.

What is there was written by support-bot, of votes; nobody was asked, so nothing is trained on it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for name, default in (("app", "customer_service"), ("kind", "vote"), ("rater", ""), ("name", "")):
        op.add_column("feedback", sa.Column(name, sa.Text, nullable=False, server_default=default))
    op.add_column("feedback", sa.Column("consent", sa.Boolean, nullable=False, server_default=sa.false()))
    table = sa.table("feedback", sa.column("model"), sa.column("name"))
    connection = op.get_bind()
    for (model,) in connection.execute(sa.select(table.c.model).distinct()).all():
        name = model.rpartition("@")[0] or model
        connection.execute(table.update().where(table.c.model == model).values(name=name))
    op.create_index("feedback_model", "feedback", ["name", "time"])
    op.create_index("feedback_app", "feedback", ["app", "kind", "time"])
    op.create_index("feedback_time", "feedback", ["time"])
