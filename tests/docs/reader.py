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
    r"(?:^<!-- (?P<how>not run|stopped once|typed): (?P<note>[^\n]+) -->\n)?^```bash\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
WAIT_S = 300
"""How long a command may take until it can be stopped."""
_HEAD = 'head() { command head "$@"; if [ -p /dev/stdin ]; then cat > /dev/null; fi; }'


@dataclass(frozen=True)
class Block:
    """A comment before it says how it is followed, if not as it stands there.

    Attributes:
        line: of the page, where it begins.
        how: "not run", and `note` says why; "stopped once", for one command that goes on: when the command `note`
            succeeds, which finds in told.log what the other has written; "typed": `note` are the lines it is given.
    """

    line: int
    code: str
    how: str | None
    note: str | None

    def script(self) -> str:
        """What bash is given."""
        if self.how == "typed":
            lines = "\n".join((self.note or "").split())
            return f"{{\n{self.code}}} <<'TYPED'\n{lines}\nTYPED\n"
        if self.how == "stopped once":
            return (
                f"timeout {WAIT_S} {self.code.rstrip()} > told.log 2>&1 & goes_on=$!\n"
                f"until {self.note}; do kill -0 $goes_on || {{ cat told.log; exit 1; }}; sleep 0.2; done\n"
                "kill $goes_on; wait $goes_on || true; cat told.log\n"
            )
        return self.code


def blocks(page: Path) -> list[Block]:
    """The page's commands, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(text.count("\n", 0, found.start("code")) + 1, found["code"], found["how"], found["note"])
        for found in _BLOCK.finditer(text)
    ]


def script(page: Path) -> str:
    """All of them as one bash script that ends where one fails; it is no fault where `head` has had enough."""
    parts = ["set -euo pipefail", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT", _HEAD]
    for block in blocks(page):
        if block.how != "not run":
            parts += [f"echo '## {page.name}, line {block.line}' >&2", block.script()]
    return "\n".join(parts) + "\n"


def follow(page: Path, folder: Path, home: Path) -> str:
    """What the commands wrote; in `folder`, with a Keel home.

    Raises:
        AssertionError: one failed; with the end of what was written.
    """
    for name in OF_THE_CLONE:
        if not (folder / name).exists():
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
