"""The circuit by itself: a table of what happens to it, on a clock of the test's own."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from app.model.outcome import Outcome, Stage
from app.smtp.circuit import FAILURES_LIMIT, FIRST_PAUSE_S, LONGEST_PAUSE_S, Circuit, Condition, Leave, is_down
from app.smtp.outcome import Verdict


class Subject:
    """A circuit, its clock, and one-word steps.

    fail, succeed: a try is let in and ends so; pass: it is not let in. begin NAME lets one in that ends later by
    fail NAME, succeed NAME or drop NAME. force NAME begins one although the circuit is open. wait SECONDS. hang: a try
    is let in and fails behind the sign-in; sign-in: somebody without a message is let in by the server.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.circuit = Circuit(now=lambda: self.now)
        self.begun: dict[str, Leave] = {}
        self.opened = self.closed = 0

    def do(self, step: str) -> None:
        verb, _, name = step.partition(" ")
        match verb:
            case "wait":
                self.now += float(name)
            case "pass":
                assert self.circuit.admit() is None, step
            case "begin":
                self.begun[name] = self._admit()
            case "sign-in":
                self.closed += self.circuit.note_sign_in()
            case "hang":
                self.opened += self.circuit.note_failure(self._admit(), is_signed_in=True)
            case "force":
                self.begun[name] = self.circuit.leave
            case _:
                leave = self.begun.pop(name) if name else self._admit()
                if verb == "fail":
                    self.opened += self.circuit.note_failure(leave)
                elif verb == "succeed":
                    self.closed += self.circuit.note_success()
                else:
                    assert verb == "drop"
                self.circuit.give_back(leave)

    def play(self, *scripts: Iterable[str]) -> None:
        for script in scripts:
            for step in script:
                self.do(step)

    def _admit(self) -> Leave:
        leave = self.circuit.admit()
        assert leave is not None
        return leave


OPEN = ["fail"] * FAILURES_LIMIT
TABLE: dict[str, tuple[list[str], bool, int, int]] = {
    # name: steps, whether it is open after them, how often it opened, how often it closed
    "nothing happened": ([], False, 0, 0),
    "four failures": (OPEN[1:], False, 0, 0),
    "five failures": (OPEN, True, 1, 0),
    "not in a row": ([*OPEN[1:], "succeed", *OPEN[1:]], False, 0, 0),
    "a try without news is not a success": ([*OPEN[1:], "begin a", "drop a", "fail"], True, 1, 0),
    "nobody is let in during the pause": ([*OPEN, "pass", "wait 4.9", "pass"], True, 1, 0),
    "one is let in behind the pause": ([*OPEN, "wait 5", "begin a", "pass", "wait 60", "pass"], True, 1, 0),
    "nobody knows behind the pause": ([*OPEN, "wait 5"], False, 1, 0),
    "the probe succeeds": ([*OPEN, "wait 5", "succeed", "begin a", "begin b"], False, 1, 1),
    "after a success five more are needed": ([*OPEN, "wait 5", "succeed", *OPEN[1:]], False, 1, 1),
    "it opens again": ([*OPEN, "wait 5", "succeed", *OPEN, "wait 4.9", "pass"], True, 2, 1),
    "the probe fails": ([*OPEN, "wait 5", "fail", "wait 9.9", "pass"], True, 1, 0),
    "the second probe": ([*OPEN, "wait 5", "fail", "wait 10", "fail", "wait 19.9", "pass"], True, 1, 0),
    "the pause is short again after a success": (
        [*OPEN, "wait 5", "fail", "wait 10", "succeed", *OPEN, "wait 5", "succeed"],
        False,
        2,
        2,
    ),
    "a slow probe's pause begins at its end": (
        [*OPEN, "wait 5", "begin a", "wait 60", "fail a", "wait 9.9", "pass"],
        True,
        1,
        0,
    ),
    "a probe without news makes room for another": (
        [*OPEN, "wait 5", "begin a", "drop a", "begin b", "pass"],
        True,
        1,
        0,
    ),
    "a late probe does not disturb the next one": (
        [*OPEN, "wait 5", "begin a", "force x", "succeed x", *OPEN, "wait 5", "begin b", "fail a", "pass"],
        True,
        2,
        1,
    ),
    "stragglers do not lengthen the pause": (
        [*(f"begin {name}" for name in "abc"), *OPEN, "wait 4", *(f"fail {name}" for name in "abc"), "wait 1", "fail"],
        True,
        1,
        0,
    ),
    "stragglers do not end the probe": ([*["begin a"], *OPEN, "wait 5", "begin b", "fail a", "pass"], True, 1, 0),
    "stragglers do not open what a probe closed": (
        [*(f"begin {name}" for name in "abcde"), *OPEN, "wait 5", "succeed", *(f"fail {name}" for name in "abcde")],
        False,
        1,
        1,
    ),
    "a straggler's success closes it": (["begin a", *OPEN, "pass", "succeed a", "begin b"], False, 1, 1),
    "forced tries do not lengthen the pause": ([*OPEN, "force a", "fail a", "wait 5", "succeed"], False, 1, 1),
    "a forced try's success closes it": ([*OPEN, "force a", "succeed a", "begin b"], False, 1, 1),
}


@pytest.mark.parametrize("name", TABLE)
def test_what_happens_to_a_circuit(name: str) -> None:
    steps, is_open, opened, closed = TABLE[name]
    subject = Subject()
    subject.play(steps)
    assert (subject.circuit.is_open, subject.opened, subject.closed) == (is_open, opened, closed)


HANG = ["hang"] * FAILURES_LIMIT
KNOWN: dict[str, tuple[list[str], Condition]] = {
    "nothing happened": ([], Condition.UNKNOWN),
    "a try without news": (["begin a", "drop a"], Condition.UNKNOWN),
    "a success": (["succeed"], Condition.WORKING),
    "a sign-in": (["sign-in"], Condition.WORKING),
    "a failure": (["succeed", "fail"], Condition.FAILING),
    "a success behind a failure": (["fail", "succeed"], Condition.WORKING),
    "a sign-in behind a failure": (["fail", "sign-in"], Condition.WORKING),
    "the pause is over, and nobody has tried": ([*OPEN, "wait 5"], Condition.FAILING),
    "a probe is under way": ([*OPEN, "wait 5", "begin a"], Condition.FAILING),
    "the probe brings no news": ([*OPEN, "wait 5", "begin a", "drop a"], Condition.FAILING),
    "a sign-in closes what never let anybody in": ([*OPEN, "sign-in", "begin a", "begin b"], Condition.WORKING),
    "a sign-in where messages hang": (["hang", "sign-in"], Condition.WORKING),
    "a sign-in during a pause because of messages": ([*HANG, "sign-in"], Condition.FAILING),
    "and behind that pause": ([*HANG, "sign-in", "wait 5"], Condition.WORKING),
    "no sign-in behind that pause": ([*HANG, "wait 5"], Condition.FAILING),
    "sign-ins do not keep it from opening": (["hang", "sign-in"] * FAILURES_LIMIT, Condition.FAILING),
    "an old failure is no news": (["begin a", *OPEN, "wait 5", "succeed", "fail a"], Condition.WORKING),
    "once a message got through, sign-ins count again": (
        [*HANG, "wait 5", "succeed", "fail", "sign-in"],
        Condition.WORKING,
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_known_of_a_server(name: str) -> None:
    steps, condition = KNOWN[name]
    subject = Subject()
    subject.play(steps)
    assert subject.circuit.condition is condition


def test_the_pause_doubles_up_to_five_minutes() -> None:
    subject = Subject()
    subject.play(OPEN)
    pauses = []
    for _ in range(9):
        began = subject.now
        while subject.circuit.is_open:
            subject.now += 1
        pauses.append(subject.now - began)
        subject.do("fail")
    assert pauses == [FIRST_PAUSE_S, 10, 20, 40, 80, 160, LONGEST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_PAUSE_S]


def test_whoever_was_let_in_before_it_opened_can_see_that_it_did() -> None:
    subject = Subject()
    subject.do("begin early")
    assert not subject.circuit.has_opened_since(subject.begun["early"])
    subject.play(OPEN, ["force late"])
    assert subject.circuit.has_opened_since(subject.begun["early"])
    assert not subject.circuit.has_opened_since(subject.begun["late"])
    subject.play(["wait 5", "begin probe"])
    assert not subject.circuit.has_opened_since(subject.begun["probe"])
    subject.do("succeed probe")
    assert not subject.circuit.has_opened_since(subject.begun["early"])


def test_a_healthy_circuit_waits_for_no_lock() -> None:
    circuit = Circuit()
    with circuit._lock:
        leave = circuit.admit()
        assert leave is not None
        assert not circuit.note_success()
        circuit.give_back(leave)


def test_of_many_who_ask_at_once_one_probes() -> None:
    for _ in range(50):
        subject = Subject()
        subject.play(OPEN, ["wait 5"])
        barrier = Barrier(8)

        def ask(number: int, barrier: Barrier = barrier, circuit: Circuit = subject.circuit) -> Leave | None:
            barrier.wait(5)
            return circuit.admit()

        with ThreadPoolExecutor(8) as threads:
            assert len([leave for leave in threads.map(ask, range(8)) if leave is not None]) == 1


@pytest.mark.parametrize("stage", [Stage.DNS, Stage.CONNECT, Stage.GREETING, Stage.TLS, Stage.EHLO, Stage.AUTH])
@pytest.mark.parametrize("code", [None, 421, 454, 535, 554])
def test_before_the_message_every_failure_is_about_the_server(stage: Stage, code: int | None) -> None:
    assert is_down(Verdict(Outcome.SERVER_AT_FAULT, stage, code))


@pytest.mark.parametrize("stage", [Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.MESSAGE])
def test_from_mail_on_silence_and_421_are_about_the_server_and_other_answers_about_the_message(stage: Stage) -> None:
    for code in (None, 421):
        assert is_down(Verdict(Outcome.SERVER_AT_FAULT, stage, code))
    for code in (450, 451, 452, 550, 552, 554):
        assert not is_down(Verdict(Outcome.SERVER_AT_FAULT, stage, code))


def test_an_end_without_a_reply_to_the_message_is_about_the_server_and_acceptance_is_not() -> None:
    assert is_down(Verdict(Outcome.UNKNOWN, Stage.MESSAGE))
    assert not is_down(Verdict(Outcome.ACCEPTED, Stage.MESSAGE, 250))
    assert not is_down(Verdict(Outcome.RECIPIENT_REFUSED, Stage.RCPT, 550))
    assert not is_down(Verdict(Outcome.MESSAGE_REFUSED, Stage.MESSAGE, 554))
