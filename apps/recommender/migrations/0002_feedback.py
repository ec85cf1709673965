"""Clicks and purchases in lists as feedback: a view, for the logbook keeps them already. `engine.feedback` reads it."""

from alembic import op

revision = "0002"
down_revision = "0001"

VIEW = """
CREATE VIEW feedback_recommender AS
SELECT
    'recommender ' || entry.tenant || ' ' || entry.id AS id, entry.time AS time, entry.tenant AS tenant,
    {model} AS model, entry.subject AS subject, {item} AS text, list.data AS said,
    CAST(NULL AS FLOAT) AS verdict, CAST(NULL AS TEXT) AS correction, 'recommender' AS app, {event} AS kind,
    entry.subject AS rater, {consent} AS consent, {name} AS name
FROM recommender_entries AS entry
JOIN recommender_lists AS list ON list.tenant = entry.tenant AND list.id = {list}
WHERE entry.kind = 'interaction' AND {event} IN ('click', 'purchase')
"""


def upgrade() -> None:
    server = op.get_bind().dialect.name == "postgresql"

    def inside(table: str, name: str) -> str:
        return f"({table}.data::json ->> '{name}')" if server else f"json_extract({table}.data, '$.{name}')"

    model, consent = inside("list", "model"), inside("entry", "consent")
    op.execute(
        VIEW.format(
            model=model,
            item=inside("entry", "item"),
            event=inside("entry", "event"),
            list=inside("entry", "list"),
            consent=f"COALESCE({consent}::boolean, true)" if server else f"COALESCE({consent}, 1)",
            name=f"split_part({model}, '@', 1)" if server else f"substr({model}, 1, instr({model} || '@', '@') - 1)",
        )
    )
