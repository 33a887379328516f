"""What happens without a caller: crashes, a database that comes back, pruning, the monthly test message."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, select

from app.emails import housekeeping, record
from app.emails.housekeeping import Housekeeper
from app.emails.monthly_test import send_monthly_test
from app.emails.office import Office
from app.errors import RecordRefused, RecordUnavailable
from app.model.email import Email, Phase, Status
from app.storage import emails, form_marks
from app.storage.tables import emails as emails_table
from app.storage.times import from_ms, to_ms
from tests.conftest import MakeService, Service, valid_request
from tests.smtp_server import Hang, SMTPServer


class Clock:
    """A clock that tests set, and may set back by `set_back`, which `monotonic` does not follow."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 7, 12, 0, tzinfo=UTC)
        self.set_back = timedelta()

    def __call__(self) -> datetime:
        return self.now - self.set_back

    def monotonic(self) -> float:
        return self.now.timestamp()


def _office(service: Service) -> Office:
    office: Office = service.app.extensions["letterbox"]
    return office


def _status(office: Office, left: Email) -> Status:
    email = office.database.read(lambda connection: emails.find(connection, left.id))
    assert email is not None
    return email.status


def _leave(office: Office, *, is_handed_over: bool) -> Email:
    """A row as a process leaves it that dies while it sends."""
    now_ms = to_ms(office.clock())
    email = Email(
        id=emails.new_id(),
        status=Status.SENDING,
        phase=Phase.RECORDED,
        requested_smtp_id=1,
        is_test=False,
        created_at=office.clock(),
        reception_email="office@example.com",
        sender="anna@example.com",
    )
    office.database.write(lambda connection: emails.add(connection, email, lease_until_ms=now_ms + 30_000))
    if is_handed_over:
        office.database.write(
            lambda connection: emails.mark_handed_over(connection, email, lease_until_ms=now_ms + 30_000)
        )
    return email


def test_a_row_whose_process_died_tells_the_truth_within_its_lease(make_service: MakeService) -> None:
    clock = Clock()
    service = make_service(clock=clock)
    office = _office(service)
    recorded, handed_over = (_leave(office, is_handed_over=handed_over) for handed_over in (False, True))

    def statuses() -> list[str]:
        answers = [service.client.get(f"/api/v1/emails/{email.id}").json for email in (recorded, handed_over)]
        return [answer["status"] for answer in answers if answer is not None]

    clock.now += timedelta(seconds=29)
    record.settle_abandoned(office)
    assert statuses() == ["Sending", "Sending"]
    clock.now += timedelta(seconds=2)
    record.settle_abandoned(office)
    assert statuses() == ["Failed", "Uncertain"]
    # The message that may have arrived counts, so that the visitor's retry is no duplicate.
    assert service.post(json=valid_request(Email="anna@example.com")).status_code == 400


def test_a_lease_is_renewed_as_long_as_the_process_sends(make_service: MakeService) -> None:
    clock = Clock()
    office = _office(make_service(clock=clock))
    left = _leave(office, is_handed_over=True)
    office.under_way[left.id] = left
    for _ in range(20):
        clock.now += timedelta(seconds=10)
        record.renew_leases(office)
        record.settle_abandoned(office)
    assert _status(office, left) is Status.SENDING


def test_after_an_outage_the_living_renew_before_anybody_is_taken_for_dead(
    make_service: MakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    office = _office(make_service(clock=clock))
    keeper = Housekeeper(office, clock.monotonic)
    keeper.perform_due()
    left = _leave(office, is_handed_over=False)
    with monkeypatch.context() as outage:
        outage.setattr(office.database, "write", _fail)
        for _ in range(8):
            clock.now += timedelta(seconds=5)
            keeper.perform_due()
    keeper.perform_due()
    clock.now += timedelta(seconds=1)
    keeper.perform_due()
    assert _status(office, left) is Status.SENDING
    clock.now += timedelta(seconds=10)
    keeper.perform_due()
    assert _status(office, left) is Status.FAILED


def _fail(*_: object, **__: object) -> None:
    raise RecordUnavailable("the database is away")


def test_a_row_that_was_given_up_is_not_handed_over_any_more(make_service: MakeService) -> None:
    clock = Clock()
    office = _office(make_service(clock=clock))
    left = _leave(office, is_handed_over=False)
    clock.now += timedelta(seconds=31)
    record.settle_abandoned(office)
    assert not office.database.write(
        lambda connection: emails.mark_handed_over(connection, left, lease_until_ms=to_ms(clock.now))
    )


def test_an_outcome_that_could_not_be_written_is_answered_and_written_later(
    make_service: MakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = make_service()
    office = _office(service)
    settle = emails.settle
    is_down = True

    def settle_unless_down(*args: object) -> None:
        if is_down:
            raise RecordUnavailable("the disk is full")
        settle(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(emails, "settle", settle_unless_down)
    answer = service.post()
    assert answer.status_code == 201
    record = service.client.get(answer.headers["Location"]).json
    assert record is not None
    assert record["status"] == "Sending"
    office.write_kept_outcomes()
    assert len(office.unwritten) == 1
    is_down = False
    office.write_kept_outcomes()
    record = service.client.get(answer.headers["Location"]).json
    assert record is not None
    assert record["status"] == "Sent"


def test_an_outcome_that_the_database_refuses_for_good_holds_no_other_up(make_service: MakeService) -> None:
    office = _office(make_service())

    def refuse(_: Connection) -> None:
        raise RecordRefused("a value is too long")

    written: list[str] = []
    office.write_outcome(refuse)
    office.unwritten.extend([(refuse, False), (lambda _: written.append("another one"), False)])
    office.write_kept_outcomes()
    assert (written, list(office.unwritten)) == (["another one"], [])


def test_pruning_forgets_the_marks_of_forms_that_have_expired(make_service: MakeService) -> None:
    clock = Clock()
    office = _office(make_service(clock=clock))
    now_ms = to_ms(clock.now)
    for digest, expires_ms in (("a" * 64, now_ms + 1000), ("b" * 64, now_ms + 60_000)):
        assert office.database.write(
            lambda connection, digest=digest, expires_ms=expires_ms: form_marks.add(  # type: ignore[misc]
                connection, digest, reference=None, expires_ms=expires_ms, now_ms=now_ms
            )
        )
    assert housekeeping.prune(office).form_marks == 0
    clock.now += timedelta(seconds=1)
    assert housekeeping.prune(office) == housekeeping.Pruned(form_marks=1)
    assert housekeeping.prune(office).form_marks == 0


def test_pruning_forgets_what_the_retention_settings_say(make_service: MakeService) -> None:
    clock = Clock()
    service = make_service(clock=clock, email_retention_days=30, cooldown_retention_days=60)
    body = valid_request()
    old = service.post(json=body)
    clock.now += timedelta(days=29)
    young = service.post()
    assert housekeeping.prune(_office(service)) == housekeeping.Pruned()
    clock.now += timedelta(days=2)
    assert housekeeping.prune(_office(service)) == housekeeping.Pruned(emails=1)
    assert service.client.get(old.headers["Location"]).status_code == 404
    assert service.client.get(young.headers["Location"]).status_code == 200
    clock.now += timedelta(days=30)
    assert housekeeping.prune(_office(service)).cooldowns == 1


def test_the_monthly_message_is_sent_once_per_deployment(make_service: MakeService) -> None:
    clock = Clock()
    services = [make_service(clock=clock, monthly_test_email=True) for _ in range(2)]
    keepers = [Housekeeper(_office(service), clock.monotonic) for service in services]

    def sent() -> int:
        for keeper in keepers:
            keeper.perform_due()
        return len(services[0].inbox.list())

    assert sent() == 1
    assert services[0].newest()["Subject"].startswith("Monthly test message - [")
    assert services[0].newest()["Auto-Submitted"] == "auto-generated"
    clock.now += timedelta(days=29)
    assert sent() == 1
    clock.now += timedelta(days=1, hours=1)
    assert sent() == 2


def test_the_monthly_message_fails_with_the_first_server_even_when_another_would_take_it(
    make_service: MakeService, caplog: pytest.LogCaptureFixture
) -> None:
    with SMTPServer(faults={"MAIL": "451 4.3.0 later"}) as broken, SMTPServer() as healthy:
        configurations = broken.configuration(1), healthy.configuration(2)
        service = make_service(smtp_configurations=configurations, reception_email="office@example.com")
        assert send_monthly_test(_office(service))
    assert healthy.received == []
    assert "the monthly test message was not delivered" in caplog.text


def test_leases_are_renewed_while_the_monthly_message_waits_for_a_silent_server(
    make_service: MakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "_TICK_S", 0.01)
    clock = Clock()
    with SMTPServer(faults={"MAIL": Hang()}) as server:
        configuration = server.configuration(timeout_s=60)
        service = make_service(
            clock=clock,
            monthly_test_email=True,
            smtp_configurations=(configuration,),
            reception_email="office@example.com",
        )
        office = _office(service)
        keeper = Housekeeper(office, clock.monotonic)
        keeper.start()
        _wait_until(lambda: any("MAIL" in line for transcript in server.transcripts for line in transcript))
        left = _leave(office, is_handed_over=True)
        office.under_way[left.id] = left
        for _ in range(8):
            clock.now += timedelta(seconds=6)
            _wait_until(lambda: _lease_until(office, left) > clock.now + timedelta(seconds=20))
        record.settle_abandoned(office)
        assert _status(office, left) is Status.SENDING
    keeper.stop()


def _lease_until(office: Office, left: Email) -> datetime:
    query = select(emails_table.c.lease_until).where(emails_table.c.id == left.id)
    return from_ms(office.database.read(lambda connection: connection.execute(query).scalar_one()))


def _wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_duty_that_fails_stops_no_other(make_service: MakeService, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    office = _office(make_service(clock=clock))
    keeper = Housekeeper(office, clock.monotonic)

    def fail(_: Office) -> None:
        raise KeyError("reason")

    performed: list[str] = []
    keeper._duties[0].perform = fail
    keeper._duties[1].perform = lambda _: performed.append("second")
    keeper.perform_due()
    assert performed == ["second"]
    assert "housekeeping failed" in caplog.text


@pytest.mark.parametrize("set_back", [timedelta(minutes=30), timedelta(days=400), -timedelta(minutes=30)])
def test_a_clock_that_is_put_right_holds_no_duty_up(make_service: MakeService, set_back: timedelta) -> None:
    clock = Clock()
    keeper = Housekeeper(_office(make_service(clock=clock)), clock.monotonic)
    performed: list[datetime] = []
    keeper._duties[2].perform = lambda _: performed.append(clock.now)
    keeper.perform_due()
    clock.set_back = set_back
    for _ in range(20):
        clock.now += timedelta(seconds=1)
        keeper.perform_due()
    assert [moment - performed[0] for moment in performed] == [timedelta(seconds=5 * n) for n in range(5)]


def test_when_the_clock_was_put_forward_the_living_renew_before_anybody_is_taken_for_dead(
    make_service: MakeService,
) -> None:
    clock = Clock()
    office = _office(make_service(clock=clock))
    keeper = Housekeeper(office, clock.monotonic)
    keeper.perform_due()
    left = _leave(office, is_handed_over=False)
    clock.now += timedelta(seconds=5)
    clock.set_back = -timedelta(minutes=30)
    keeper.perform_due()
    assert _status(office, left) is Status.SENDING
