"""`make docs-test`: a reader who gives every command of the documents, in order, comes through."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.docs.reader import DOCS, follow

pytestmark = pytest.mark.docs
NEWS = ("finance-news", "finance-names", "finance-company")
PAGES = sorted(
    page.relative_to(DOCS).as_posix() for page in [DOCS / "tutorial.md", *DOCS.glob("how-to/*.md")]
)  # fmt: skip
MADE = Path(os.environ.get("KEEL_HOME", "")) / "models"
"""Where `make demo` has left its models."""


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_works(page: str, tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "clone"
    folder.mkdir()
    if page.endswith("finance-monitor.md"):
        for name in NEWS:  # six minutes' training, if the demo has not done it
            if (MADE / name).is_dir():
                shutil.copytree(MADE / name, home / "models" / name)
    told = follow(DOCS / page, folder, home)
    if page == "tutorial.md":
        answers = [json.loads(line) for line in told.splitlines() if line.startswith('{"text"')]
        assert answers
        assert {answer["model"] for answer in answers} >= {"workshop@1", "workshop@2"}
