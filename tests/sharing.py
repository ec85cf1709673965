"""How tests are shared out among processes: a file each, the long ones first, and files of one toy together."""

from __future__ import annotations

from typing import Any

import pytest

LONG_FIRST = ("tests/system/", "tests/engine/", "tests/customer_service/")
"""Else a process is left with a long file at the end, and the others are idle."""
ONE_BOT = tuple(f"tests/customer_service/test_{name}.py" for name in ("api", "bot", "writer"))
"""They ask one toy bot, whose training takes a minute."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {start: place for place, start in enumerate(LONG_FIRST)}
    items.sort(key=lambda item: next((order[one] for one in LONG_FIRST if item.nodeid.startswith(one)), len(order)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler.loadfile import LoadFileScheduling

    class Sharing(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return ONE_BOT[0] if file in ONE_BOT else file

    return Sharing(config, log)
