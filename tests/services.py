"""Real services for `make test-services`, as fixtures: PostgreSQL and Redis in folders of their own, Chromium."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

CHROMIUM = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1100,900",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "services" in item.path.parts:
            item.add_marker(pytest.mark.services)


EITHER = ("sqlite", pytest.param("postgresql", marks=pytest.mark.services))
"""What the same tests run on: the one of them always, the other where services are."""


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """URL of an empty database on a server that ends with the tests."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        pytest.fail("no PostgreSQL here; run: make test-services")
    # Not in pytest's folder: another run of pytest closes that to all but its owner.
    with tempfile.TemporaryDirectory(prefix="keel-postgresql-") as folder:
        yield from _server(programs[-1], Path(folder))


def _server(programs: Path, folder: Path) -> Iterator[str]:
    # It refuses to run as root, so root steps down for it.
    account = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    as_user = {"user": account.pw_uid, "group": account.pw_gid} if account else {}
    if account:
        shutil.chown(folder, account.pw_uid, account.pw_gid)
    data, port = folder / "data", free_port()
    make = [programs / "initdb", "--pgdata", data, "--auth", "trust", "--username", "keel", "--encoding", "UTF8"]
    subprocess.run(make, check=True, capture_output=True, cwd=folder, **as_user)  # type: ignore[call-overload]
    control = [programs / "pg_ctl", "--pgdata", data, "--wait", "--silent"]
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    start = [*control, "--log", folder / "log", "-o", options, "start"]
    subprocess.run(start, check=True, stdout=subprocess.DEVNULL, cwd=folder, **as_user)  # type: ignore[call-overload]
    try:
        yield f"postgresql+psycopg://keel@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=True, cwd=folder, **as_user)  # type: ignore[call-overload]


def empty_database(kind: str, folder: Path, request: pytest.FixtureRequest) -> str:
    """URL of a database that nobody else has; `kind` is one of `EITHER`, and SQLite's lies in the folder."""
    name = f"keel_{uuid.uuid4().hex}"
    if kind == "sqlite":
        return f"sqlite:///{folder}/{name}.db"
    import sqlalchemy

    server: str = request.getfixturevalue("postgresql")
    engine = sqlalchemy.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return f"{server.rpartition('/')[0]}/{name}"


@pytest.fixture(params=EITHER)
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """URL of an empty database at each call; a test that takes it runs on both kinds."""
    return lambda: empty_database(request.param, tmp_path, request)


@pytest.fixture
def database_url(new_database: Callable[[], str]) -> str:
    """Of an empty database; a test that takes it runs on both kinds."""
    return new_database()


class RedisServer:
    """A Redis that loses nothing when it is killed."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        words = f"--port {self.port} --bind 127.0.0.1 --appendonly yes --appendfsync always --save"
        self._command = ["redis-server", *words.split(), "", "--dir", str(folder), "--logfile", str(folder / "log")]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        import redis

        self._process = subprocess.Popen(self._command)
        limit = time.monotonic() + 20
        while time.monotonic() < limit:
            try:
                redis.Redis(port=self.port).ping()
            except redis.ConnectionError:
                time.sleep(0.02)
            else:
                return
        pytest.fail("Redis does not answer")

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """Started, and gone after the test."""
    if not shutil.which("redis-server"):
        pytest.fail("no Redis here; run: make test-services")
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[object]:
    """Chromium, driven by Selenium."""
    from selenium import webdriver

    if not shutil.which("chromedriver"):
        pytest.fail("no Chromium here; run: make test-services")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    for argument in (*CHROMIUM, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    driver.set_page_load_timeout(30)
    yield driver
    driver.quit()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
