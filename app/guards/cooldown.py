"""How long a sender has to wait between messages (spec: abuse protection, "Per sender: cooldown").

Used by `emails.record`: `reserve` before sending, `is_held` before the hand-over, `extend` while it takes long, and
`settle` when the outcome is known. A reservation that nobody settles ends by itself. All run in the caller's
transaction, as one with the record.
"""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from math import ceil

import idna
from sqlalchemy import Connection

from app.storage import cooldowns
from app.storage.cooldowns import CooldownKey, CooldownRow

HOLD_MS = 60_000
"""How long a reservation stands when its process dies."""

# A refusal that was read a moment after it was decided may be out of date; then the decision is taken again.
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Refusal:
    """The sender has to wait `wait_s` seconds, having sent `usage` messages."""

    wait_s: float
    usage: int


def reserve(
    connection: Connection,
    *,
    sender: str,
    smtp_id: int,
    is_test: bool,
    reserved_by: str,
    now_ms: int,
    step_ms: int,
    hold_ms: int = HOLD_MS,
) -> Refusal | None:
    """Let one message of this sender through, or say how long it has to wait.

    `sender` is in normal form, `reserved_by` is the email's id. Of simultaneous calls exactly one gets None. A message
    that is on its way is treated as if it had been delivered just now.
    """
    key = CooldownKey(sender, smtp_id, is_test)
    for _ in range(_TRIES):
        if cooldowns.reserve(connection, key, email_id=reserved_by, now_ms=now_ms, step_ms=step_ms, hold_ms=hold_ms):
            return None
        row = cooldowns.find(connection, key)
        refusal = _refusal(row, now_ms=now_ms, step_ms=step_ms) if row is not None else None
        if refusal is not None:
            return refusal
    return Refusal(step_ms / 1000, 1)


def is_held(connection: Connection, *, sender: str, smtp_id: int, is_test: bool, reserved_by: str) -> bool:
    """Whether a reservation stands; False when it has expired and another message took it over."""
    return cooldowns.is_held(connection, CooldownKey(sender, smtp_id, is_test), email_id=reserved_by)


def extend(
    connection: Connection,
    *,
    sender: str,
    smtp_id: int,
    is_test: bool,
    reserved_by: str,
    now_ms: int,
    hold_ms: int = HOLD_MS,
) -> bool:
    """Hold a reservation until `hold_ms` from now; False when it has expired and another message took it over."""
    key = CooldownKey(sender, smtp_id, is_test)
    return cooldowns.extend(connection, key, email_id=reserved_by, until_ms=now_ms + hold_ms)


def settle(
    connection: Connection,
    *,
    sender: str,
    smtp_id: int,
    is_test: bool,
    reserved_by: str,
    counted: bool,
    now_ms: int,
) -> None:
    """End a reservation. `counted`: the message was delivered, or may have been.

    A message that counts does so even when its reservation expired and another message holds the key now: both were
    sent, and the other one keeps its reservation. One that failed leaves no trace, and never releases another's hold.
    """
    key = CooldownKey(sender, smtp_id, is_test)
    if counted:
        cooldowns.count(connection, key, email_id=reserved_by, now_ms=now_ms)
    else:
        cooldowns.release(connection, key, email_id=reserved_by)


def take_back(
    connection: Connection,
    *,
    sender: str,
    smtp_id: int,
    is_test: bool,
    counted_at_ms: int,
    created_at_ms: int,
    step_ms: int,
) -> None:
    """Undo what `settle` counted at `counted_at_ms`: the message failed, although it had looked otherwise.

    Whoever sends next waits as long as without it, which is not at all at the moment when it was created. A message
    that was counted since then, and another one's reservation, stand.
    """
    key = CooldownKey(sender, smtp_id, is_test)
    cooldowns.take_back(connection, key, counted_at_ms=counted_at_ms, free_at_ms=created_at_ms, step_ms=step_ms)


def prune(connection: Connection, older_than_ms: int) -> int:
    """Forget who has not sent since a moment (epoch milliseconds); returns how many that were."""
    return cooldowns.prune(connection, older_than_ms=older_than_ms)


def _refusal(row: CooldownRow, *, now_ms: int, step_ms: int) -> Refusal | None:
    if row.reserved_until is not None and row.reserved_until > now_ms:
        return Refusal((row.usage + 1) * step_ms / 1000, row.usage + 1)
    if row.last_sent_at is not None and (wait_ms := row.last_sent_at + row.usage * step_ms - now_ms) > 0:
        return Refusal(wait_ms / 1000, row.usage)
    return None


@lru_cache(maxsize=1024)
def normalise_sender(email: str) -> str:
    """The form in which senders are compared: `Ann+Shop@Bücher.example` is `ann@xn--bcher-kva.example`.

    `email` is a valid address. The text behind a plus is dropped unless nothing stands before it.
    """
    local, _, domain = unicodedata.normalize("NFC", email).rpartition("@")
    local = local.lower()
    return f"{local.partition('+')[0] or local}@{_ascii_domain(domain)}"


def _ascii_domain(domain: str) -> str:
    if not domain.isascii():
        try:
            return idna.encode(domain, uts46=True).decode("ascii").lower()
        except idna.IDNAError:
            # Such a domain was not accepted as a valid address; compared as it is written, it still has one cooldown.
            return domain.casefold()
    return domain.lower()


def wait_sentence(wait_s: float, usage: int) -> str:
    """What a refused sender reads. The wait is rounded up, so whoever comes back after it is let through."""
    return (
        "This email has already been used to send a message recently. "
        f"You can send another message in {_duration(wait_s)} (Usage: {usage})"
    )


def _duration(wait_s: float) -> str:
    """Hours and minutes, or minutes and seconds, or seconds; zero parts are left out."""
    seconds = max(1, ceil(wait_s))
    if seconds >= 3600:
        hours, minutes = divmod(ceil(seconds / 60), 60)
        return _parts((hours, "hour"), (minutes, "minute"))
    minutes, seconds = divmod(seconds, 60)
    return _parts((minutes, "minute"), (seconds, "second"))


def _parts(*parts: tuple[int, str]) -> str:
    return " ".join(f"{number} {unit}{'' if number == 1 else 's'}" for number, unit in parts if number)
