"""A reply to a whole message that comes when nobody waits for it any more."""

import threading
import time
from contextlib import closing
from queue import Empty, SimpleQueue

import pytest

from app.model.outcome import Attempt, Delivery, Outcome, Stage
from app.smtp import late_replies, transaction
from app.smtp.delivery import Deliverer
from tests.smtp.conftest import Send
from tests.smtp_server import CHUNKING, PIPELINING, PLAIN, Deed, Drop, Fault, Hang, Late, SMTPServer

MODES = {"plain": PLAIN, "pipelining": PIPELINING, "chunking": CHUNKING}


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction.Transaction, "_final_timeout_s", lambda _: 0.05)


class Ear:
    """What was heard of late replies, in its order."""

    def __init__(self) -> None:
        self._heard: SimpleQueue[Attempt | None] = SimpleQueue()

    def listen(self, delivery: Delivery) -> None:
        assert delivery.outcome is Outcome.UNKNOWN
        assert delivery.listen is not None
        delivery.listen(self._heard.put)

    def hear(self) -> Attempt | None:
        return self._heard.get(timeout=10)

    def hears_nothing(self) -> bool:
        try:
            self._heard.get(timeout=0.1)
        except Empty:
            return True
        return False


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.mark.parametrize("is_encrypted", [False, True])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        ("250 2.0.0 queued", Outcome.ACCEPTED),
        ("250-2.0.0 scanned\r\n250 2.0.0 queued", Outcome.ACCEPTED),
        ("451 4.3.0 later", Outcome.SERVER_AT_FAULT),
        ("554 5.7.1 spam", Outcome.MESSAGE_REFUSED),
    ],
)
def test_a_late_reply_decides(
    reply: str, outcome: Outcome, mode: str, is_encrypted: bool, send: Send, ear: Ear
) -> None:
    with SMTPServer(MODES[mode], tls=is_encrypted, faults={"MESSAGE": Late(reply)}) as server:
        delivery = send(server.configuration(index=7))
        ear.listen(delivery)
        server.reply_late()
        late = ear.hear()
        assert late is not None
        assert (late.outcome, late.stage, late.smtp_id) == (outcome, Stage.MESSAGE, 7)
        assert late.code == int(reply[:3])
        assert late.started_at == delivery.attempts[0].started_at
        assert late.duration_ms >= delivery.attempts[0].duration_ms
        server.wait_until(lambda: "C: QUIT" in server.transcripts[0])
        assert ear.hears_nothing()


def test_where_all_left_in_one_write_every_reply_may_be_late(send: Send, ear: Ear) -> None:
    with SMTPServer(faults={"MAIL": Late("250 2.1.0 ok")}) as server:
        ear.listen(send(server.configuration()))
        server.reply_late()
        late = ear.hear()
    assert late is not None
    assert (late.outcome, len(server.messages)) == (Outcome.ACCEPTED, 1)


def test_of_several_recipients_the_refused_ones_are_known_when_the_reply_is_late(send: Send, ear: Ear) -> None:
    faults: dict[str, Fault] = {
        "RCPT": lambda argument: "450 4.2.0 later" if "second" in argument else None,
        "MESSAGE": Late("250 2.0.0 queued"),
    }
    with SMTPServer(faults=faults) as server:
        ear.listen(send(server.configuration(), recipients=["first@example.com", "second@example.com"]))
        server.reply_late()
        late = ear.hear()
    assert late is not None
    assert late.refused == late.deferred == ("second@example.com",)


def test_a_reply_that_came_before_anybody_listened_is_heard(send: Send, ear: Ear) -> None:
    for is_encrypted in (False, True):
        with SMTPServer(tls=is_encrypted, faults={"MESSAGE": Late("250 2.0.0 queued")}) as server:
            delivery = send(server.configuration())
            server.reply_late()
            time.sleep(0.1)
            ear.listen(delivery)
            assert ear.hear() is not None


@pytest.mark.parametrize(
    "reply", ["354 go on", "451 4.3.0 later\r\n250 2.0.0 queued", "what?"], ids=["354", "two that differ", "no reply"]
)
def test_a_late_reply_that_decides_nothing_leaves_it_unknown(reply: str, send: Send, ear: Ear) -> None:
    with SMTPServer(faults={"MESSAGE": Late(reply)}) as server:
        ear.listen(send(server.configuration()))
        server.reply_late()
        assert ear.hear() is None


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("late", "behind", "outcome"),
    [
        ("451 4.3.0 later", "250 2.0.0 queued\r\n221 bye", None),
        ("550 5.7.1 no", "250 2.0.0 queued\r\n221 bye", None),
        ("451 4.3.0 later", "554 5.7.1 spam\r\n221 bye", Outcome.SERVER_AT_FAULT),
        ("451 4.3.0 later", Drop(), Outcome.SERVER_AT_FAULT),
        ("451 4.3.0 later", Hang(), None),
    ],
)
def test_a_late_refusal_counts_only_as_the_last_word(
    late: str, behind: Deed, outcome: Outcome | None, mode: str, send: Send, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(behind, Hang):
        monkeypatch.setattr(late_replies, "LONGEST_WAIT_S", 0.3)
    # Whatever the server still has to say to the message comes before its answer to QUIT.
    with SMTPServer(MODES[mode], faults={"MESSAGE": Late(late), "QUIT": behind}) as server:
        ear.listen(send(server.configuration()))
        server.reply_late()
        heard = ear.hear()
        assert (None if heard is None else heard.outcome) is outcome
        server.wait_until(lambda: not server.open_connections or isinstance(behind, Hang))


def test_a_connection_that_ends_without_a_reply_leaves_it_unknown(send: Send, ear: Ear) -> None:
    with SMTPServer(faults={"MESSAGE": Hang()}) as server:
        ear.listen(send(server.configuration()))
        server.drop_connections()
        assert ear.hear() is None


def test_a_dropped_connection_is_not_listened_to(send: Send) -> None:
    with SMTPServer(faults={"MESSAGE": Drop()}) as server:
        delivery = send(server.configuration())
    assert (delivery.outcome, delivery.listen) == (Outcome.UNKNOWN, None)


def test_ten_minutes_are_the_longest(send: Send, ear: Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    assert late_replies.LONGEST_WAIT_S == 600
    monkeypatch.setattr(late_replies, "LONGEST_WAIT_S", 0.3)
    with SMTPServer(faults={"MESSAGE": Late("250 2.0.0 queued")}) as server:
        ear.listen(send(server.configuration()))
        assert ear.hear() is None
        server.reply_late()
        server.wait_until(lambda: not server.open_connections)
        server.speaks_late.clear()
        monkeypatch.setattr(late_replies, "LONGEST_WAIT_S", 0.0)
        assert send(server.configuration()).listen is None


def test_the_end_of_the_process_ends_the_listening(send: Send, ear: Ear, deliverer: Deliverer) -> None:
    with SMTPServer(faults={"MESSAGE": Late("250 2.0.0 queued")}) as server:
        for _ in range(3):
            ear.listen(send(server.configuration()))
        deliverer.close()
        assert [ear.hear() for _ in range(3)] == [None] * 3
        assert not any(thread.name == "smtp late replies" for thread in threading.enumerate())
        # Nobody begins to listen any more.
        assert send(server.configuration()).listen is None
        server.reply_late()
        server.wait_until(lambda: not server.open_connections)


def test_many_are_listened_to_by_one_thread_and_no_more_than_the_limit(
    send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late_replies, "SESSIONS_LIMIT", 10)
    with SMTPServer(faults={"MESSAGE": Late("250 2.0.0 queued")}) as server:
        ears = [Ear() for _ in range(10)]
        for ear in ears:
            ear.listen(send(server.configuration()))
        assert send(server.configuration()).listen is None
        assert sum(thread.name == "smtp late replies" for thread in threading.enumerate()) == 1
        server.reply_late()
        assert all(ear.hear() for ear in ears)
        # There is room again.
        server.speaks_late.clear()
        ears[0].listen(send(server.configuration()))
        server.reply_late()
        assert ears[0].hear() is not None


def test_a_session_that_is_listened_to_keeps_no_other_message_waiting(send: Send, ear: Ear) -> None:
    with SMTPServer(scripts=[{"MESSAGE": Late("250 2.0.0 queued")}]) as server:
        ear.listen(send(server.configuration(max_connections=1)))
        assert send(server.configuration(max_connections=1)).outcome is Outcome.ACCEPTED
        server.reply_late()
        assert ear.hear() is not None


def test_without_a_thread_to_listen_in_it_stays_unknown_and_the_next_one_is_listened_to(
    send: Send, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def give_none(thread: threading.Thread) -> None:
        if thread.name == "smtp late replies":
            raise RuntimeError("can't start new thread")
        start(thread)

    with SMTPServer(faults={"MESSAGE": Late("250 2.0.0 queued")}) as server:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", give_none)
            delivery = send(server.configuration())
        assert (delivery.outcome, delivery.listen) == (Outcome.UNKNOWN, None)
        ear.listen(send(server.configuration()))
        server.reply_late()
        assert ear.hear() is not None


def test_without_anything_late_there_is_no_thread(send: Send) -> None:
    with closing(Deliverer()), SMTPServer() as server:
        assert send(server.configuration()).outcome is Outcome.ACCEPTED
    assert not any(thread.name == "smtp late replies" for thread in threading.enumerate())
