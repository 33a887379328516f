"""The database fails at every point of an email's way: what is not recorded is not sent, what was promised arrives."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from app.emails import record, workers
from app.emails.office import Office
from app.emails.queue import deliver_one
from app.emails.workers import Workers
from app.model.clock import utc_now
from tests.conftest import MakeService, Service, valid_request
from tests.database_trouble import EVERY_TROUBLE, NO_READS, Trouble, be_impatient, end_sessions
from tests.guards.conftest import RedisServer, redis_server, redis_uri
from tests.smtp_server import Deed, SMTPServer

__all__ = ["redis_server", "redis_uri"]

ASYNC = {"Prefer": "respond-async"}


class Clock:
    """The present, and on top of it what a test lets pass."""

    def __init__(self) -> None:
        self.passed = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.passed


class House:
    """A service with one SMTP server, and a database that gets into trouble when it is told to."""

    def __init__(self, make_service: MakeService, server: SMTPServer, url: str, stack: ExitStack) -> None:
        self.clock = Clock()
        self.server = server
        self._stack = stack
        self._settings: dict[str, Any] = {
            "database_url": url,
            "clock": self.clock,
            "smtp_configurations": (server.configuration(),),
            "reception_email": "office@example.com",
        }
        self._make_service = make_service
        self.service = self.another_process()
        self.office: Office = self.service.app.extensions["letterbox"]

    def another_process(self) -> Service:
        return self._make_service(**self._settings)

    def begin(self, trouble: Trouble) -> None:
        self._stack.enter_context(trouble(self.office))

    def end_trouble(self) -> None:
        self._stack.close()

    def begin_at(self, step: str, trouble: Trouble) -> None:
        """When the server comes to that step for the first time; it goes on as if nothing had happened."""
        has_begun = threading.Event()

        def fault(_: str) -> Deed:
            if not has_begun.is_set():
                has_begun.set()
                self.begin(trouble)
            return None

        self.server.faults = {step: fault}

    def post(self, **request: Any) -> TestResponse:
        return self.service.post(**request)

    def status(self, email_id: str) -> str:
        found = self.service.client.get(f"/api/v1/emails/{email_id}").json
        assert found is not None
        return str(found["status"])

    @property
    def sent_ids(self) -> list[str]:
        return [str(message.parsed["X-Email-Id"]) for message in self.server.messages]


@pytest.fixture
def house(make_service: MakeService, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    be_impatient(monkeypatch)
    with SMTPServer() as server, ExitStack() as stack:
        yield House(make_service, server, database_url, stack)


def id_of(answer: TestResponse) -> str:
    assert answer.json is not None
    return str(answer.json["id"])


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within 10 seconds"
        time.sleep(0.01)


def refuses(answer: TestResponse) -> bool:
    return (answer.status_code, answer.mimetype) == (
        503,
        "application/problem+json",
    ) and "Retry-After" in answer.headers


@EVERY_TROUBLE
@pytest.mark.parametrize("headers", [{}, ASYNC], ids=["sync", "async"])
def test_what_cannot_be_recorded_is_refused_and_not_sent(
    house: House, trouble: Trouble, headers: dict[str, str]
) -> None:
    body = valid_request()
    house.begin(trouble)
    assert refuses(house.post(json=body, headers=headers | {"Idempotency-Key": "first"}))
    assert house.server.connections == 0
    house.end_trouble()
    # Neither the cooldown nor the key remembers what did not happen.
    answer = house.post(json=body, headers=headers | {"Idempotency-Key": "first"})
    assert answer.status_code == (202 if headers else 201)
    assert "Idempotency-Replayed" not in answer.headers
    for email in record.claim(house.office, limit=10):
        deliver_one(house.office, email)
    assert house.sent_ids == [id_of(answer)]


@EVERY_TROUBLE
def test_many_at_once_are_refused_together_and_not_one_behind_the_other(house: House, trouble: Trouble) -> None:
    answers: list[TestResponse] = []
    threads = [threading.Thread(target=lambda: answers.append(house.post())) for _ in range(16)]
    house.begin(trouble)
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began < 2, "each waiting for its turn would take 3.2 s"
    assert [refuses(answer) for answer in answers] == [True] * 16
    house.end_trouble()
    assert house.post().status_code == 201
    assert len(house.server.messages) == 1


@EVERY_TROUBLE
def test_reads_answer_as_long_as_the_database_does(house: House, trouble: Trouble) -> None:
    location = house.post().headers["Location"]
    house.begin(trouble)
    read = house.service.client.get(location)
    assert refuses(read) if trouble in NO_READS else read.status_code == 200
    assert house.service.client.get("/test").status_code == 200
    assert house.service.client.get("/health/live").status_code == 200
    house.end_trouble()
    assert house.service.client.get(location).status_code == 200


@EVERY_TROUBLE
@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "one"}], ids=["plain", "key"])
def test_without_the_mark_before_it_there_is_no_hand_over(
    house: House, trouble: Trouble, headers: dict[str, str]
) -> None:
    body = valid_request()
    house.begin_at("EHLO", trouble)
    answer = house.post(json=body, headers=headers)
    assert refuses(answer)
    assert house.server.received == []
    house.end_trouble()
    house.office.write_kept_outcomes()
    again = house.post(json=body, headers=headers)
    assert again.status_code == 201
    assert house.sent_ids == [id_of(again)]


@EVERY_TROUBLE
def test_an_outcome_that_cannot_be_written_is_told_all_the_same_and_written_later(
    house: House, trouble: Trouble
) -> None:
    body = valid_request()
    house.begin_at("MESSAGE", trouble)
    answer = house.post(json=body)
    assert answer.status_code == 201
    assert len(house.office.unwritten) == 1
    house.office.write_kept_outcomes()
    house.end_trouble()
    assert house.status(id_of(answer)) == "Sending"
    house.office.write_kept_outcomes()
    assert house.status(id_of(answer)) == "Sent"
    assert house.post(json=body).status_code == 400, "it counts in the sender's cooldown"
    assert house.sent_ids == [id_of(answer)]


@EVERY_TROUBLE
def test_what_another_process_took_for_abandoned_meanwhile_is_corrected(house: House, trouble: Trouble) -> None:
    house.begin_at("MESSAGE", trouble)
    email_id = id_of(house.post())
    house.end_trouble()
    house.clock.passed = timedelta(seconds=31)
    record.settle_abandoned(house.another_process().app.extensions["letterbox"])
    assert house.status(email_id) == "Uncertain"
    house.office.write_kept_outcomes()
    assert house.status(email_id) == "Sent"
    assert house.sent_ids == [email_id]


@EVERY_TROUBLE
def test_queued_mail_waits_for_the_database_and_goes_out_once(
    house: House, trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_TICK_S", 0.05)
    promised = [id_of(house.post(headers=ASYNC)) for _ in range(5)]
    house.begin(trouble)
    crew = Workers(house.office, threads=2)
    crew.start()
    time.sleep(0.2)
    assert house.server.received == []
    house.end_trouble()
    wait_until(lambda: len(house.server.messages) == 5)
    crew.stop()
    house.office.write_kept_outcomes()
    assert {house.status(email_id) for email_id in promised} == {"Sent"}
    assert sorted(house.sent_ids) == sorted(promised)


@EVERY_TROUBLE
@pytest.mark.parametrize("is_taken_back", [False, True], ids=["written-late", "taken-back"])
def test_queued_mail_that_was_not_handed_over_is_tried_again(
    house: House, trouble: Trouble, is_taken_back: bool
) -> None:
    email_id = id_of(house.post(headers=ASYNC))
    (taken,) = record.claim(house.office)
    house.begin_at("EHLO", trouble)
    deliver_one(house.office, taken)
    assert house.server.received == []
    house.end_trouble()
    other = house.another_process().app.extensions["letterbox"]
    if is_taken_back:
        house.clock.passed = timedelta(seconds=31)
        record.settle_abandoned(other)
    house.office.write_kept_outcomes()
    assert house.status(email_id) == "Deferred"
    house.clock.passed += timedelta(seconds=60)
    for office in (house.office, other):
        for email in record.claim(office, limit=10):
            deliver_one(office, email)
    assert house.status(email_id) == "Sent"
    assert house.sent_ids == [email_id]


@EVERY_TROUBLE
def test_queued_mail_that_a_server_has_is_not_sent_again(house: House, trouble: Trouble) -> None:
    email_id = id_of(house.post(headers=ASYNC))
    (taken,) = record.claim(house.office)
    house.begin_at("MESSAGE", trouble)
    assert deliver_one(house.office, taken).status == "Sent"
    house.end_trouble()
    house.clock.passed = timedelta(seconds=31)
    other = house.another_process().app.extensions["letterbox"]
    record.settle_abandoned(other)
    assert record.claim(other) == []
    house.office.write_kept_outcomes()
    assert house.status(email_id) == "Sent"
    assert house.sent_ids == [email_id]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("step", ["EHLO", "MESSAGE"])
def test_a_postgresql_that_was_restarted_in_the_middle_is_not_noticed(house: House, step: str) -> None:
    def restart(_: str) -> Deed:
        end_sessions(house.office)
        return None

    location = house.post().headers["Location"]
    # Sessions that are open keep to the script without faults.
    house.server.drop_connections()
    house.server.faults = {step: restart}
    answers = [house.post() for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert {house.status(id_of(answer)) for answer in answers} == {"Sent"}
    end_sessions(house.office)
    assert house.service.client.get(location).status_code == 200
    assert len(house.server.messages) == 4


def test_without_redis_requests_are_served_and_still_limited(
    make_service: MakeService, redis_server: RedisServer, redis_uri: str
) -> None:
    guards = {"rate_limit_enabled": True, "rate_limit": "3 per minute", "storage_uri": redis_uri}
    with SMTPServer() as server:
        service = make_service(
            smtp_configurations=(server.configuration(),), reception_email="office@example.com", guards=guards
        )
        assert service.post().status_code == 201
        redis_server.stop()
        try:
            began = time.monotonic()
            assert [service.post().status_code for _ in range(5)] == [201, 201, 201, 429, 429]
            assert time.monotonic() - began < 2
            assert service.client.get("/health/ready").status_code == 200
        finally:
            redis_server.start()
        assert len(server.messages) == 4
