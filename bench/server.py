"""Server: one of Keel's programs, serving in a process of its own, and keys for it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

PROGRAMS = {
    "engine": "engine.cli",
    "finance-monitor": "apps.finance_monitor.cli",
    "keel": "apps.console.cli",
    "recommender": "apps.recommender.cli",
    "support-bot": "apps.customer_service.cli",
}
ENDS_S = 60
"""Seconds that a server is given to finish what it has been asked."""


@dataclass(frozen=True)
class Server:
    """
    Attributes:
        process: its id.
    """

    port: int
    process: int

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def command(program: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", f"from {PROGRAMS[program]} import main; main()", *arguments]


def key(program: str, name: str, *arguments: str, environment: Mapping[str, str] = os.environ) -> str:
    """A new key."""
    asked = command(program, "keys", "add", name, *arguments, "--json")
    made = subprocess.run(asked, capture_output=True, text=True, check=True, env=environment)
    return str(json.loads(made.stdout)["key"])


@contextmanager
def serving(program: str, *arguments: str, log: Path, environment: Mapping[str, str] = os.environ) -> Iterator[Server]:
    """`PROGRAM serve`, ready; no limit of requests a minute is reached.

    Args:
        log: file that what it says is added to.

    Raises:
        RuntimeError: it ended before it was ready; with the end of what it said.
    """
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = int(found.getsockname()[1])
    asked = command(program, "serve", "--port", str(port), "--per-minute", "10000000", *arguments)
    with log.open("a") as out, subprocess.Popen(asked, env=environment, stdout=out, stderr=out) as process:
        server = Server(port, process.pid)
        try:
            _wait_for(server, process, log)
            yield server
        finally:
            process.terminate()
            process.wait(ENDS_S)


def _wait_for(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    while process.poll() is None:
        try:
            httpx.get(f"{server.base}/readyz", timeout=60).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(f"the server ended before it was ready: {log.read_text(encoding='utf-8')[-2000:]}")
