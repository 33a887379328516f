"""Each SMTP fault, HTTP in and real SMTP out: nothing is lost or doubled, and the record is true.

The rows are those of `fault_rows`; each is met on a fresh and on a pooled session and by a worker, alone and with a
healthy server behind it.
"""

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.emails import record
from app.emails.office import Office
from app.emails.queue import deliver_one
from app.model.smtp import Security, SMTPConfiguration
from app.smtp import late_replies, resolver, transaction
from tests.conftest import Service, assembling, valid_request
from tests.smtp_server import CHUNKING, PIPELINING, Deed, Drop, Hang, Late, Reset, SMTPServer

from .fault_rows import BEFORE_THE_MESSAGE, ROWS, Breaking, Ending, Row

TIMEOUT_S = 0.3
FINAL = {Ending.ACCEPTED: "Sent", Ending.UNCERTAIN: "Uncertain"}


@dataclass(frozen=True)
class Mode:
    """How a message comes to a server."""

    name: str
    is_pooled: bool = False
    is_queued: bool = False


MODES = (Mode("fresh"), Mode("pooled", is_pooled=True), Mode("queued", is_queued=True))
CASES = [
    pytest.param(row, mode, id=f"{row.name}-{mode.name}")
    for row in ROWS
    for mode in MODES
    # To a worker a timeout that decides nothing is like any other fault of a server, and these take long.
    if not (mode.is_queued and row.is_slow and row.ending is Ending.FAULT)
]


class House:
    """One service for all rows, because assembling one takes longer than a row. It gets other servers for each."""

    def __init__(self, service: Service, clock: "Clock") -> None:
        self.service = service
        self.clock = clock
        self.office: Office = service.app.extensions["letterbox"]

    def use(self, *configurations: SMTPConfiguration) -> None:
        object.__setattr__(self.office.settings, "smtp_configurations", configurations)

    def send(self, body: dict[str, Any], mode: Mode) -> tuple[int, str, dict[str, Any]]:
        """The status code, the title of what is not an email, and the record; of a queued one behind its first try."""
        answer = self.service.post(json=body, headers={"Prefer": "respond-async"} if mode.is_queued else {})
        assert answer.json is not None
        email_id = answer.json.get("id") or answer.json["emailId"]
        if mode.is_queued:
            self.work(email_id)
        return answer.status_code, answer.json.get("title", ""), self.look_up(email_id)

    def work(self, email_id: str) -> None:
        """What a worker does when the email is due."""
        (email,) = record.claim(self.office, limit=10)
        assert email.id == email_id
        deliver_one(self.office, email)

    def look_up(self, email_id: str) -> dict[str, Any]:
        answer = self.service.client.get(f"/api/v1/emails/{email_id}")
        assert isinstance(answer.json, dict)
        return answer.json


class Clock:
    """The time, which a test can put forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    clock = Clock()
    with assembling(tmp_path_factory.mktemp("matrix")) as make, SMTPServer() as server:
        service = make(smtp_configurations=(server.configuration(),), reception_email="office@example.com", clock=clock)
        yield House(service, clock)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("has_second", [False, True], ids=["alone", "with a second"])
@pytest.mark.parametrize(("row", "mode"), CASES)
def test_a_fault_ends_as_it_should(
    row: Row, mode: Mode, has_second: bool, house: House, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, configuration = _first_server(row, stack)
    healthy = stack.enter_context(SMTPServer(CHUNKING))
    stack.callback(house.office.deliverer.forget, [configuration, *(healthy.configuration(index) for index in (1, 2))])
    house.use(configuration, *([healthy.configuration(2)] if has_second else []))
    monkeypatch.setattr(resolver, "CACHE_S", 0.0)
    if row.is_slow:
        monkeypatch.setattr(transaction.Transaction, "_final_timeout_s", lambda _: TIMEOUT_S)
        monkeypatch.setattr(late_replies, "LONGEST_WAIT_S", TIMEOUT_S)
    if mode.is_pooled:
        _warm_up(house, row, first)
    row.breaks(Breaking(first, stack, monkeypatch))
    first.faults.update(row.faults)  # type: ignore[attr-defined]
    before = len(first.received)
    body = valid_request(**row.request)
    body["Email"] = body["Email"].replace("{unique}", uuid.uuid4().hex)

    status_code, title, email = house.send(body, mode)

    is_rescued = row.ending is Ending.FAULT and has_second
    status = "Sent" if is_rescued else FINAL.get(row.ending, "Failed")
    if mode.is_queued and row.ending is Ending.FAULT and not has_second:
        status = "Deferred"
    attempts = [(1, row.ending.value, row.stage)] + [(2, "accepted", "message")] * is_rescued
    assert [(each["smtpId"], each["outcome"], each["stage"]) for each in email["attempts"]] == attempts
    assert email["status"] == status
    assert email["deliveredSmtpId"] == {"Sent": 2 if is_rescued else 1}.get(status)
    assert (status_code, title) == _answer_to(status, mode)
    first.wait_until(lambda: len(first.received) == before + row.arrives)
    assert len(healthy.messages) == is_rescued
    _assert_cooldown(house, body, healthy, status=status)
    if status == "Deferred":
        _assert_it_comes_later(house, email["id"])
    # It arrived where the row says and where it was delivered, and nowhere else.
    assert len(first.received) == before + row.arrives
    assert _copies(email["id"], healthy) == (is_rescued or status == "Deferred")


@pytest.mark.parametrize("fault", [Drop(), Reset(), "421 4.3.2 closing", Hang()], ids=["drop", "reset", "421", "hang"])
@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
def test_a_session_that_the_server_gave_up_is_replaced_and_nobody_notices(
    step: str, fault: Deed, house: House, stack: ExitStack
) -> None:
    # Each connection takes one message and ends at the second.
    server = stack.enter_context(SMTPServer(PIPELINING, faults={step: [None, fault]}))
    configuration = server.configuration(timeout_s=TIMEOUT_S if isinstance(fault, Hang) else 5.0)
    stack.callback(house.office.deliverer.forget, [configuration])
    house.use(configuration)
    for _ in range(2):
        status_code, _, email = house.send(valid_request(), MODES[0])
        assert (status_code, email["status"], len(email["attempts"])) == (201, "Sent", 1)
    assert server.connections == 2
    assert len(server.received) == len(server.messages) == 2


@pytest.mark.parametrize("has_second", [False, True], ids=["alone", "with a second"])
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
@pytest.mark.parametrize("extensions", [PIPELINING, CHUNKING], ids=["DATA", "BDAT"])
@pytest.mark.parametrize("reply", ["250 2.0.0 queued", "452 4.3.1 disk full", "554 5.7.1 spam"])
def test_a_late_reply_is_the_last_word(
    reply: str,
    extensions: tuple[str, ...],
    mode: Mode,
    has_second: bool,
    house: House,
    stack: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transaction.Transaction, "_final_timeout_s", lambda _: 0.05)
    first = stack.enter_context(SMTPServer(extensions))
    healthy = stack.enter_context(SMTPServer(CHUNKING))
    servers = (first.configuration(1), *([healthy.configuration(2)] if has_second else []))
    stack.callback(house.office.deliverer.forget, [*servers, *(healthy.configuration(index) for index in (1, 2))])
    house.use(*servers)
    if mode.is_pooled:
        assert house.service.post().status_code == 201
    first.faults.update({"MESSAGE": Late(reply)})  # type: ignore[attr-defined]
    body = valid_request()

    status_code, title, email = house.send(body, mode)

    assert email["status"] == ("Sending" if mode.is_queued else "Uncertain")
    assert (status_code, title) == _answer_to("Uncertain", mode)
    first.reply_late()
    is_taken, is_refused = reply.startswith("2"), reply.startswith("5")
    status = "Sent" if is_taken else "Deferred" if mode.is_queued and not is_refused else "Failed"
    first.wait_until(lambda: house.look_up(email["id"])["status"] == status)
    (attempt,) = house.look_up(email["id"])["attempts"]
    outcome = Ending.ACCEPTED if is_taken else Ending.MESSAGE_REFUSED if is_refused else Ending.FAULT
    assert (attempt["smtpId"], attempt["outcome"], attempt["stage"]) == (1, outcome.value, "message")
    _assert_cooldown(house, body, healthy, status=status)
    if status == "Deferred":
        _assert_it_comes_later(house, email["id"])
    assert [_copies(email["id"], server) for server in (first, healthy)] == [1, status == "Deferred"]


def _first_server(row: Row, stack: ExitStack) -> tuple[SMTPServer, SMTPConfiguration]:
    """Healthy as yet; it asks for STARTTLS and a password."""
    credentials = ("sender@example.com", "secret")
    server = stack.enter_context(SMTPServer(row.extensions, starttls=True, credentials=credentials))
    timeout_s = TIMEOUT_S if row.is_slow else 5.0
    changes = {"security": Security.STARTTLS, "timeout_s": timeout_s, **row.configuration}
    return server, server.configuration(1, **changes)


def _warm_up(house: House, row: Row, first: SMTPServer) -> None:
    """A session in the pool; where the fault comes before the message, one that the server has ended since."""
    assert house.service.post().status_code == 201
    assert first.connections == 1
    if row.stage in BEFORE_THE_MESSAGE or "AUTH" in row.faults:
        first.drop_connections()
        first.wait_until(lambda: not first.open_connections)


def _answer_to(status: str, mode: Mode) -> tuple[int, str]:
    if mode.is_queued:
        return 202, ""
    answers = {"Sent": (201, ""), "Uncertain": (502, "Email delivery uncertain")}
    return answers.get(status, (502, "Email delivery failed"))


def _assert_cooldown(house: House, body: dict[str, Any], healthy: SMTPServer, *, status: str) -> None:
    """Only a sender whose email certainly failed may send again at once."""
    house.use(healthy.configuration(1))
    answer = house.service.post(json=body)
    if status == "Failed":
        assert answer.status_code == 201
    else:
        assert answer.status_code == 400
        assert "Retry-After" in answer.headers


def _assert_it_comes_later(house: House, email_id: str) -> None:
    """A deferred email is delivered once its time has come."""
    assert record.claim(house.office, limit=10) == []
    house.clock.ahead += timedelta(minutes=1)
    house.work(email_id)
    assert house.look_up(email_id)["status"] == "Sent"


def _copies(email_id: str, server: SMTPServer) -> int:
    return sum(message.parsed["X-Email-Id"] == email_id for message in server.received)
