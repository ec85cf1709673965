"""Readers: files as others publish them, and files that are broken."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from apps.recommender.readers import read, sequences
from apps.recommender.splits import leave_last_out
from engine.errors import DataError, InputError

NEWS = (
    "n1\tsport\ttennis\tA final\tFive sets\thttp://x\t[]\t[]\nn2\tnews\tworld\tA vote\t\thttp://y\t[]\t[]\nn3\tnews\n"
)
BEHAVIOURS = (
    "1\tann\t11/15/2019 8:55:22 PM\tn1 n2\tn2-0 n1-1\n"
    "2\tbob\t11/14/2019 8:00:00 AM\t\tn1-1 n2-1\n"
    "3\tann\t11/13/2019 1:00:00 AM\tn1 n2\tn1-0 n2-0\n"
    "4\tcid\tyesterday\t\tn1-1\n"
    "5\tcid\t11/14/2019 8:00:00 AM\t\tn1\n"
)


def write(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        (folder / name.replace("_", ".", 1)).write_text(content, encoding="utf-8")
    return folder


def test_mind_gives_items_clicks_in_order_and_lists_as_shown(tmp_path):
    found = read(write(tmp_path, news_tsv=NEWS, behaviors_tsv=BEHAVIOURS))
    assert found.items is not None
    assert found.items.texts() == ["A final. Five sets", "A vote"]
    ann = found.events.history("ann")
    assert [event.item_id for event in ann] == ["n1", "n2", "n1"]
    assert [f"{event.time:%d %H:%M:%S}" for event in ann if event.time] == ["13 00:59:58", "13 00:59:59", "15 20:55:22"]
    lists = found.lists
    assert lists is not None
    assert lists.as_of is not None
    assert list(lists.user_ids) == ["ann", "bob", "ann"]
    assert list(lists.gains) == [0, 0, 1, 1, 0, 1]
    assert list(lists.item_ids) == ["n1", "n2", "n1", "n2", "n2", "n1"]
    assert str(lists.as_of[0]) == "2019-11-13T01:00:00.000000"
    assert [(Path(one.file).name, one.line) for one in found.dead] == [
        ("news.tsv", 3),
        ("behaviors.tsv", 4),
        ("behaviors.tsv", 5),
    ]
    assert "2 fields where 8 should stand" in found.dead[0].reason
    assert "'datetime': 'yesterday'; write %m/%d/%Y" in found.dead[1].reason


def test_recbole_reads_types_from_the_header_and_keeps_other_fields_as_features(tmp_path):
    write(
        tmp_path,
        shop_inter="user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        "7\ta\t4\t1600000100\n7\tb\t5\t1600000000\n8\tc\tfive\t1600000000\n8\t\t1\t1600000000\n9\ta\t1\t1600000000000\n",
        shop_item="item_id:token\tmovie_title:token_seq\tclass:token_seq\tyear:float\n"
        "a\tThe end\tDrama War\t1990\nb\tHome, again\tComedy\t\nb\tTwice\tComedy\t1\n",
        shop_user="user_id:token\tage:float\tjob:token\n7\t30\tcook\n",
    )
    found = read(tmp_path)
    assert [(one.item_id, one.weight) for one in found.events.history("7")] == [("b", 5.0), ("a", 4.0)]
    assert found.items is not None
    assert found.users is not None
    assert found.items.texts() == ["The end. Drama War", "Home, again. Comedy"]
    assert found.items.frame["year"].tolist()[0] == 1990
    assert found.users.loc["7"].to_dict() == {"age": 30.0, "job": "cook"}
    told = sorted((Path(one.file).suffix, one.line, one.reason.split("'")[1]) for one in found.dead)
    assert told == [
        (".inter", 4, "rating"),
        (".inter", 5, "item_id"),
        (".inter", 6, "timestamp"),
        (".item", 4, "item_id"),
    ]


def test_sequences_without_times_split_into_what_came_before_and_what_came_last(tmp_path):
    write(
        tmp_path,
        games_inter="user_id:token\titem_id_list:token_seq\titem_id:token\n0\t5\t3\n0\t5 3\t9\n1\t2\t4\n2\t1 5 3\t2\n",
    )
    found = read(tmp_path / "games.inter")
    assert not found.events.timed
    assert [event.item_id for event in found.events.history("0")] == ["5", "3", "9"]
    split = leave_last_out(found.events)
    assert sequences.targets(split.test) == {"0": "9", "2": "2"}
    assert split.protocol.left_out == ("1 users with fewer than 3 events (they are learnt from)",)
    lists = tmp_path / "games.random"
    lists.write_text("2 7 8 2 1\n0 7 8 1 4\n")
    candidates = sequences.candidates(lists, sequences.targets(split.test), 3)
    assert [list(candidates.item_ids[candidates.rows(n)]) for n in (0, 1)] == [["2", "7", "8"], ["1", "7", "8", "9"]]
    assert candidates.wanted.tolist() == [1, 1]
    lists.write_text("1 7 8 9\n")
    with pytest.raises(DataError, match="line 1: user 1 has no target"):
        sequences.candidates(lists, sequences.targets(split.test), 3)


@pytest.mark.parametrize("kind", ["csv", "dat"])
def test_movielens_in_both_its_forms_is_the_same(tmp_path, kind):
    ratings = [("1", "10", "4.5", "964982703"), ("1", "20", "3", "964981247"), ("2", "10", "none", "964981247")]
    movies = [("10", "Grumpier, Old (1995)", "Comedy|Romance"), ("20", "Los niños", "(no genres listed)")]
    if kind == "csv":
        lines = ["userId,movieId,rating,timestamp", *(",".join(one) for one in ratings)]
        titles = ["movieId,title,genres", *(f'{one},"{title}",{genres}' for one, title, genres in movies)]
    else:
        lines, titles = ["::".join(one) for one in ratings], ["::".join(one) for one in movies]
    (tmp_path / f"ratings.{kind}").write_text("\n".join(lines) + "\n")
    (tmp_path / f"movies.{kind}").write_text("\n".join(titles), encoding="latin-1")
    found = read(tmp_path)
    assert [(one.item_id, one.event, one.weight) for one in found.events.history("1")] == [
        ("20", "rating", 3.0),
        ("10", "rating", 4.5),
    ]
    assert found.items is not None
    assert found.items.texts() == ["Grumpier, Old (1995). Comedy, Romance", "Los niños"]
    assert [one.line for one in found.dead] == [4 if kind == "csv" else 3]


EVENTS = [
    {"user_id": "u", "item_id": "b", "event": "click", "weight": 1.0, "datetime": "2026-03-02T08:15:00Z"},
    {"user_id": "u", "item_id": "a", "event": "buy", "weight": 5.0, "datetime": "2026-03-02T08:00:00+01:00"},
]
BROKEN = [
    {"user_id": "", "item_id": "b", "event": "click", "weight": 1.0, "datetime": "2026-03-02T08:15:00Z"},
    {"user_id": "u", "item_id": "b", "event": "click", "weight": 1.0, "datetime": "2026-03-02T08:15:00"},
    {"user_id": "u", "item_id": "b", "event": "click", "weight": "much", "datetime": "2026-03-02T08:15:00Z"},
]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_tables_of_three_kinds_are_the_same_and_lose_no_broken_row(tmp_path, suffix):
    path = tmp_path / f"events.{suffix}"
    frame = pd.DataFrame([*EVENTS, *BROKEN])
    if suffix == "jsonl":
        path.write_text("\n".join(map(json.dumps, [*EVENTS, *BROKEN])) + '\n{"user_id": "u", "it\n')
    elif suffix == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.astype(str).to_parquet(path)
    (tmp_path / "items.csv").write_text("item_id,title\na,One\nb,Two\n")
    found = read(tmp_path)
    assert [(one.item_id, one.event, one.weight) for one in found.events.history("u")] == [
        ("a", "buy", 5.0),
        ("b", "click", 1.0),
    ]
    assert found.items is not None
    assert len(found.items) == 2
    first = 2 if suffix == "csv" else 1
    lines = sorted(one.line - first for one in found.dead)
    assert lines == ([2, 3, 4, 5] if suffix == "jsonl" else [2, 3, 4])
    assert any("with its zone" in one.reason for one in found.dead)


def test_events_without_times_are_read_in_their_order(tmp_path):
    (tmp_path / "events.csv").write_text("user_id,item_id\nu,b\nu,a\n")
    found = read(tmp_path / "events.csv")
    assert not found.events.timed
    assert [one.item_id for one in found.events.history("u")] == ["b", "a"]


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({"a.inter": "user_id\titem_id\n1\t2\n"}, "'user_id' names no type"),
        ({"a.inter": "user_id:token\tthing:token\n1\t2\n"}, "no column 'item_id'"),
        ({"a.inter": ""}, "no column 'user_id'|names no type|empty"),
        ({"a.inter": "user_id:token\titem_id:token\n1\n"}, "no row can be used; line 2: 1 fields where 2"),
        ({"a.inter": "", "b.inter": ""}, "2 .inter files"),
        ({"events.csv": "user,item\n1,2\n"}, "no column 'user_id'"),
        ({"events.csv": 'user_id,item_id\n1,"2\n'}, "close the quotes"),
        ({"events.parquet": "no"}, "no Parquet file"),
        ({"other.txt": ""}, "of no known format"),
    ],
)
def test_what_cannot_be_read_names_file_and_remedy(tmp_path, files, fault):
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=fault):
        read(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "missing")
