"""A version is whole or absent, and never changes unseen."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
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
