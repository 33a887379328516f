"""What the guards' tests share: a clock that stands still, a Redis server of their own, a gate."""

import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest
import redis

from app.guards.gate import Gate, build_gate
from app.observability.metrics import Metrics
from app.settings import GuardSettings
from app.storage.database import Database
from app.storage.tables import metadata
from tests.neighbours import program


class StandingClock:
    """The time is what the test says; `now` alone may be set back, `passed_s` only grows."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 7, 12, 0, tzinfo=UTC)
        self.passed_s = 1_000.0

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.passed_s += seconds

    def monotonic(self) -> float:
        return self.passed_s


class RedisServer:
    """A private Redis on a free port, which can be stopped and started again, empty."""

    def __init__(self, directory: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self.client = redis.Redis(port=self.port)

    @property
    def uri(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self._process = subprocess.Popen(
            ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no"],
            cwd=self._directory,
            stdout=subprocess.DEVNULL,
        )
        # PING is retried by the client until the server listens.
        self.client.ping()

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class MakeGate(Protocol):
    """Builds a gate; the keywords are those of GuardSettings."""

    def __call__(self, **settings: Any) -> Gate: ...


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'guards.db'}")
    database.write(metadata.create_all)
    yield database
    database.close()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    program("redis-server")
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_uri(redis_server: RedisServer) -> str:
    """The URI of a Redis that runs and is empty."""
    redis_server.client.flushall()
    return redis_server.uri


@pytest.fixture(params=["memory", "redis"])
def storage_uri(request: pytest.FixtureRequest) -> str:
    """Once each storage that the service is used with."""
    return "memory://" if request.param == "memory" else str(request.getfixturevalue("redis_uri"))


@pytest.fixture
def make_gate(clock: StandingClock, database: Database, metrics: Metrics) -> Iterator[MakeGate]:
    gates: list[Gate] = []

    def make(**settings: Any) -> Gate:
        gate = build_gate(
            GuardSettings(**settings), database=database, metrics=metrics, clock=clock, now=clock.monotonic
        )
        gates.append(gate)
        return gate

    yield make
    for gate in gates:
        gate.close()
