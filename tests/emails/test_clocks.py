"""Machines whose clocks are minutes apart, on one PostgreSQL: its clock says what has ended and what is due."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from app.emails import record
from app.emails.housekeeping import prune
from app.emails.idempotency import earlier_email
from app.emails.office import Office
from app.emails.queue import deliver_one, enqueue
from app.emails.ringing import ring_for_due
from app.emails.send import send
from app.errors import KeyTaken
from app.forms import marks
from app.forms.marks import AlreadyReceived, Mark
from app.model.clock import Clock, utc_now
from app.model.email import Email, EmailRequest, Phase, Status
from app.settings import GuardSettings, Settings
from app.storage import emails
from app.storage.idempotency import IdempotencyKey
from app.storage.schema import migrate
from app.storage.times import to_ms
from tests.smtp_server import SMTPServer

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

APART = timedelta(minutes=10)
KEY = IdempotencyKey(caller="somebody", key="one", fingerprint="f" * 64)


def ahead(by: timedelta) -> Clock:
    return lambda: utc_now() + by


@pytest.fixture
def server() -> Iterator[SMTPServer]:
    with SMTPServer() as server:
        yield server


@pytest.fixture(params=[APART, -APART], ids=["the other is ahead", "the other is behind"])
def offices(
    request: pytest.FixtureRequest, database_url: str, tmp_path: Path, server: SMTPServer
) -> Iterator[tuple[Office, Office]]:
    """Two machines; the first one's clock is that of the database."""
    settings = Settings(
        var_dir=tmp_path,
        database_url=database_url,
        guards=GuardSettings(rate_limit_enabled=False),
        smtp_configurations=(server.configuration(),),
        reception_email="office@example.com",
    )
    with ExitStack() as stack:
        both = []
        for clock in (utc_now, ahead(request.param)):
            both.append(Office.open(settings, clock=clock))
            stack.callback(both[-1].close)
        migrate(both[0].database)
        yield both[0], both[1]


def mail(**fields: Any) -> EmailRequest:
    return EmailRequest(**({"email": "ann@example.com", "message": "Hello!"} | fields))


def stored(office: Office, email_id: str) -> Email:
    found = office.database.read(lambda connection: emails.find(connection, email_id))
    assert found is not None
    return found


def test_the_clock_is_the_servers(offices: tuple[Office, Office]) -> None:
    for office in offices:
        for ask in (office.database.read, office.database.write):
            assert abs(ask(office.database.now_ms) - to_ms(utc_now())) < 5000


def test_a_living_lease_is_not_taken_by_a_machine_whose_clock_is_off(offices: tuple[Office, Office]) -> None:
    for mine, other in (offices, offices[::-1]):
        enqueue(mine, mail(email="bob@example.com" if mine is offices[0] else "eve@example.com"))
        (taken,) = record.claim(mine)
        record.hand_over(mine, taken)
        record.renew_leases(mine)
        record.settle_abandoned(other)
        assert stored(mine, taken.id).status is Status.SENDING
        record.settle(mine, taken, attempts=(), status=Status.SENT)


def test_the_lease_of_a_dead_machine_ends_for_one_whose_clock_is_off(
    offices: tuple[Office, Office], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "_LEASE_MS", -1)
    for dead, other in (offices, offices[::-1]):
        enqueue(dead, mail(email="bob@example.com" if dead is offices[0] else "eve@example.com"))
        (taken,) = record.claim(dead)
        record.settle_abandoned(other)
        assert stored(other, taken.id).status is Status.DEFERRED
        dead.database.write(lambda connection: connection.execute(text("DELETE FROM emails")) and None)


def test_queued_mail_is_due_at_once_for_every_machine(offices: tuple[Office, Office], server: SMTPServer) -> None:
    for mine, other in (offices, offices[::-1]):
        email = enqueue(mine, mail(email="bob@example.com" if mine is offices[0] else "eve@example.com"))
        (taken,) = record.claim(other)
        assert deliver_one(other, taken).status is Status.SENT
        assert taken.id == email.id
    assert len(server.messages) == 2


def test_a_retry_is_due_for_no_machine_before_its_time(offices: tuple[Office, Office]) -> None:
    for mine, other in (offices, offices[::-1]):
        enqueue(mine, mail(email="bob@example.com" if mine is offices[0] else "eve@example.com"))
        (taken,) = record.claim(mine)
        record.put_back(mine, taken, attempts=(), next_attempt_at=mine.clock() + timedelta(minutes=5))
        assert record.claim(other, limit=10) == record.claim(mine, limit=10) == []
        wait = stored(mine, taken.id).next_attempt_at
        assert wait is not None
        assert timedelta(minutes=4) < wait - utc_now() < timedelta(minutes=6)
        mine.database.write(lambda connection: connection.execute(text("DELETE FROM emails")) and None)


def test_a_key_is_known_for_24_hours_by_the_clock_of_the_database(
    offices: tuple[Office, Office], server: SMTPServer
) -> None:
    mine, other = offices
    sent = send(mine, mail(), key=KEY)
    # Four minutes are left by the database's clock; by one that is ahead it has ended.
    _age(mine, timedelta(hours=23, minutes=56))
    prune(other)
    found = earlier_email(other, KEY)
    assert found is not None
    assert found.id == sent.id
    with pytest.raises(KeyTaken):
        send(other, mail(email="eve@example.com"), key=KEY)
    # Four minutes ago it ended; by one that is behind it goes on.
    _age(mine, timedelta(minutes=8))
    assert earlier_email(other, KEY) is None
    assert send(other, mail(email="eve@example.com"), key=KEY).id != sent.id
    assert len(server.messages) == 2


def test_a_submission_is_the_same_again_for_a_minute_by_the_clock_of_the_database(
    offices: tuple[Office, Office],
) -> None:
    for mine, other in (offices, offices[::-1]):
        digest = ("a" if mine is offices[0] else "b") * 64

        def mark(office: Office, digest: str = digest) -> tuple[Mark, ...]:
            return (Mark(digest, to_ms(office.clock() + marks.REPEATED_WITHIN)),)

        def add(office: Office) -> None:
            def work(connection: Connection) -> None:
                marks.add(office, connection, mark(office), _email(office.clock()))

            office.database.write(work)

        add(mine)
        prune(other)
        assert marks.reference_of(other, mark(other)) == "0000AAAA"
        with pytest.raises(AlreadyReceived):
            add(other)


def test_the_broker_is_told_of_what_is_due_by_the_clock_of_the_database(offices: tuple[Office, Office]) -> None:
    class Broker:
        rung: list[str] = []  # noqa: RUF012

        def waiting(self) -> int:
            return 0

        def ring(self, email_id: str) -> bool:
            self.rung.append(email_id)
            return True

    email = enqueue(offices[0], mail())
    assert ring_for_due(offices[1], Broker()) == 1  # type: ignore[arg-type]
    assert Broker.rung == [email.id]


def _age(office: Office, by: timedelta) -> None:
    """Let the key have been used so much earlier."""

    def work(connection: Connection) -> None:
        by_ms = by // timedelta(milliseconds=1)
        connection.execute(text("UPDATE idempotency_keys SET created_at = created_at - :by_ms"), {"by_ms": by_ms})

    office.database.write(work)


def _email(created_at: datetime) -> Email:
    return Email(
        id="0000AAAA",
        status=Status.QUEUED,
        phase=Phase.RECORDED,
        requested_smtp_id=1,
        is_test=False,
        created_at=created_at,
        reception_email="office@example.com",
        sender="ann@example.com",
    )
