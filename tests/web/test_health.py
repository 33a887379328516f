"""What `/health` says, and whether it is true: of a healthy service, and under each fault."""

import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection
from werkzeug.test import TestResponse

from app.emails import health, record
from app.emails.health import HealthMonitor
from app.emails.office import Office
from app.emails.queue import deliver_one
from app.errors import RecordUnavailable
from app.model.clock import utc_now
from app.storage import queue, trial
from tests.conftest import MakeService, Service, valid_request
from tests.database_trouble import EVERY_TROUBLE, NO_READS, Trouble, be_impatient, postgresql_stuck
from tests.smtp_server import Drop, SMTPServer

ASYNC = {"Prefer": "respond-async"}
READY = {
    "status": "ready",
    "checks": {
        "database": {"ok": True, "detail": "The database answers and takes writes."},
        "queue": {"ok": True, "detail": "No email is due.", "oldestDueSeconds": None},
        "smtp": {"ok": True, "detail": "1 of 1 SMTP configurations can be used."},
    },
}


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is believed from one question to the next."""
    monkeypatch.setattr(health, "_KNOWN_FOR_S", 0.0)
    monkeypatch.setattr(health, "_TRIAL_EVERY_S", 0.0)


def ready(service: Service) -> TestResponse:
    return service.client.get("/health/ready")


def checks(answer: TestResponse) -> dict[str, Any]:
    assert answer.json is not None
    found: dict[str, Any] = answer.json["checks"]
    return found


def trouble_in(answer: TestResponse) -> set[str]:
    """The checks that failed, which the status has to agree with."""
    assert answer.json is not None
    failed = {name for name, check in checks(answer).items() if not check["ok"]}
    expected = (503, "not ready") if failed else (200, "ready")
    assert (answer.status_code, answer.json["status"]) == expected
    return failed


def test_a_fresh_service_is_alive_and_ready(service: Service) -> None:
    live = service.client.get("/health/live")
    assert (live.status_code, live.json) == (200, {"status": "live"})
    answer = ready(service)
    assert (answer.status_code, answer.json) == (200, READY)
    for each in (live, answer):
        assert each.headers["Cache-Control"] == "no-store"
        assert "api-supported-versions" not in each.headers


def test_monitors_are_not_counted_and_not_shut_out(make_service: MakeService) -> None:
    guards = {"rate_limit_enabled": True, "rate_limit": "1 per minute", "burst_limit": 3}
    service = make_service(guards=guards)
    answers = [service.client.get(path) for path in ("/health/live", "/health/ready", "/test") * 10]
    assert {answer.status_code for answer in answers} == {200}
    assert not any("RateLimit" in answer.headers for answer in answers)
    assert [service.post().status_code for _ in range(4)] == [201, 429, 403, 403]
    assert ready(service).status_code == 200


@pytest.mark.usefixtures("forgetful")
@EVERY_TROUBLE
def test_a_database_in_trouble_shows_until_it_is_over(
    make_service: MakeService, database_url: str, trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    be_impatient(monkeypatch)
    service = make_service(database_url=database_url)
    assert trouble_in(ready(service)) == set()
    with trouble(service.app.extensions["letterbox"]):
        answer = ready(service)
        assert service.client.get("/health/live").status_code == 200
    assert trouble_in(answer) == ({"database", "queue"} if trouble in NO_READS else {"database"})
    assert trouble_in(ready(service)) == set()


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize(("database_url", "trouble"), [("postgresql", postgresql_stuck)], indirect=["database_url"])
def test_a_database_that_hangs_does_not_hold_the_monitors(
    make_service: MakeService, database_url: str, trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The database gives up after 5 seconds, as it comes.
    monkeypatch.setattr(health, "_PATIENCE_S", 0.02)
    service = make_service(database_url=database_url)
    ready(service)
    answers: list[TestResponse] = []
    threads = [threading.Thread(target=lambda: answers.append(ready(service))) for _ in range(8)]
    with trouble(service.app.extensions["letterbox"]):
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.monotonic() - began < 2, "none has waited for the database to give up"
    assert len(answers) == 8
    for answer in answers:
        assert trouble_in(answer) == {"database", "queue"}
        assert checks(answer)["database"]["detail"] == "The database takes too long to answer."


@pytest.mark.usefixtures("forgetful")
@EVERY_TROUBLE
def test_the_cause_is_in_the_log_once_and_not_in_the_answer(
    make_service: MakeService,
    database_url: str,
    trouble: Trouble,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    be_impatient(monkeypatch)
    service = make_service(database_url=database_url.replace("//127", "//root:hunter2@127"))
    with trouble(service.app.extensions["letterbox"]):
        answers = [ready(service).text for _ in range(3)]
    ready(service)
    told = [entry.getMessage() for entry in caplog.records if entry.name == "app.emails.health"]
    assert len(told) == 2
    assert "not ready" in told[0]
    assert "OperationalError" in told[0] or "InternalError" in told[0] or "psycopg" in told[0]
    assert "ready again" in told[1]
    assert "hunter2" not in caplog.text
    for answer in answers:
        for secret in ("Error", "sqlite", "postgresql", "psycopg", "INSERT", "127.0.0.1", "hunter2"):
            assert secret not in answer


@pytest.mark.usefixtures("forgetful")
def test_the_trial_leaves_nothing_behind(make_service: MakeService) -> None:
    service = make_service()
    office: Office = service.app.extensions["letterbox"]

    def names() -> list[str]:
        query = "SELECT name FROM service_state"
        return list(office.database.read(lambda connection: connection.exec_driver_sql(query).scalars().all()))

    before = names()
    for _ in range(3):
        assert ready(service).status_code == 200
    assert names() == before


class Clock:
    """The present, and on top of it what a test lets pass."""

    def __init__(self) -> None:
        self.passed = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.passed


@pytest.mark.usefixtures("forgetful")
def test_an_email_that_has_been_due_for_more_than_five_minutes_shows(make_service: MakeService) -> None:
    clock = Clock()
    service = make_service(clock=clock)
    office: Office = service.app.extensions["letterbox"]
    assert service.post(headers=ASYNC).status_code == 202
    clock.passed = timedelta(minutes=4, seconds=55)
    answer = ready(service)
    assert trouble_in(answer) == set()
    assert checks(answer)["queue"]["oldestDueSeconds"] in (295, 296)
    clock.passed = timedelta(minutes=5, seconds=5)
    answer = ready(service)
    assert trouble_in(answer) == {"queue"}
    assert checks(answer)["queue"]["oldestDueSeconds"] in (305, 306)
    for email in record.claim(office):
        deliver_one(office, email)
    assert ready(service).json == READY


@pytest.mark.usefixtures("forgetful")
def test_an_email_that_waits_for_its_next_attempt_is_not_overdue(make_service: MakeService) -> None:
    clock = Clock()
    with SMTPServer(faults={"MAIL": "451 4.3.0 try later"}) as server:
        service = make_service(
            clock=clock, smtp_configurations=(server.configuration(),), reception_email="office@example.com"
        )
        office: Office = service.app.extensions["letterbox"]
        service.post(headers=ASYNC)
        for _ in range(8):
            for email in record.claim(office):
                deliver_one(office, email)
            answer = ready(service)
            assert trouble_in(answer) == set()
            assert checks(answer)["queue"]["oldestDueSeconds"] is None
            clock.passed += timedelta(minutes=30)


@pytest.fixture
def broken_and_healthy() -> Iterator[tuple[SMTPServer, SMTPServer]]:
    with SMTPServer(faults={"GREETING": Drop()}) as broken, SMTPServer() as healthy:
        yield broken, healthy


def test_one_server_that_works_is_enough(
    make_service: MakeService, broken_and_healthy: tuple[SMTPServer, SMTPServer]
) -> None:
    configurations = tuple(server.configuration(index) for index, server in enumerate(broken_and_healthy, start=1))
    service = make_service(smtp_configurations=configurations, reception_email="office@example.com")
    assert [service.post().status_code for _ in range(6)] == [201] * 6
    answer = ready(service)
    assert trouble_in(answer) == set()
    expected = "1 of 2 SMTP configurations can be used. Failing: SMTP_1."
    assert checks(answer)["smtp"]["detail"] == expected


def test_without_any_server_it_is_not_ready_until_one_works_again(
    make_service: MakeService, broken_and_healthy: tuple[SMTPServer, SMTPServer]
) -> None:
    broken, _ = broken_and_healthy
    service = make_service(smtp_configurations=(broken.configuration(),), reception_email="office@example.com")
    assert [service.post().status_code for _ in range(6)] == [502] * 6
    assert trouble_in(ready(service)) == {"smtp"}
    broken.faults = {}
    # With every configuration failing, the first is tried all the same.
    assert service.post(json=valid_request()).status_code == 201
    assert trouble_in(ready(service)) == set()


def test_a_hundred_monitors_cost_one_look(make_service: MakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    oldest_due_ms = queue.oldest_due_ms

    def counted(*arguments: Any, now_ms: int) -> int | None:
        looks.append(now_ms)
        return oldest_due_ms(*arguments, now_ms=now_ms)

    monkeypatch.setattr(queue, "oldest_due_ms", counted)
    monkeypatch.setattr(health, "_KNOWN_FOR_S", 60.0)
    service = make_service()
    threads = [threading.Thread(target=lambda: [ready(service) for _ in range(10)]) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(looks) == 1


def test_a_database_that_is_well_is_written_to_now_and_then_and_one_in_trouble_each_time(
    make_service: MakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_KNOWN_FOR_S", 0.0)
    trials = 0

    def counted(_: Connection) -> None:
        nonlocal trials
        trials += 1
        if trials in (2, 3):
            raise RecordUnavailable("the disk is full")

    monkeypatch.setattr(trial, "write_and_remove", counted)
    now = 1000.0
    monitor = HealthMonitor(make_service().app.extensions["letterbox"], now=lambda: now)
    assert [monitor.health().is_ready for _ in range(5)] == [True] * 5
    assert trials == 1
    now += 2
    assert [monitor.health().is_ready for _ in range(5)] == [False, False, True, True, True]
    assert trials == 4
