"""The cooldown's reservation on each database, its sentence, and who counts as the same sender."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.guards import cooldown
from app.guards.cooldown import Refusal, normalise_sender, wait_sentence
from app.storage import cooldowns
from app.storage.cooldowns import CooldownKey
from app.storage.database import Database
from app.storage.tables import metadata

HOUR_MS = 3_600_000
START_MS = 1_767_787_200_000
ANN = CooldownKey("ann@example.com", 1, False)


class Desk:
    """Reservations and settlements of one sender, each in a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now_ms = START_MS

    def reserve(self, email_id: str, key: CooldownKey = ANN, **changes: Any) -> Refusal | None:
        arguments = {**key._asdict(), "reserved_by": email_id, "now_ms": self.now_ms, "step_ms": HOUR_MS, **changes}
        return self.database.write(lambda connection: cooldown.reserve(connection, **arguments))

    def settle(self, email_id: str, *, counted: bool, key: CooldownKey = ANN) -> None:
        arguments = {**key._asdict(), "reserved_by": email_id, "counted": counted, "now_ms": self.now_ms}
        self.database.write(lambda connection: cooldown.settle(connection, **arguments))

    def send(self, email_id: str, key: CooldownKey = ANN) -> None:
        assert self.reserve(email_id, key) is None
        self.settle(email_id, counted=True, key=key)

    def take_back(self, *, counted_at_ms: int) -> None:
        arguments = {**ANN._asdict(), "counted_at_ms": counted_at_ms, "created_at_ms": counted_at_ms}
        self.database.write(lambda connection: cooldown.take_back(connection, **arguments, step_ms=HOUR_MS))

    def is_held(self, email_id: str) -> bool:
        return self.database.read(
            lambda connection: cooldown.is_held(connection, **ANN._asdict(), reserved_by=email_id)
        )

    def extend(self, email_id: str) -> bool:
        arguments = {**ANN._asdict(), "reserved_by": email_id, "now_ms": self.now_ms}
        return self.database.write(lambda connection: cooldown.extend(connection, **arguments))

    def row(self) -> cooldowns.CooldownRow | None:
        return self.database.read(lambda connection: cooldowns.find(connection, ANN))


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    database = Database(database_url)
    database.write(metadata.create_all)
    yield Desk(database)
    database.close()


def test_after_n_messages_the_sender_waits_n_hours(desk: Desk) -> None:
    for usage in (1, 2, 3, 4):
        desk.send(f"EMAIL{usage}")
        assert desk.reserve("TOOSOON") == Refusal(wait_s=usage * 3600.0, usage=usage)
        desk.now_ms += usage * HOUR_MS - 1
        assert desk.reserve("TOOSOON") == Refusal(wait_s=0.001, usage=usage)
        desk.now_ms += 1


def test_of_thirty_simultaneous_messages_exactly_one_is_let_through(desk: Desk) -> None:
    other = Database(desk.database.url.render_as_string(hide_password=False))
    desks = [desk, Desk(other)]
    with ThreadPoolExecutor(30) as threads:
        answers = list(threads.map(lambda number: desks[number % 2].reserve(f"EMAIL{number:03}"), range(30)))
    other.close()

    assert answers.count(None) == 1
    assert answers.count(Refusal(wait_s=3600.0, usage=1)) == 29


def test_a_message_on_its_way_counts_as_delivered_just_now(desk: Desk) -> None:
    desk.send("FIRST")
    desk.now_ms += HOUR_MS
    assert desk.reserve("SECOND") is None
    desk.now_ms += 30_000

    assert desk.reserve("THIRD") == Refusal(wait_s=7200.0, usage=2)


def test_a_failed_message_leaves_no_trace(desk: Desk) -> None:
    assert desk.reserve("FAILED") is None
    desk.settle("FAILED", counted=False)
    assert desk.row() is None

    desk.send("FIRST")
    before = desk.row()
    desk.now_ms += HOUR_MS
    assert desk.reserve("FAILED") is None
    desk.settle("FAILED", counted=False)
    assert desk.row() == before
    assert desk.reserve("SECOND") is None


def test_a_reservation_ends_by_itself_after_a_minute(desk: Desk) -> None:
    assert desk.reserve("CRASHED") is None
    desk.now_ms += 59_999
    assert desk.reserve("SECOND") is not None
    desk.now_ms += 1
    assert desk.reserve("SECOND") is None


def test_only_who_has_the_reservation_holds_it_also_when_it_has_expired(desk: Desk) -> None:
    assert desk.reserve("SLOW") is None
    assert desk.is_held("SLOW")
    assert not desk.is_held("SECOND")
    desk.now_ms += 60_000
    assert desk.is_held("SLOW"), "it has expired, but nobody has taken it over"
    assert desk.reserve("SECOND") is None
    assert not desk.is_held("SLOW")


def test_a_reservation_can_be_held_for_longer(desk: Desk) -> None:
    assert desk.reserve("SLOW") is None
    desk.now_ms += 50_000
    assert desk.extend("SLOW")
    desk.now_ms += 59_999
    assert desk.reserve("SECOND") is not None
    desk.now_ms += 1
    assert desk.extend("SLOW"), "it has expired, but nobody has taken it over"
    desk.now_ms += 60_000
    assert desk.reserve("SECOND") is None
    assert not desk.extend("SLOW")


def test_reserving_again_for_the_same_email_is_no_second_message(desk: Desk) -> None:
    assert desk.reserve("FIRST") is None
    assert desk.reserve("FIRST") is None


def test_a_message_that_was_overtaken_counts_and_the_other_keeps_its_reservation(desk: Desk) -> None:
    assert desk.reserve("SLOW") is None
    desk.now_ms += 60_000
    assert desk.reserve("SECOND") is None
    desk.settle("SLOW", counted=True)

    assert desk.reserve("THIRD") == Refusal(wait_s=7200.0, usage=2), "the second one is still on its way"
    desk.now_ms += 1_000
    desk.settle("SECOND", counted=True)
    assert desk.reserve("THIRD") == Refusal(wait_s=7200.0, usage=2), "both were delivered"


def test_a_failed_message_that_was_overtaken_does_not_release_the_others_reservation(desk: Desk) -> None:
    assert desk.reserve("SLOW") is None
    desk.now_ms += 60_000
    assert desk.reserve("SECOND") is None
    desk.settle("SLOW", counted=False)

    assert desk.reserve("THIRD") == Refusal(wait_s=3600.0, usage=1)


def test_a_delivered_message_counts_even_when_its_row_is_gone(desk: Desk) -> None:
    assert desk.reserve("SLOW") is None
    desk.now_ms += 60_001
    assert desk.database.write(lambda connection: cooldown.prune(connection, desk.now_ms)) == 1
    desk.settle("SLOW", counted=True)

    assert desk.reserve("SECOND") == Refusal(wait_s=3600.0, usage=1)


def test_a_late_settlement_does_not_set_the_last_message_back(desk: Desk) -> None:
    desk.send("FIRST")
    desk.now_ms -= 5_000
    desk.settle("RECOVERED", counted=True)
    desk.now_ms += 5_000

    assert desk.reserve("SECOND") == Refusal(wait_s=7200.0, usage=2)


@pytest.mark.parametrize("earlier", [0, 1, 3])
def test_what_is_taken_back_leaves_the_cooldown_as_if_it_had_never_been(desk: Desk, earlier: int) -> None:
    for usage in range(1, earlier + 1):
        desk.send(f"EMAIL{usage}")
        desk.now_ms += usage * HOUR_MS
    desk.send("UNKNOWN")
    desk.take_back(counted_at_ms=desk.now_ms)
    # At once, and with the wait that follows the messages before it.
    desk.send("NEXT")
    assert desk.reserve("TOOSOON") == Refusal(wait_s=(earlier + 1) * 3600.0, usage=earlier + 1)


def test_what_is_taken_back_leaves_a_later_message_and_a_reservation_alone(desk: Desk) -> None:
    desk.send("UNKNOWN")
    counted_at_ms = desk.now_ms
    desk.now_ms += HOUR_MS
    assert desk.reserve("HOLDING") is None
    desk.take_back(counted_at_ms=counted_at_ms)
    assert desk.is_held("HOLDING")
    desk.settle("HOLDING", counted=True)
    assert desk.row() == (1, desk.now_ms, None)
    desk.now_ms += HOUR_MS
    desk.send("LATER")
    desk.take_back(counted_at_ms=counted_at_ms)
    assert desk.row() == (1, desk.now_ms, None)


@pytest.mark.parametrize("other", [ANN._replace(is_test=True), ANN._replace(smtp_id=2), ANN._replace(sender="b@x.de")])
def test_test_mode_and_every_configuration_and_sender_count_apart(desk: Desk, other: CooldownKey) -> None:
    desk.send("FIRST")
    desk.send("OTHER", other)

    assert desk.reserve("SECOND") == desk.reserve("SECOND", other) == Refusal(wait_s=3600.0, usage=1)


def test_pruning_spares_who_sent_since_and_who_is_sending(desk: Desk) -> None:
    desk.send("OLD", ANN._replace(sender="old@example.com"))
    desk.now_ms += HOUR_MS
    desk.send("NEW", ANN._replace(sender="new@example.com"))
    assert desk.reserve("SENDING") is None

    assert desk.database.write(lambda connection: cooldown.prune(connection, desk.now_ms)) == 1
    assert desk.reserve("NEXT", ANN._replace(sender="new@example.com")) is not None
    assert desk.reserve("NEXT") is not None
    assert desk.reserve("NEXT", ANN._replace(sender="old@example.com")) is None


@pytest.mark.parametrize(
    ("wait_s", "duration"),
    [
        (-1, "1 second"),
        (0, "1 second"),
        (0.2, "1 second"),
        (1, "1 second"),
        (1.001, "2 seconds"),
        (59, "59 seconds"),
        (59.5, "1 minute"),
        (60, "1 minute"),
        (60.001, "1 minute 1 second"),
        (62, "1 minute 2 seconds"),
        (120, "2 minutes"),
        (3570, "59 minutes 30 seconds"),
        (3599, "59 minutes 59 seconds"),
        (3599.5, "1 hour"),
        (3600, "1 hour"),
        (3600.001, "1 hour 1 minute"),
        (3660, "1 hour 1 minute"),
        (7141, "2 hours"),
        (7200, "2 hours"),
        (7500, "2 hours 5 minutes"),
        (360_000, "100 hours"),
    ],
)
def test_the_wait_is_told_in_two_units_at_most_and_never_too_short(wait_s: float, duration: str) -> None:
    assert f"in {duration} (" in wait_sentence(wait_s, 1)


def test_the_sentence_is_that_of_the_contract() -> None:
    assert wait_sentence(3570, 1) == (
        "This email has already been used to send a message recently. "
        "You can send another message in 59 minutes 30 seconds (Usage: 1)"
    )


UNIT_S = {"hour": 3600, "minute": 60, "second": 1}


@given(st.integers(1, 100 * HOUR_MS))
def test_whoever_waits_as_told_has_waited_long_enough(wait_ms: int) -> None:
    words = wait_sentence(wait_ms / 1000, 1).partition(" message in ")[2].partition(" (")[0].split()
    told_s = sum(int(number) * UNIT_S[unit.rstrip("s")] for number, unit in zip(words[::2], words[1::2], strict=True))

    assert wait_ms / 1000 <= told_s < wait_ms / 1000 + (60 if told_s > 3600 else 1)


@pytest.mark.parametrize(
    ("email", "normal"),
    [
        ("Ann@Example.COM", "ann@example.com"),
        ("ann+shop@example.com", "ann@example.com"),
        ("ann+a+b@example.com", "ann@example.com"),
        ("+tag@example.com", "+tag@example.com"),
        ("a.n.n@example.com", "a.n.n@example.com"),
        ("ann@BÜCHER.example", "ann@xn--bcher-kva.example"),
        ("ann@bu\u0308cher.example", "ann@xn--bcher-kva.example"),
        ("ann@XN--BCHER-KVA.example", "ann@xn--bcher-kva.example"),
        ("ann@straße.example", "ann@xn--strae-oqa.example"),
        ("ann@ｅxample。com", "ann@example.com"),
        ("ÄNN@example.com", "änn@example.com"),
        ("A\u0308nn@example.com", "änn@example.com"),
        ("ann@-ü-.example", "ann@-ü-.example"),
    ],
)
def test_spellings_of_one_address_are_one_sender(email: str, normal: str) -> None:
    assert normalise_sender(email) == normal
    assert normalise_sender(normal) == normal
