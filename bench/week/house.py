"""House: Keel's commands on a home of its own, its server as a process, and callers with keys whose requests count."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from bench import server


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
        done = subprocess.run(
            server.command(program, *arguments), capture_output=True, text=True, env=self._environment
        )
        if done.returncode and check:
            raise RuntimeError(f"{program} {' '.join(arguments)}: {done.stderr[-2000:]}")
        return done.stderr if done.returncode else done.stdout

    def caller(self, name: str, role: str) -> Caller:
        """One with a key of their own, against the server that runs."""
        key = server.key("keel", name, "--role", role, environment=self._environment)
        return Caller(self._base, key, self.tally)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """`keel serve`, ready.

        Raises:
            RuntimeError: it lacks models.
        """
        with server.serving("keel", log=self.home / "serve.log", environment=self._environment) as running:
            told = httpx.get(f"{running.base}/readyz").json()["details"]
            if missing := {name for name, state in told.items() if state == "missing"}:
                raise RuntimeError(f"keel serve lacks the models of {', '.join(sorted(missing))}")
            self._base = running.base
            yield

    @property
    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name != "KEEL_DATABASE"}
        return {**kept, "KEEL_HOME": str(self.home)}
