"""Reader: does what a page says, line by line, in a fresh folder that looks like the clone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
OF_THE_CLONE = ("data", "recipes", "deploy.env.example")
"""What commands read of it."""
_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+) -->\n)?^```bash\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
_HEAD = 'head() { command head "$@"; if [ -p /dev/stdin ]; then cat > /dev/null; fi; }'


@dataclass(frozen=True)
class Block:
    line: int
    """Of the page, where it begins."""
    code: str
    reason: str | None
    """Why nobody runs it here."""


def blocks(page: Path) -> list[Block]:
    """The page's commands, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(text.count("\n", 0, found.start("code")) + 1, found["code"], found["reason"])
        for found in _BLOCK.finditer(text)
    ]


def script(page: Path) -> str:
    """All of them as one bash script that ends where one fails; it is no fault where `head` has had enough."""
    parts = ["set -euo pipefail", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT", _HEAD]
    for block in blocks(page):
        if block.reason is None:
            parts += [f"echo '## {page.name}, line {block.line}' >&2", block.code]
    return "\n".join(parts) + "\n"


def follow(page: Path, folder: Path, home: Path) -> str:
    """What the commands wrote; in `folder`, with a Keel home.

    Raises:
        AssertionError: one failed; with the end of what was written.
    """
    for name in OF_THE_CLONE:
        (folder / name).symlink_to(ROOT / name)
    own = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-c", script(page)],
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{own}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "KEEL_HOME": str(home),
            "HF_HUB_OFFLINE": "1",
            "COLUMNS": "120",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert "Traceback" not in done.stdout, done.stdout[-6000:]
    return done.stdout
