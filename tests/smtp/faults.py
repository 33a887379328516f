"""What a test server can do instead of its healthy reply. Used by tests through `tests.smtp_server`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Raw:
    """These bytes instead of a reply, and the dialogue goes on."""

    data: bytes


@dataclass(frozen=True)
class Drop:
    """An orderly end of the connection (FIN), after these bytes."""

    last_words: bytes = b""


@dataclass(frozen=True)
class Reset:
    """An abrupt end of the connection (RST), after these bytes."""

    last_words: bytes = b""


@dataclass(frozen=True)
class Hang:
    """Silence until the test is over; then the connection ends."""


@dataclass(frozen=True)
class Drip:
    """One byte of this at a time, without end: it begins again."""

    data: bytes = b"250-still busy\r\n"
    interval_s: float = 0.02


@dataclass(frozen=True)
class Late:
    """This reply, but not before the test calls `reply_late`; until then silence."""

    reply: str


Deed = str | Raw | Drop | Reset | Hang | Drip | Late | None
Fault = Deed | Callable[[str], Deed] | Sequence[Deed]


def refuse(address: str, reply: str = "550 5.1.1 no such user") -> Callable[[str], Deed]:
    """A fault for RCPT or MAIL: refuses one address and is healthy for the others."""
    return lambda argument: reply if f"<{address}>" in argument else None
