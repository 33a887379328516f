"""Of several recipients a server takes some and refuses others for now: these get their copy later, nobody a second."""

import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.emails import record
from app.emails.office import Office
from app.emails.queue import deliver_one
from app.storage import queue
from tests.conftest import MakeService, valid_request
from tests.emails.mailroom import Mailroom
from tests.emails.test_queue import ASYNC, Clock
from tests.smtp_server import CHUNKING, PIPELINING, PLAIN, Deed, Drop, Fault, SMTPServer

A, B, C = "a@example.com", "b@example.com", "c@example.com"
LATER, NEVER = "451 4.7.1 greylisted", "550 5.1.1 no such user"
LEASE_IS_OVER = record.LEASE + timedelta(seconds=1)

Script = Mapping[str, Deed]
"""The reply to RCPT by a recipient's first letter, and to the whole MESSAGE; healthy where nothing is said."""


def faults(script: Script) -> dict[str, Fault]:
    def rcpt(argument: str) -> Deed:
        return script.get(argument.removeprefix("TO:<")[0])

    return {"RCPT": rcpt} | ({"MESSAGE": script["MESSAGE"]} if "MESSAGE" in script else {})


class Round:
    """A service with one server whose script changes from round to round, and an email to A, B and C on its way."""

    def __init__(self, make_service: MakeService, server: SMTPServer, **settings: Any) -> None:
        self.server = server
        self.clock = Clock()
        self.mailroom = Mailroom(
            make_service(clock=self.clock, smtp_configurations=(server.configuration(),), **settings)
        )
        self.office: Office = self.mailroom.office
        answer = self.post(ASYNC)
        assert answer.status_code == 202
        self._location = answer.headers["Location"]

    def post(self, headers: dict[str, str]) -> Any:
        body = valid_request(To=[A], CC=[B], BCC=[C])
        return self.mailroom.service.post(json=body, headers=self.mailroom.headers | headers)

    @property
    def found(self) -> dict[str, Any]:
        found = self.mailroom.get(self._location).json
        assert isinstance(found, dict)
        return found

    def script(self, script: Script) -> None:
        self.server.faults = faults(script)
        # Sessions that are open keep to the old script.
        self.office.deliverer.forget([self.server.configuration()])

    def work_off(self, script: Script) -> str:
        """Lets the worker do what is due next, when it is; the status behind that."""
        self.script(script)
        self.clock.now = max(self.clock.now, datetime.fromisoformat(self.found["nextAttemptAt"]))
        (email,) = record.claim(self.office)
        status = deliver_one(self.office, email).status
        assert self.found["status"] == status
        return status

    def lose_lease(self) -> None:
        self.office.under_way.clear()
        self.clock.now += LEASE_IS_OVER
        record.settle_abandoned(self.office)

    @property
    def envelopes(self) -> list[tuple[str, ...]]:
        return [message.recipients for message in self.server.messages]


@pytest.mark.parametrize(
    ("scripts", "envelopes", "status", "refused"),
    [
        ([{"b": LATER}, {}], [(A, C), (B,)], "Sent", []),
        ([{"b": LATER}, {"b": LATER}, {}], [(A, C), (B,)], "Sent", []),
        ([{"b": LATER, "c": LATER}, {"c": LATER}, {}], [(A,), (B,), (C,)], "Sent", []),
        ([{"b": LATER, "c": NEVER}, {}], [(A,), (B,)], "Sent", [C]),
        ([{"b": LATER}, {"b": NEVER}], [(A, C)], "Sent", [B]),
        ([{"b": LATER, "c": LATER}, {"b": NEVER}], [(A,), (C,)], "Sent", [B]),
        ([{"a": LATER, "c": NEVER}, {"a": NEVER}], [(B,)], "Sent", [A, C]),
        ([{"b": LATER}, {"MESSAGE": "554 5.6.0 spam"}], [(A, C)], "Sent", [B]),
        ([{"b": LATER}, {"MESSAGE": "451 4.3.0 later"}, {}], [(A, C), (B,)], "Sent", []),
        ([{"b": LATER}, {"MESSAGE": Drop()}], [(A, C)], "Uncertain", []),
        ([{"a": LATER, "b": LATER, "c": LATER}, {"b": NEVER}], [(A, C)], "Sent", [B]),
        ([{"b": NEVER}], [(A, C)], "Sent", [B]),
        ([{"a": NEVER, "b": NEVER, "c": NEVER}], [], "Failed", []),
    ],
)
def test_each_recipient_gets_one_copy_as_soon_as_a_server_takes_it(
    make_service: MakeService,
    scripts: list[Script],
    envelopes: list[tuple[str, ...]],
    status: str,
    refused: list[str],
) -> None:
    with SMTPServer() as server:
        way = Round(make_service, server)
        for script in scripts[:-1]:
            assert way.work_off(script) == "Deferred"
            assert way.found["nextAttemptAt"] is not None
            assert (way.found["refusedRecipients"], way.found["deliveredSmtpId"]) == ([], None)
        assert way.work_off(scripts[-1]) == status
        assert way.found["refusedRecipients"] == refused
        assert (way.found["nextAttemptAt"], len(way.found["attempts"])) == (None, len(scripts))
        assert way.found["deliveredSmtpId"] == (1 if status == "Sent" else None)
        assert way.office.database.read(lambda connection: queue.find_message(connection, way.found["id"])) is None
    assert way.envelopes == envelopes


@pytest.mark.parametrize("extensions", [PLAIN, PIPELINING, CHUNKING])
def test_who_is_left_over_is_on_record(
    make_service: MakeService, database_url: str, extensions: tuple[str, ...]
) -> None:
    with SMTPServer(extensions) as server:
        way = Round(make_service, server, database_url=database_url)
        way.script({"b": LATER, "c": NEVER})
        (email,) = record.claim(way.office)
        (attempt,) = deliver_one(way.office, email).attempts
        assert (attempt.recipients, attempt.refused, attempt.deferred) == ((A, B, C), (B, C), (B,))
        way.clock.now += timedelta(minutes=1)
        (again,) = record.claim(way.office)
        assert [(each.refused, each.deferred) for each in again.attempts] == [((B, C), (B,))]
        way.script({})
        assert deliver_one(way.office, again).status == "Sent"
    assert way.envelopes == [(A,), (B,)]


def test_who_is_never_taken_within_the_lifetime_is_named(make_service: MakeService) -> None:
    with SMTPServer() as server:
        way = Round(make_service, server)
        rounds = 1
        status = way.work_off({"b": LATER})
        while status == "Deferred":
            assert rounds < 100
            status = way.work_off({"b": LATER})
            rounds += 1
        assert (status, way.found["refusedRecipients"], way.found["deliveredSmtpId"]) == ("Sent", [B], 1)
        assert rounds > 20
    assert way.envelopes == [(A, C)]


def test_a_caller_who_waits_learns_at_once_who_was_refused(make_service: MakeService) -> None:
    with SMTPServer(faults=faults({"b": LATER})) as server:
        way = Round(make_service, server)
        answer = way.post({})
        assert (answer.status_code, answer.json["status"], answer.json["refusedRecipients"]) == (201, "Sent", [B])
    assert way.envelopes == [(A, C)]


def test_a_crash_between_the_reply_and_its_record_sends_no_second_copy(
    make_service: MakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    with SMTPServer() as server:
        way = Round(make_service, server)
        with monkeypatch.context() as patch:
            patch.setattr(record, "put_back", die)
            with pytest.raises(Killed):
                way.work_off({"b": LATER})
        way.lose_lease()
        assert way.found["status"] == "Uncertain"
        way.clock.now += timedelta(hours=1)
        assert record.claim(way.office) == []
    assert way.envelopes == [(A, C)]


def test_a_crash_in_a_later_round_leaves_the_same_ones_over(make_service: MakeService) -> None:
    with SMTPServer() as server:
        way = Round(make_service, server)
        assert way.work_off({"b": LATER}) == "Deferred"
        way.clock.now += timedelta(minutes=1)
        assert len(record.claim(way.office)) == 1
        way.lose_lease()
        assert way.work_off({}) == "Sent"
    assert way.envelopes == [(A, C), (B,)]


def test_a_worker_that_was_given_up_ends_no_round_of_another_one(make_service: MakeService) -> None:
    # Command by command: the refusal comes before the hand-over, which would not be recorded any more.
    with SMTPServer(PLAIN) as server:
        way = Round(make_service, server)
        assert way.work_off({"b": LATER}) == "Deferred"
        way.clock.now += timedelta(minutes=1)
        (frozen,) = record.claim(way.office)
        way.lose_lease()
        (other,) = record.claim(way.office)
        way.script({"b": NEVER})
        assert deliver_one(way.office, frozen).refused_recipients == (B,)
        assert way.found["status"] == "Sending"
        way.script({})
        assert deliver_one(way.office, other).status == "Sent"
        assert way.found["refusedRecipients"] == []
    assert way.envelopes == [(A, C), (B,)]


def test_a_reply_that_comes_behind_the_lease_leaves_over_whom_the_server_deferred(
    make_service: MakeService, database_url: str
) -> None:
    gate = threading.Event()

    def hold(_: str) -> Deed:
        gate.wait(10)
        return "250 2.0.0 ok"

    with SMTPServer() as server:
        way = Round(make_service, server, database_url=database_url)
        server.faults = faults({"b": LATER}) | {"MESSAGE": hold}
        (email,) = record.claim(way.office)
        worker = threading.Thread(target=deliver_one, args=(way.office, email))
        worker.start()
        server.wait_until(lambda: any("BDAT" in line for lines in server.transcripts for line in lines))
        way.lose_lease()
        assert way.found["status"] == "Uncertain"
        gate.set()
        worker.join()
        assert way.found["status"] == "Deferred"
        assert way.work_off({}) == "Sent"
    assert way.envelopes == [(A, C), (B,)]
