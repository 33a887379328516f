"""The three ledgers side by side: what clients were told, what the service says, what the SMTP server accepted."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bench.crash.clients import Post
from bench.crash.points import Point
from bench.crash.server import Accepted
from bench.crash.service import Sprung

FINAL = ("Sent", "Failed", "Uncertain")
UNCERTAIN_TITLE = "Email delivery uncertain"


@dataclass(frozen=True, slots=True)
class Record:
    """What the service says of one email."""

    email_id: str
    status: str
    recipient: str
    next_attempt_at: datetime | None = None


@dataclass(slots=True)
class Findings:
    """`violations` says each broken promise in a sentence; the counts are of emails."""

    lost: int = 0
    doubled: int = 0
    uncertain: int = 0
    violations: list[str] = field(default_factory=list)


def compare(
    posts: Iterable[Post],
    records: Iterable[Record],
    accepted: Iterable[Accepted],
    sprung: Sequence[tuple[Point, Sprung]],
) -> Findings:
    """`sprung` are the emails at which the service was killed on purpose."""
    books = _Books(records, accepted)
    for email_id in books.records.keys() | books.accepted.keys():
        books.check_email(email_id)
    for post in posts:
        books.check_post(post)
    for point, where in sprung:
        books.check_point(point, where)
    books.findings.uncertain = sum(record.status == "Uncertain" for record in books.records.values())
    return books.findings


class _Books:
    def __init__(self, records: Iterable[Record], accepted: Iterable[Accepted]) -> None:
        self.records = {record.email_id: record for record in records}
        self.accepted = Counter[str]()
        self.findings = Findings()
        self._ids_of = defaultdict[str, set[str]](set)
        self._accepted_for = Counter[str]()
        for message in accepted:
            self.accepted[message.email_id] += 1
            self._accepted_for[message.recipient] += 1
        for record in self.records.values():
            self._ids_of[record.recipient].add(record.email_id)

    def check_email(self, email_id: str) -> None:
        """What the service says of an email against how often it was accepted."""
        times = self.accepted[email_id]
        record = self.records.get(email_id)
        status = None if record is None else record.status
        if times > 1:
            self.findings.doubled += 1
            self._object(f"{email_id} was accepted {times} times, and is {status}")
        if times and status not in ("Sent", "Uncertain"):
            self._object(f"{email_id} was accepted, and is {status}")
        if status == "Sent" and not times:
            self.findings.lost += 1
            self._object(f"{email_id} is Sent, and was not accepted")
        if status is not None and status not in FINAL:
            self._object(f"{email_id} is still {status}")

    def check_post(self, post: Post) -> None:
        """What a client was told against both."""
        ids = self._ids_of[post.recipient]
        name = f"post {post.number} ({'asynchronous' if post.is_async else 'synchronous'}, key: {post.key})"
        if len(ids) > 1:
            self._object(f"{name} became {len(ids)} emails: {sorted(ids)}")
        if self._accepted_for[post.recipient] > 1:
            self.findings.doubled += not any(self.accepted[email_id] > 1 for email_id in ids)
            self._object(f"{name} was accepted {self._accepted_for[post.recipient]} times")
        if post.is_given_up:
            self._object(f"{name} with its key got no answer")
        if post.answer is None:
            if not post.is_broken:
                self._object(f"{name} got no answer, and no broken connection")
            return
        told = post.answer
        known = told.email_id if told.email_id is not None else min(ids, default=None)
        status = self.records[known].status if known in ids else None
        if status not in _may_become(post):
            self.findings.lost += told.status in (201, 202) and status not in ("Sent", "Uncertain")
            self._object(f"{name} was told {told.status} {told.title!r} for {told.email_id}, and is {status}")
        if told.status == 503 and not post.is_broken and self._accepted_for[post.recipient]:
            self._object(f"{name} was told that nothing was sent, and was accepted")

    def check_point(self, point: Point, where: Sprung) -> None:
        """What must have become of the email at which the service was killed."""
        record = self.records.get(where.email_id)
        status = None if record is None else record.status
        match point:
            case Point.UNRECORDED:
                expected: tuple[str | None, ...] = (None,)
            case Point.RECORDED:
                expected = ("Sent", "Uncertain") if where.is_queued else ("Failed",)
            case Point.UNANSWERED:
                expected = ("Sent", "Uncertain") if where.is_queued else ("Sent",)
            case _:
                expected = ("Uncertain",)
        if status not in expected:
            self._object(
                f"killed at {point!r}: {where.email_id} is {status}, which is not {' or '.join(map(str, expected))}"
            )

    def _object(self, sentence: str) -> None:
        self.findings.violations.append(sentence)


def _may_become(post: Post) -> tuple[str | None, ...]:
    """The states that the service may give for an email of which a client was told this."""
    assert post.answer
    match post.answer.status:
        case 201:
            return ("Sent",)
        case 202:
            return ("Sent", "Uncertain")
        case 502:
            # The reply may have come since, and every message that this server replies to late was accepted.
            return ("Uncertain", "Sent") if post.answer.title == UNCERTAIN_TITLE else ("Failed",)
        case 503:
            # Nothing was sent now; a try whose connection broke may have been.
            return (None, *FINAL) if post.is_broken else (None, "Failed")
        case _:
            return ()
