"""An email that has to wait: when it is tried again, what is kept of its attempts, and what is known too late."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text, update

from app.emails import record, retries
from app.emails.office import Office
from app.emails.queue import deliver_one
from app.errors import RecordUnavailable
from app.model.clock import utc_now
from app.model.email import MOST_ATTEMPTS, Email, Phase, Status
from app.model.message import Message
from app.model.outcome import Attempt, Outcome, Stage
from app.storage import emails, queue
from app.storage.queue import QueuedMessage
from app.storage.tables import cooldowns
from app.storage.tables import emails as emails_table
from tests.conftest import MakeService, Service, valid_request
from tests.emails.test_queue import ASYNC, Clock, follow, office_of, work_off
from tests.smtp_server import Deed, SMTPServer

LEASE_IS_OVER = record.LEASE + timedelta(seconds=1)


def service_for(make_service: MakeService, server: SMTPServer, clock: Clock, **settings: Any) -> Service:
    values = {"smtp_configurations": (server.configuration(),), "reception_email": "office@example.com"}
    return make_service(clock=clock, **(values | settings))


@pytest.mark.parametrize(("priority", "limit_s"), [("Normal", 60), ("Urgent", 15)])
def test_the_first_retry_is_in_time_also_behind_a_catch_all_that_was_tried(
    make_service: MakeService, priority: str, limit_s: int
) -> None:
    def rcpt(argument: str) -> Deed:
        return "550 5.1.1 no such user" if "office" in argument else "451 4.3.0 later"

    with SMTPServer(faults={"RCPT": rcpt}) as server:
        service = service_for(make_service, server, Clock(), catchall_email="spare@example.com")
        service.post(json=valid_request(Priority=priority), headers=ASYNC)
        (email,) = record.claim(office_of(service))
        deferred = deliver_one(office_of(service), email)
    assert len(deferred.attempts) == 2
    now = utc_now()

    def pause(email: Email) -> timedelta:
        moment = retries.next_attempt(email, now=now, random=lambda: 1.0)
        assert moment is not None
        return moment - now

    assert pause(deferred) <= timedelta(seconds=limit_s)
    assert pause(deferred.with_attempts(deferred.attempts)) == 2 * pause(deferred)


def attempt(number: int, outcome: Outcome = Outcome.SERVER_AT_FAULT) -> Attempt:
    return Attempt(
        smtp_id=1,
        recipients=("office@example.com",),
        started_at=utc_now().replace(microsecond=0),
        duration_ms=number,
        outcome=outcome,
        stage=Stage.MAIL,
    )


def test_of_an_email_that_is_put_back_no_more_attempts_are_kept_than_of_a_settled_one(service: Service) -> None:
    office = office_of(service)
    answer = service.post(headers=ASYNC)
    (taken,) = record.claim(office)
    tried = replace(taken, attempts=tuple(attempt(number) for number in range(MOST_ATTEMPTS)))
    record.put_back(office, tried, attempts=(attempt(-1), attempt(-2)), next_attempt_at=utc_now())
    found = [each["durationMs"] for each in follow(service, answer)["attempts"]]
    assert found == [*range(50), *range(52, 100), -1, -2]
    assert work_off(service) == ["Sent"]
    assert len(follow(service, answer)["attempts"]) == MOST_ATTEMPTS


def test_the_attempts_in_which_a_server_took_the_message_are_always_kept(service: Service) -> None:
    accepted = tuple(attempt(number, Outcome.ACCEPTED) for number in range(60, 65))
    service.post(headers=ASYNC)
    (taken,) = record.claim(office_of(service))
    email = replace(taken, attempts=()).with_attempts(tuple(attempt(number) for number in range(60)))
    email = email.with_attempts(accepted)
    for number in range(65, 300):
        email = email.with_attempts((attempt(number),))
    assert (len(email.attempts), email.accepted) == (MOST_ATTEMPTS, accepted)
    record.put_back(office_of(service), taken, attempts=(), next_attempt_at=utc_now())
    work_off(service)


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Held:
    """An email that was handed over, and whose server answers only when it is let."""

    def __init__(self, service: Service, server: SMTPServer, gate: threading.Event, clock: Clock) -> None:
        self.body = valid_request()
        self.answer = service.post(json=self.body, headers=ASYNC)
        self.office: Office = office_of(service)
        (self.email,) = record.claim(self.office)
        self._gate = gate
        self._worker = threading.Thread(target=lambda: deliver_one(self.office, self.email))
        self._worker.start()
        server.wait_until(lambda: any("BDAT" in line for lines in server.transcripts for line in lines))
        clock.now += LEASE_IS_OVER
        record.settle_abandoned(self.office)

    def let(self) -> None:
        self._gate.set()
        self._worker.join()


def usage(office: Office) -> list[tuple[int, str | None]]:
    statement = cooldowns.select().with_only_columns(cooldowns.c.usage, cooldowns.c.reserved_by)
    return office.database.read(lambda connection: [tuple(row) for row in connection.execute(statement)])


@pytest.mark.parametrize(
    ("reply", "status", "left"),
    [("451 4.3.0 later", "Deferred", ["Sent"]), ("554 5.0.0 no", "Failed", []), ("250 ok", "Sent", [])],
)
def test_a_reply_that_comes_behind_the_lease_corrects_what_was_thought_uncertain(
    make_service: MakeService, database_url: str, clock: Clock, reply: str, status: str, left: list[str]
) -> None:
    gate = threading.Event()

    def hold(_: str) -> Deed:
        gate.wait(10)
        return reply

    with SMTPServer(faults={"MESSAGE": hold}) as server:
        service = service_for(make_service, server, clock, database_url=database_url)
        held = Held(service, server, gate, clock)
        assert follow(service, held.answer)["status"] == "Uncertain"
        held.let()
        found = follow(service, held.answer)
        assert (found["status"], len(found["attempts"])) == (status, 1)
        assert (found["nextAttemptAt"] is not None) == (status == "Deferred")
        server.faults = {}
        held.office.deliverer.forget([server.configuration()])
        clock.now += timedelta(seconds=60)
        assert work_off(service) == left
        # However often it was taken up, it is one message of its sender.
        assert usage(held.office) == [(1, None)]
        sent = follow(service, held.answer)["status"] == "Sent"
    assert len(server.messages) == (1 if sent else 0)


@pytest.fixture
def office_with_taken(make_service: MakeService, database_url: str, clock: Clock) -> tuple[Office, Email]:
    """An email in the hands of a worker, handed over."""
    service = make_service(clock=clock, database_url=database_url)
    service.post(headers=ASYNC)
    (email,) = record.claim(office_of(service))
    record.hand_over(office_of(service), email)
    return office_of(service), email


@pytest.mark.parametrize(
    ("status", "phase", "later_rounds"),
    [
        (Status.SENDING, Phase.RECORDED, 1),
        (Status.SENDING, Phase.HANDED_OVER, 1),
        (Status.DEFERRED, Phase.RECORDED, 0),
        (Status.UNCERTAIN, Phase.SETTLED, 1),
        (Status.SENT, Phase.SETTLED, 0),
        (Status.FAILED, Phase.SETTLED, 0),
    ],
)
def test_what_another_worker_has_or_has_settled_is_not_put_back(
    office_with_taken: tuple[Office, Email], status: Status, phase: Phase, later_rounds: int
) -> None:
    office, email = office_with_taken
    message = QueuedMessage(message=Message(email.id, b""), recipients=("late@example.com",), catch_all=None)

    def state(connection: Connection) -> list[Any]:
        return [emails.find(connection, email.id), queue.find_message(connection, email.id)]

    def meanwhile(connection: Connection) -> None:
        values = {"status": status, "phase": phase, "rounds": email.rounds + later_rounds}
        connection.execute(update(emails_table).values(**values))
        queue.remove_message(connection, email.id)

    office.database.write(meanwhile)
    before = office.database.read(state)
    record.put_back(office, email, attempts=(attempt(1),), next_attempt_at=utc_now(), queued=message)
    assert office.database.read(state) == before


def test_a_deferral_outlives_power_as_the_mark_of_the_hand_over_does(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels: list[int] = []

    def spying(write: Callable[..., bool]) -> Callable[..., bool]:
        def spy(connection: Connection, *arguments: object, **options: object) -> bool:
            levels.append(connection.execute(text("PRAGMA synchronous")).scalar_one())
            return write(connection, *arguments, **options)

        return spy

    monkeypatch.setattr(emails, "mark_handed_over", spying(emails.mark_handed_over))
    monkeypatch.setattr(queue, "put_back", spying(queue.put_back))
    office = office_of(service)
    service.post(headers=ASYNC)
    (taken,) = record.claim(office)
    record.hand_over(office, taken)
    record.put_back(office, taken, attempts=(), next_attempt_at=utc_now())
    full = 2
    assert levels == [full, full]
    assert work_off(service) == ["Sent"]


def test_a_deferral_that_the_database_does_not_take_is_written_later(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> bool:
        raise RecordUnavailable("the disk is full")

    office = office_of(service)
    answer = service.post(headers=ASYNC)
    (taken,) = record.claim(office)
    with monkeypatch.context() as patch:
        patch.setattr(queue, "put_back", refuse)
        record.put_back(office, taken, attempts=(attempt(1),), next_attempt_at=utc_now())
        assert follow(service, answer)["status"] == "Sending"
    office.write_kept_outcomes()
    assert follow(service, answer)["status"] == "Deferred"
    assert work_off(service) == ["Sent"]
