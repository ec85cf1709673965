"""A file of users and items is scored as the library scores them, and nothing of it is lost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from apps.recommender import batch
from apps.recommender.batch import score_file
from apps.recommender.ranker import Recommender
from engine.errors import DataError, InputError

LATE = "2026-03-01T00:00:00Z"
ITEMS = [f"{taste}-{number}" for taste in range(4) for number in range(12)]


@pytest.fixture(autouse=True)
def _home(session_home: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEL_HOME", str(session_home))


def asked(rows: int = 60) -> pd.DataFrame:
    random = np.random.default_rng(3)
    users = [f"u{number}" for number in random.integers(0, 9, rows)]
    return pd.DataFrame({"user_id": users, "item_id": random.choice(ITEMS, rows)})


def written(frame: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        frame.to_parquet(path, row_group_size=7)
    elif path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_json(path, orient="records", lines=True)
    return path


def read(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path) if path.suffix == ".csv" else pd.read_json(path, lines=True)


@pytest.mark.parametrize("source", [".parquet", ".csv", ".jsonl"])
@pytest.mark.parametrize("target", [".parquet", ".csv", ".jsonl"])
def test_every_row_has_the_score_it_has_alone(
    recommender: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, target: str
) -> None:
    monkeypatch.setattr(batch, "ROWS", 16)  # so that users and batches cross
    frame = asked(20)
    counts = score_file(recommender, written(frame, tmp_path / f"in{source}"), tmp_path / f"out{target}")
    found = read(tmp_path / f"out{target}")
    assert list(found.columns) == ["user_id", "item_id", "score"]
    assert found[["user_id", "item_id"]].astype(object).equals(frame.astype(object))
    alone = [
        recommender.score([user], [[item]])["score"].iloc[0]
        for user, item in zip(frame["user_id"], frame["item_id"], strict=True)
    ]
    if target == ".jsonl":
        assert found["score"].to_numpy() == pytest.approx(alone, abs=1e-12)
    else:
        assert found["score"].tolist() == alone
    assert (counts.scored, counts.refused, counts.rejected) == (20, 0, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([f"in{source}", f"out{target}"])


@pytest.mark.parametrize("kind", [".parquet", ".csv", ".jsonl"])
def test_bad_rows_are_dead_letters_with_their_reasons(recommender: Recommender, tmp_path: Path, kind: str) -> None:
    rows = [
        ("u1", "0-1", LATE),
        (None, "0-1", LATE),
        ("u1", "gone", LATE),
        ("u1", None, LATE),
        ("u1", "0-1", "soon"),
        ("u1", "0-1", "2026-01-01T00:00:00Z"),
        ("stranger", "0-1", "2026-01-01T00:00:00Z"),
        ("u1", "0-1", LATE),
    ]
    source = written(pd.DataFrame(rows, columns=["user_id", "item_id", "datetime"]), tmp_path / f"in{kind}")
    if kind != ".parquet":
        with source.open("a", encoding="utf-8") as stream:
            stream.write("[1]\n")
    counts = score_file(recommender, source, tmp_path / "out.csv")
    found = read(tmp_path / "out.csv")
    assert found["user_id"].tolist() == ["u1", "stranger", "u1"]
    assert found["score"].iloc[0] == found["score"].iloc[2], "an item given twice is scored twice"
    assert (counts.scored, counts.strangers, counts.refused) == (3, 1, 5 + (kind != ".parquet"))
    assert counts.rejected == tmp_path / "out.rejected.jsonl"
    dead = [json.loads(line) for line in counts.rejected.read_text(encoding="utf-8").splitlines()]
    assert sum(counts.reasons.values()) == counts.refused == len(dead)
    told = " ".join(one["reason"] for one in dead)
    for words in ("'user_id'", "'gone'; it is not in the catalogue", "'soon'", "history goes on after it"):
        assert words in told
    first = 2 if kind == ".csv" else 1
    assert {one["line"] for one in dead} >= {first + row for row in (1, 2, 3, 4, 5)}


def test_numbers_as_ids_stay_as_they_are_beside_a_gap(recommender: Recommender, tmp_path: Path) -> None:
    frame = pd.DataFrame({"user_id": pd.array([7, None], "Int64"), "item_id": ["0-1", "0-2"]})
    score_file(recommender, written(frame, tmp_path / "in.parquet"), tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()[1].startswith("7,0-1,")


@pytest.mark.parametrize("kind", [".parquet", ".csv"])
def test_a_table_without_rows_gives_one_without_rows(recommender: Recommender, tmp_path: Path, kind: str) -> None:
    counts = score_file(recommender, written(asked(0), tmp_path / f"in{kind}"), tmp_path / f"out{kind}")
    assert counts.scored == counts.refused == 0
    assert list(read(tmp_path / f"out{kind}").columns) == ["user_id", "item_id", "score"]


def test_what_is_no_table_of_users_and_items_leaves_nothing_behind(recommender: Recommender, tmp_path: Path) -> None:
    good = written(asked(3), tmp_path / "in.csv")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no more")
    (tmp_path / "torn.csv").write_text('user_id,item_id\nu1,0-1\nu1,"0-2\n', encoding="utf-8")
    (tmp_path / "empty.csv").write_text("", encoding="utf-8")
    (tmp_path / "latin.csv").write_bytes("user_id,item_id\nuè,0-1\n".encode("latin-1"))
    before = sorted(tmp_path.iterdir())
    for source, target, fault in [
        ("in.csv", "out.xlsx", "out.xlsx: tables end in"),
        ("none.csv", "out.csv", "none.csv: no such file"),
        ("in.csv", "in.csv", "would replace"),
        ("empty.csv", "out.csv", "empty"),
        ("broken.parquet", "out.csv", "no whole Parquet file"),
        ("torn.csv", "out.csv", "close the quotes"),
        ("latin.csv", "out.csv", "not UTF-8"),
    ]:
        with pytest.raises((InputError, DataError), match=fault):
            score_file(recommender, tmp_path / source, tmp_path / target)
    written(asked(3).rename(columns={"item_id": "item"}), tmp_path / "named.csv")
    with pytest.raises(InputError, match="no column 'item_id'; it has user_id"):
        score_file(recommender, tmp_path / "named.csv", tmp_path / "out.csv")
    assert sorted(tmp_path.iterdir()) == sorted([*before, tmp_path / "named.csv"])
    assert good.read_text(encoding="utf-8").count("\n") == 4
