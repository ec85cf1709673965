"""House: Keel's commands on a home of its own, its server as a process, and callers with keys whose requests count."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

PROGRAMS = {
    "engine": "engine.cli",
    "finance-monitor": "apps.finance_monitor.cli",
    "keel": "apps.console.cli",
    "recommender": "apps.recommender.cli",
    "support-bot": "apps.customer_service.cli",
}
PER_MINUTE = 10_000_000


@dataclass
class Tally:
    requests: int = 0
    faults: list[str] = field(default_factory=list)
    """Of requests that were refused or failed."""


class Caller:
    """One key over a connection that is kept."""

    def __init__(self, base: str, key: str, tally: Tally) -> None:
        self._tally = tally
        self._http = httpx.Client(base_url=base, headers={"Authorization": f"Bearer {key}"}, timeout=120)

    def get(self, path: str, **query: Any) -> Any:
        return self._asked("GET", path, params=query)

    def post(self, path: str, body: Any) -> Any:
        """What was answered; None: it failed, which is counted."""
        return self._asked("POST", path, json=body)

    def _asked(self, method: str, path: str, **more: Any) -> Any:
        self._tally.requests += 1
        try:
            answer = self._http.request(method, path, **more)
        except httpx.HTTPError as fault:
            self._tally.faults.append(f"{method} {path}: {type(fault).__name__} {fault}")
            return None
        if answer.is_error:
            self._tally.faults.append(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
            return None
        return answer.json()


class House:
    """
    Args:
        home: KEEL_HOME of every command and of the server; the database is in it.
    """

    def __init__(self, home: Path) -> None:
        self.home, self.tally = home, Tally()
        self._base = ""

    def run(self, program: str, *arguments: str, check: bool = True) -> str:
        """What a command writes on stdout; where it may fail, what it says of that.

        Raises:
            RuntimeError: it failed; with the end of what it said.
        """
        done = subprocess.run(_command(program, *arguments), capture_output=True, text=True, env=self._environment)
        if done.returncode and check:
            raise RuntimeError(f"{program} {' '.join(arguments)}: {done.stderr[-2000:]}")
        return done.stderr if done.returncode else done.stdout

    def caller(self, name: str, role: str) -> Caller:
        """One with a key of their own, against the server that runs."""
        made = json.loads(self.run("keel", "keys", "add", name, "--role", role, "--json"))
        return Caller(self._base, made["key"], self.tally)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """`keel serve`, ready."""
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = int(found.getsockname()[1])
        self._base = f"http://127.0.0.1:{port}"
        command = _command("keel", "serve", "--port", str(port), "--per-minute", str(PER_MINUTE))
        with (
            (self.home / "serve.log").open("a") as log,
            subprocess.Popen(command, env=self._environment, stdout=log, stderr=log) as server,
        ):
            try:
                self._wait_for(server)
                yield
            finally:
                server.terminate()
                server.wait(60)

    @property
    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name != "KEEL_DATABASE"}
        return {**kept, "KEEL_HOME": str(self.home)}

    def _wait_for(self, server: subprocess.Popen[bytes]) -> None:
        while server.poll() is None:
            try:
                told = httpx.get(f"{self._base}/readyz", timeout=60).raise_for_status().json()
            except httpx.HTTPError:
                time.sleep(0.5)
            else:
                if missing := {name for name, state in told["details"].items() if state == "missing"}:
                    raise RuntimeError(f"keel serve lacks the models of {', '.join(sorted(missing))}")
                return
        raise RuntimeError(f"keel serve ended: {(self.home / 'serve.log').read_text(encoding='utf-8')[-2000:]}")


def _command(program: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", f"from {PROGRAMS[program]} import main; main()", *arguments]
