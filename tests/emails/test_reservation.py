"""The cooldown's reservation from the record to the hand-over, which writes it only when it is no longer fresh."""

from datetime import UTC, datetime, timedelta

import pytest

from app.emails import record
from app.emails.office import Office
from app.errors import RecordUnavailable
from app.model.email import Email, Phase, Status
from app.storage import cooldowns, emails
from app.storage.cooldowns import CooldownKey
from app.storage.times import to_ms
from tests.conftest import MakeService

KEY = CooldownKey("anna@example.com", 1, False)


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 7, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def office(make_service: MakeService, database_url: str, clock: Clock) -> Office:
    made: Office = make_service(clock=clock, database_url=database_url).app.extensions["letterbox"]
    return made


def record_one(office: Office) -> Email:
    draft = Email(
        id=emails.new_id(),
        status=Status.SENDING,
        phase=Phase.RECORDED,
        requested_smtp_id=KEY.smtp_id,
        is_test=KEY.is_test,
        created_at=office.clock(),
        reception_email="office@example.com",
        sender=KEY.sender,
    )
    return record.open_record(office, draft)


def reserved_until(office: Office) -> int | None:
    row = office.database.read(lambda connection: cooldowns.find(connection, KEY))
    assert row is not None
    return row.reserved_until


@pytest.mark.parametrize(("passed_s", "held_for_s"), [(0, 60), (4, 60), (5, 65), (50, 110)])
def test_a_hand_over_holds_the_reservation_for_nearly_a_minute(
    office: Office, clock: Clock, passed_s: int, held_for_s: int
) -> None:
    began_ms = to_ms(clock.now)
    email = record_one(office)
    clock.now += timedelta(seconds=passed_s)
    record.hand_over(office, email)
    assert reserved_until(office) == began_ms + held_for_s * 1000


@pytest.mark.parametrize("passed_s", [0, 10])
def test_without_its_reservation_a_message_is_not_handed_over(office: Office, clock: Clock, passed_s: int) -> None:
    email = record_one(office)
    now_ms = to_ms(clock.now)
    # As a process would whose clock is more than a minute ahead.
    assert office.database.write(
        lambda connection: cooldowns.reserve(
            connection, KEY, email_id="OTHER", now_ms=now_ms + 61_000, step_ms=1, hold_ms=60_000
        )
    )
    clock.now += timedelta(seconds=passed_s)
    with pytest.raises(RecordUnavailable):
        record.hand_over(office, email)
    found = office.database.read(lambda connection: emails.find(connection, email.id))
    assert found is not None
    assert found.phase is Phase.RECORDED
