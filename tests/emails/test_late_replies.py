"""What becomes of an email whose SMTP server replies when nobody waits any more, over HTTP, SMTP and both databases."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.emails import record
from app.emails.housekeeping import Housekeeper
from app.emails.office import Office
from app.emails.queue import deliver_one
from app.errors import RecordUnavailable
from app.smtp import transaction
from app.storage.database import Database
from app.storage.schema import migrate
from tests.conftest import MakeService, Service, valid_request
from tests.smtp_server import CHUNKING, PIPELINING, Late, SMTPServer

TAKEN, LATER, REFUSED = "250 2.0.0 queued", "451 4.3.0 later", "554 5.7.1 spam"


class Clock:
    """The time, which a test can put forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction.Transaction, "_final_timeout_s", lambda _: 0.05)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def assemble(make_service: MakeService, database_url: str, clock: Clock) -> Callable[..., Service]:
    """A service that sends through these servers, on an empty database."""

    def assemble(*servers: SMTPServer, **settings: Any) -> Service:
        configurations = tuple(server.configuration(index) for index, server in enumerate(servers, 1))
        if database_url.startswith("postgresql"):
            database = Database(database_url)
            migrate(database)
            database.close()
        return make_service(
            database_url=database_url,
            smtp_configurations=configurations,
            reception_email="office@example.com",
            clock=clock,
            **settings,
        )

    return assemble


@pytest.fixture(params=[PIPELINING, CHUNKING], ids=["DATA", "BDAT"])
def slow(request: pytest.FixtureRequest) -> Iterator[SMTPServer]:
    """A server whose reply to the first message of a connection is late; each test says what it is."""
    with SMTPServer(request.param) as server:
        yield server


def office_of(service: Service) -> Office:
    office: Office = service.app.extensions["letterbox"]
    return office


def record_of(service: Service, email_id: str) -> dict[str, Any]:
    answer = service.client.get(f"/api/v1/emails/{email_id}")
    assert answer.json is not None
    found: dict[str, Any] = answer.json
    return found


def wait_for(service: Service, email_id: str, status: str) -> dict[str, Any]:
    deadline = time.monotonic() + 10
    while (found := record_of(service, email_id))["status"] != status:
        assert time.monotonic() < deadline, found
        time.sleep(0.01)
    return found


@pytest.mark.parametrize(
    ("reply", "status", "outcome"),
    [(TAKEN, "Sent", "accepted"), (LATER, "Failed", "server-at-fault"), (REFUSED, "Failed", "message-refused")],
)
def test_a_late_reply_corrects_the_record_its_attempt_and_the_cooldown(
    reply: str, status: str, outcome: str, slow: SMTPServer, assemble: Callable[..., Service]
) -> None:
    slow.scripts = [{"MESSAGE": Late(reply)}]
    with SMTPServer() as second:
        service = assemble(slow, second)
        body = valid_request()
        answer = service.post(json=body, headers={"Idempotency-Key": "one"})
        assert answer.json is not None
        assert (answer.status_code, answer.json["title"]) == (502, "Email delivery uncertain")
        email_id = answer.json["emailId"]
        assert record_of(service, email_id)["status"] == "Uncertain"
        assert service.post(json=body).status_code == 400

        slow.reply_late()

        email = wait_for(service, email_id, status)
        assert [(each["smtpId"], each["outcome"]) for each in email["attempts"]] == [(1, outcome)]
        assert email["deliveredSmtpId"] == (1 if status == "Sent" else None)
        # What was sent stays counted. What failed leaves no trace: its sender may come again at once.
        assert service.post(json=body).status_code == (400 if status == "Sent" else 201)
        assert not second.messages
        # The key answers with what is known now.
        replayed = service.post(json=body, headers={"Idempotency-Key": "one"})
        assert replayed.status_code == (201 if status == "Sent" else 502)
        assert len(slow.messages) == 1


@pytest.mark.parametrize("reply", [TAKEN, LATER, REFUSED])
def test_a_queued_email_is_being_sent_until_the_reply_comes_and_no_worker_waits_for_it(
    reply: str, slow: SMTPServer, assemble: Callable[..., Service], clock: Clock
) -> None:
    slow.scripts = [{"MESSAGE": Late(reply)}]
    service = assemble(slow)
    answer = service.post(headers={"Prefer": "respond-async"})
    assert answer.json is not None
    email_id = answer.json["id"]
    office = office_of(service)
    (email,) = record.claim(office)
    deliver_one(office, email)
    # Nine minutes, in which this process renews the lease and another one looks for emails left behind.
    housekeeper = Housekeeper(office)
    for _ in range(9 * 12):
        clock.ahead += timedelta(seconds=5)
        housekeeper._tend_leases(office)
    record.settle_abandoned(office)
    assert record_of(service, email_id)["status"] == "Sending"
    assert record.claim(office) == []

    slow.reply_late()

    ends = {TAKEN: "Sent", LATER: "Deferred", REFUSED: "Failed"}
    email_now = wait_for(service, email_id, ends[reply])
    assert len(email_now["attempts"]) == 1
    deadline = time.monotonic() + 10
    while email_id in office.under_way:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    if reply == LATER:
        clock.ahead += timedelta(minutes=5)
        (again,) = record.claim(office)
        deliver_one(office, again)
        assert record_of(service, email_id)["status"] == "Sent"
    assert len(slow.messages) == (reply != REFUSED)


def test_a_recipient_who_is_refused_late_is_replaced_by_the_catch_all(
    assemble: Callable[..., Service], clock: Clock
) -> None:
    # On a session in use everything leaves in one write, so that the reply to RCPT may be late, too.
    slow = SMTPServer(CHUNKING, scripts=[{"MAIL": [None, Late("250 ok")], "RCPT": [None, "550 5.1.1 no such user"]}])
    with slow:
        service = assemble(slow, catchall_email="spare@example.com")
        assert service.post().status_code == 201
        answer = service.post(json=valid_request(Email="other@example.com"), headers={"Prefer": "respond-async"})
        assert answer.json is not None
        office = office_of(service)
        (email,) = record.claim(office)
        deliver_one(office, email)
        slow.reply_late()
        wait_for(service, email.id, "Deferred")
        clock.ahead += timedelta(minutes=5)
        (again,) = record.claim(office)
        assert deliver_one(office, again).status == "Sent"
        assert [message.recipients for message in slow.messages] == [("office@example.com",), ("spare@example.com",)]


def test_what_is_late_when_the_service_stops_is_uncertain(slow: SMTPServer, assemble: Callable[..., Service]) -> None:
    slow.faults = {"MESSAGE": Late(TAKEN)}
    service = assemble(slow)
    ids = []
    for headers in ({}, {"Prefer": "respond-async"}):
        answer = service.post(headers=headers)
        assert answer.json is not None
        ids.append(answer.json.get("id") or answer.json["emailId"])
    office = office_of(service)
    (email,) = record.claim(office)
    deliver_one(office, email)
    office.close()
    assert not any(thread.name == "smtp late replies" for thread in threading.enumerate())
    slow.reply_late()
    after = assemble(slow)
    assert [record_of(after, email_id)["status"] for email_id in ids] == ["Uncertain"] * 2


def test_a_correction_waits_for_a_database_that_is_away(slow: SMTPServer, assemble: Callable[..., Service]) -> None:
    slow.scripts = [{"MESSAGE": Late(TAKEN)}]
    service = assemble(slow)
    answer = service.post()
    assert answer.json is not None
    office = office_of(service)
    write = office.database.write

    def refuse(*_: object, **__: object) -> None:
        raise RecordUnavailable

    object.__setattr__(office.database, "write", refuse)
    slow.reply_late()
    deadline = time.monotonic() + 10
    while not office.unwritten:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    object.__setattr__(office.database, "write", write)
    assert record_of(service, answer.json["emailId"])["status"] == "Uncertain"
    office.write_kept_outcomes()
    assert record_of(service, answer.json["emailId"])["status"] == "Sent"


def test_a_correction_finds_what_was_kept_aside_while_the_database_was_away(
    slow: SMTPServer, assemble: Callable[..., Service]
) -> None:
    slow.scripts = [{"MESSAGE": Late(TAKEN)}]
    service = assemble(slow)
    office = office_of(service)
    write, steps = office.database.write, iter(("opened", "handed over"))

    def refuse_the_outcome(*arguments: Any, **options: Any) -> Any:
        if next(steps, None) is None:
            raise RecordUnavailable
        return write(*arguments, **options)

    object.__setattr__(office.database, "write", refuse_the_outcome)
    answer = service.post()
    assert (answer.status_code, len(office.unwritten)) == (502, 1)
    object.__setattr__(office.database, "write", write)
    slow.reply_late()
    assert answer.json is not None
    wait_for(service, answer.json["emailId"], "Sent")
    assert not office.unwritten


def test_two_threads_write_each_outcome_once(slow: SMTPServer, assemble: Callable[..., Service]) -> None:
    office = office_of(assemble(slow))
    is_writing, may_go_on, written = threading.Event(), threading.Event(), list[int]()

    def slowly(_: object) -> None:
        is_writing.set()
        may_go_on.wait(10)
        written.append(1)

    office.unwritten.extend([(slowly, False), (lambda _: written.append(2), False)])
    threads = [threading.Thread(target=office.write_kept_outcomes) for _ in range(2)]
    for thread in threads:
        thread.start()
        is_writing.wait(10)
    may_go_on.set()
    for thread in threads:
        thread.join(10)
    assert (written, len(office.unwritten)) == ([1, 2], 0)
