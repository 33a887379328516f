"""Several machines in small: the service, `letterbox beat` and two workers, each a process, over a real broker."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from app.cli import main
from app.emails.broker import Broker, build_celery, queue_name
from app.observability.metrics import Metrics
from app.storage.database import Database
from tests.brokers import RABBITMQ, REDIS, demand, remove_queue
from tests.conftest import TAKES_LONG, _postgresql, valid_request
from tests.smtp_server import PLAIN, SMTPServer
from tests.test_process import Running, running

ASYNC = {"Prefer": "respond-async"}
_SHORT_LEASE = """
from app.emails import record
# A dead worker's emails come back after 7 seconds instead of 30; the living renew every 5.
record._LEASE_MS = 7000
from app.cli import main
main()
"""


class Fleet:
    """The service over a broker; `start` adds a process to it."""

    def __init__(self, service: Running, environment: dict[str, str], directory: Path) -> None:
        self.service = service
        self.processes: list[subprocess.Popen[bytes]] = []
        self._environment = os.environ | environment
        self._directory = directory

    def start(self, command: str, **environment: str) -> "subprocess.Popen[bytes]":
        with (self._directory / f"{command}-{len(self.processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", _SHORT_LEASE, command], env=self._environment | environment, stderr=log
            )
        self.processes.append(process)
        return process

    @property
    def queue(self) -> str:
        """The name of its queue at the broker."""
        database = Database(self._environment["DATABASE_URL"])
        try:
            return queue_name(database)
        finally:
            database.close()

    def queue_one(self, **properties: Any) -> str:
        status, _, body = self.service.ask("POST", "/api/v1/emails", valid_request(**properties), ASYNC)
        assert status == 202, body
        return str(json.loads(body)["id"])

    def status_of(self, email_id: str) -> str:
        return str(json.loads(self.service.ask("GET", f"/api/v1/emails/{email_id}")[2])["status"])

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in self._directory.glob("*log"))


@contextmanager
def fleet(directory: Path, server: SMTPServer, broker_url: str, database_url: str) -> Iterator[Fleet]:
    configuration = {"Index": 1, "Host": "127.0.0.1", "Port": server.port, "Email": "web@example.com"}
    environment = {
        "VAR_DIR": str(directory),
        "DATABASE_URL": database_url,
        "CELERY_BROKER_URL": broker_url,
        "QUEUE_WORKERS": "2",
        "LOG_FORMAT": "json",
        "SMTP_CONFIGURATIONS": json.dumps([configuration | {"Auth": "none", "Security": "none"}]),
        "SMTP_RECEPTION_EMAIL": "office@example.com",
        # What the server says depends on the number of the session.
        "SMTP_WARM_SESSIONS": "false",
    }
    with running(directory, None, **environment) as service:
        it = Fleet(service, environment, directory)
        try:
            yield it
        finally:
            for process in it.processes:
                process.kill()
                process.wait()
    if broker_url in (RABBITMQ, REDIS):
        remove_queue(broker_url, it.queue)


def wait_until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    limit = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.05)


def taken(server: SMTPServer) -> Counter[str]:
    return Counter(str(message.parsed["X-Email-Id"]) for message in server.messages)


MakeFleet = Callable[[SMTPServer], Fleet]


@contextmanager
def assembling(broker_url: str, directory: Path) -> Iterator[MakeFleet]:
    """Gives a function that starts the service; each broker goes with another database."""
    demand(broker_url)
    with ExitStack() as stack:
        if broker_url == RABBITMQ:
            database_url = stack.enter_context(contextmanager(_postgresql)())
        else:
            database_url = f"sqlite:///{directory / 'letterbox.db'}"
        yield lambda server: stack.enter_context(fleet(directory, server, broker_url, database_url))


@pytest.fixture
def over_rabbitmq(tmp_path: Path) -> Iterator[MakeFleet]:
    with assembling(RABBITMQ, tmp_path) as make:
        yield make


@pytest.fixture
def over_redis(tmp_path: Path) -> Iterator[MakeFleet]:
    with assembling(REDIS, tmp_path) as make:
        yield make


@pytest.fixture(params=["over_rabbitmq", "over_redis"])
def over_each(request: pytest.FixtureRequest) -> MakeFleet:
    make: MakeFleet = request.getfixturevalue(request.param)
    return make


@TAKES_LONG
def test_with_one_of_two_workers_killed_nothing_is_lost_and_nothing_doubled(over_each: MakeFleet) -> None:
    with SMTPServer(PLAIN, delay_s=0.02) as server:
        fleet = over_each(server)
        fleet.start("beat")
        victim, survivor = fleet.start("worker"), fleet.start("worker")
        ids = [fleet.queue_one() for _ in range(30)]
        wait_until(lambda: len(server.messages) >= 8)
        victim.send_signal(signal.SIGKILL)
        statuses: dict[str, str] = {}

        def are_settled() -> bool:
            statuses.update((id, fleet.status_of(id)) for id in ids if statuses.get(id) not in ("Sent", "Uncertain"))
            return set(statuses.values()) <= {"Sent", "Uncertain"}

        wait_until(are_settled)
        accepted = taken(server)
        assert set(accepted.values()) == {1}
        uncertain = [id for id in ids if statuses[id] == "Uncertain"]
        # What the killed one was handing over may or may not have arrived; it had two threads.
        assert len(uncertain) <= 2
        assert set(ids) - set(uncertain) <= set(accepted) <= set(ids)
        survivor.send_signal(signal.SIGTERM)
        assert survivor.wait(timeout=30) == 0


def test_a_worker_finishes_what_it_is_sending_on_sigterm_and_takes_nothing_more(over_rabbitmq: MakeFleet) -> None:
    with SMTPServer(PLAIN, delay_s=0.2) as server:
        fleet = over_rabbitmq(server)
        worker = fleet.start("worker", QUEUE_WORKERS="1")
        ids = [fleet.queue_one() for _ in range(3)]
        wait_until(lambda: any("MAIL" in line for transcript in server.transcripts for line in transcript))
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=30) == 0
        assert sorted(fleet.status_of(id) for id in ids) == ["Queued", "Queued", "Sent"]
        assert len(server.messages) == 1


@TAKES_LONG
def test_beat_rings_for_retries_in_time_and_for_what_the_broker_has_lost(over_redis: MakeFleet) -> None:
    # The service signs in once when it starts; behind that comes the worker.
    with SMTPServer(PLAIN, scripts=[{}, {"MAIL": ["451 4.3.0 try later", None]}]) as server:
        fleet = over_redis(server)
        server.wait_until(lambda: server.connections == 1)
        lost = fleet.queue_one()
        broker = Broker(build_celery(REDIS, queue=fleet.queue), metrics=Metrics())
        wait_until(lambda: broker.waiting() == 1)
        broker.close()
        remove_queue(REDIS, fleet.queue)
        fleet.start("worker", QUEUE_WORKERS="1")
        urgent = fleet.queue_one(Priority="Urgent")
        wait_until(lambda: fleet.status_of(urgent) == "Deferred")
        began = time.monotonic()
        assert fleet.status_of(lost) == "Queued"
        fleet.start("beat")
        wait_until(lambda: {fleet.status_of(lost), fleet.status_of(urgent)} == {"Sent"})
        assert time.monotonic() - began < 15
        assert taken(server) == {lost: 1, urgent: 1}


def test_while_the_broker_is_away_requests_neither_fail_nor_wait(tmp_path: Path) -> None:
    url = "amqp://guest:canary@127.0.0.1:1//"
    with (
        SMTPServer() as server,
        fleet(tmp_path, server, url, f"sqlite:///{tmp_path / 'letterbox.db'}") as it,
    ):
        began = time.monotonic()
        ids = [it.queue_one() for _ in range(5)]
        assert time.monotonic() - began < 2
        assert it.service.ask("POST", "/api/v1/emails", valid_request())[0] == 201
        assert {it.status_of(id) for id in ids} == {"Queued"}
        wait_until(lambda: "the broker does not answer" in it.logs())
        assert "letterbox_broker_errors_total" in it.service.ask("GET", "/metrics")[2].decode()
        worker, beat = it.start("worker"), it.start("beat")
        wait_until(lambda: "Cannot connect to" in it.logs() and it.logs().count("the broker does not answer") == 2)
        for process in (worker, beat):
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 0
        assert "canary" not in it.logs()


@pytest.mark.parametrize("command", ["worker", "beat"])
def test_without_a_broker_the_command_says_what_to_set(command: str, tmp_path: Path) -> None:
    result = CliRunner(env={"CELERY_BROKER_URL": None, "VAR_DIR": str(tmp_path)}).invoke(main, [command])
    assert result.exit_code == 78
    assert "CELERY_BROKER_URL" in result.stderr
    assert "Traceback" not in result.stderr
