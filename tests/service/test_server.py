"""A real server that is told to end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx

from engine.resources import packaged
from tests.services import free_port

WAIT_S = 60.0


def test_what_runs_when_the_server_is_told_to_end_is_answered_and_nothing_else_is_begun(tmp_path: Path) -> None:
    port, answers = free_port(), []
    command = [sys.executable, "-m", "tests.service.waiting", str(port), f"sqlite:///{tmp_path}/keys.db"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, cwd=packaged(), **pipes) as server:  # type: ignore[call-overload]
        base = f"http://127.0.0.1:{port}"
        until_answered(f"{base}/readyz", server)
        client = threading.Thread(target=lambda: answers.append(httpx.get(f"{base}/line", timeout=WAIT_S)))
        client.start()
        assert server.stdout.readline() == "asked\n"
        server.send_signal(signal.SIGTERM)
        until_refused(f"{base}/healthz")
        assert server.poll() is None
        said, errors = server.communicate("the line\n", timeout=WAIT_S)
        client.join()
    assert (answers[0].status_code, answers[0].json()) == (200, "the line\n")
    assert server.returncode == -signal.SIGTERM, "whoever sent the signal sees that it was heeded"
    assert said == ""
    routes = [json.loads(line).get("route") for line in errors.splitlines()]
    assert routes[-1] == "/line"


def until_answered(url: str, server: subprocess.Popen[str]) -> None:
    end = time.monotonic() + WAIT_S
    while server.poll() is None and time.monotonic() < end:
        try:
            httpx.get(url).raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(0.05)
    raise AssertionError(f"no answer; the server ended with {server.poll()}")


def until_refused(url: str) -> None:
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        try:
            httpx.get(url)
        except httpx.TransportError:
            return
        time.sleep(0.02)
    raise AssertionError("new requests are still answered")
