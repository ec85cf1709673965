"""A version is whole or absent, and never changes unseen."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from engine.errors import InputError
from engine.store import Store, Version


def put(store: Store, name: str = "news", content: str = "weights") -> Version:
    with store.staging(name) as staged:
        (staged / "model").mkdir()
        (staged / "model" / "weights").write_text(content)
        return store.commit(name, staged, {"made": "now"})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


def test_versions_are_numbered_and_found_by_alias_number_and_name(store: Store) -> None:
    first, second = put(store), put(store)
    store.promote(first)
    store.promote(second, "candidate")
    assert [store.get(name) for name in ("news", "news@champion", "news@1")] == [first] * 3
    assert store.get("news@candidate") == second
    assert store.names() == ["news"]


@pytest.mark.parametrize("name", ["other", "news@7", "news@best", "../x", "news@", "NEWS"])
def test_what_is_not_there_is_an_error_that_lists_what_is(store: Store, name: str) -> None:
    put(store)
    with pytest.raises(InputError):
        store.get(name)


def test_verify_names_every_difference(store: Store) -> None:
    version = put(store)
    assert store.verify(version) == []
    (version.folder / "extra").write_text("?")
    (version.folder / "model" / "weights").write_text("tampered")
    assert [fault.split(": ")[1] for fault in store.verify(version)] == [
        "extra is not in the manifest",
        "model/weights has changed since it was stored",
    ]
    (version.folder / "model" / "weights").unlink()
    assert "news@1: model/weights is missing" in store.verify(version)
    (version.folder / "manifest.json").write_text("{")
    assert "manifest unreadable" in store.verify(version)[0]


def test_a_fault_while_staging_leaves_nothing(store: Store) -> None:
    def fail() -> None:
        with store.staging("news") as staged:
            (staged / "half").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert store.versions("news") == []
    assert [path.name for path in (store.root / "news").iterdir()] == []


def test_what_a_killed_process_left_is_no_version_and_is_cleared(store: Store) -> None:
    put(store)
    dead = os.fork()
    if dead == 0:
        os._exit(0)
    os.waitpid(dead, 0)
    left = store.root / "news" / f".unfinished-{dead}"
    left.mkdir()
    (left / "manifest.json").write_text("{}")
    assert [version.number for version in store.versions("news")] == [1]
    put(store)
    assert not left.exists()


def test_rollback_goes_back_champion_by_champion(store: Store) -> None:
    versions = [put(store) for _ in range(3)]
    for version in versions:
        store.promote(version)
    assert store.rollback("news") == versions[1]
    assert store.rollback("news") == versions[0] == store.get("news")
    with pytest.raises(InputError, match="no earlier champion"):
        store.rollback("news")


def test_promotions_at_the_same_time_lose_nothing(store: Store) -> None:
    versions = [put(store) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda version: store.promote(version, f"alias-{version.number}"), versions))
    assert store.aliases("news") == {f"alias-{version.number}": version.number for version in versions}


def test_the_manifest_hashes_every_file(store: Store) -> None:
    manifest = json.loads((put(store).folder / "manifest.json").read_text())
    assert list(manifest["files"]) == ["model/weights"]
    assert manifest["made"] == "now"


def crashed(work: Callable[[], object], folder: Path, point: int) -> bool:
    """Do the work in a process that kills itself before its step number `point` on the disk; whether it came so far."""
    process = os.fork()
    if process == 0:
        left = point

        def dies(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            if event in ("open", "os.rename", "os.remove") and str(arguments[0]).startswith(str(folder)):
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(dies)
        work()
        os._exit(0)
    return os.waitpid(process, 0)[1] == signal.SIGKILL


@pytest.mark.parametrize("way", ["promote", "rollback"])
def test_killed_at_any_step_the_champion_is_the_one_or_the_other_and_the_next_call_does_it(
    tmp_path: Path, way: str
) -> None:
    for point in count():
        store = Store(tmp_path / f"{way}-{point}")
        first, second = put(store), put(store)
        store.promote(first)
        before, after = [1], [1, 2]
        work: Callable[[], object] = partial(store.promote, second)
        if way == "rollback":
            store.promote(second)
            before, after, work = [1, 2], [1, 2, 1], partial(store.rollback, "news")
        died = crashed(work, store.root, point)
        changes = [change.number for change in store.changes("news")]
        assert changes in (before, after)
        assert store.get("news").number == changes[-1]
        assert store.names() == ["news"]
        assert [fault for version in store.versions("news") for fault in store.verify(version)] == []
        if changes == before:
            work()
        assert [change.number for change in store.changes("news")] == after
        if not died:
            break
    assert point > 2


def test_a_store_from_before_changes_were_written_goes_back_to_what_it_had(store: Store) -> None:
    first, second = put(store), put(store)
    (store.root / "news" / "aliases.json").write_text('{"champion": 1}')
    store.promote(second)
    assert store.rollback("news") == first


def test_the_champions_of_an_earlier_stores_history_are_gone_back_to_one_by_one(store: Store) -> None:
    first, second, third = put(store), put(store), put(store)
    (store.root / "news" / "aliases.json").write_text('{"champion": 3}')
    former = store.root / "news" / "champions.jsonl"
    former.write_text('{"number": 1}\n{"number": 2}\n{"number": 3}\n')  # as a promotion that was killed left it
    assert [change.number for change in store.changes("news")] == [1, 2, 3]
    assert store.rollback("news") == second
    former.unlink()
    assert store.rollback("news") == first
    store.promote(third)
    assert [(change.number, change.way) for change in store.changes("news")][-2:] == [
        (1, "rolled back"), (3, "promoted"),
    ]  # fmt: skip
