"""A service that is killed at any instant loses no mail, doubles none, and tells the truth afterwards."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from bench.crash.clients import Answer, Post, recipient_of
from bench.crash.cycles import SETTLED_WITHIN_S, run
from bench.crash.database import is_postgresql_there
from bench.crash.ledgers import UNCERTAIN_TITLE, Findings, Record, compare
from bench.crash.plans import Plan, Report
from bench.crash.points import Point
from bench.crash.server import Accepted
from bench.crash.service import Sprung
from tests.conftest import TAKES_LONG

_POINTS = (
    (Point.IN_DATA, Point.UNRECORDED, Point.LATE_REPLY),
    (Point.DOT_SENT, Point.RECORDED, Point.UNANSWERED),
    (Point.REPLIED, Point.LATE_REPLY, Point.RECORDED),
    (Point.ANY_MOMENT, Point.DOT_SENT, Point.REPLIED),
)
"""One kill each: twelve in all, of four services that run at the same time."""


@TAKES_LONG
def test_twelve_kills_lose_nothing_double_nothing_and_leave_the_truth(tmp_path: Path) -> None:
    reports = run_all(tmp_path)
    kills = sum((report.kills for report in reports), Counter[Point]())
    assert kills.keys() == set(Point)
    assert kills.total() == 12
    assert sum(report.accepted for report in reports) >= 40
    assert sum(report.late for report in reports) >= 10
    for report in reports:
        assert {"201", "202"} <= report.answers.keys()
        assert report.findings.violations == []
        assert report.tracebacks == []
        assert report.findings.uncertain >= sum(report.kills[point] for point in _IN_DOUBT)
        assert max(report.in_doubt_s, report.settled_after_s) <= SETTLED_WITHIN_S


def run_all(directory: Path) -> list[Report]:
    """One service of each kind, all at the same time: each is mostly waiting for the leases of its predecessors."""
    other = "postgresql" if is_postgresql_there() else "sqlite"
    kinds = (("sqlite", 1), ("sqlite", 4), (other, 1), (other, 4))

    async def run_one(number: int) -> Report:
        (database, processes), own = kinds[number], directory / str(number)
        own.mkdir()
        points = _POINTS[number]
        plan = Plan(database=database, processes=processes, points=points, seed=number, life_s=0.5, refused_share=0.0)
        return await run(plan, own)

    async def run_each() -> list[Report]:
        return await asyncio.gather(*map(run_one, range(len(kinds))))

    return asyncio.run(run_each())


_IN_DOUBT = (Point.IN_DATA, Point.DOT_SENT, Point.REPLIED, Point.LATE_REPLY)
_ID = "A3F2B1C9"


def judged(
    *told: Answer | None,
    statuses: tuple[str, ...] = (),
    accepted: tuple[str, ...] = (),
    point: Point | None = None,
    is_queued: bool = False,
) -> Findings:
    """The findings for posts that were answered so, while the service has emails with these statuses for the first."""
    posts = [
        Post(number, b"", "key", is_queued, answer=answer, is_broken=answer is None)
        for number, answer in enumerate(told)
    ]
    ids = (_ID, "00000002")
    records = [Record(email_id, status, recipient_of(0)) for email_id, status in zip(ids, statuses, strict=False)]
    messages = [Accepted(email_id, recipient_of(0)) for email_id in accepted]
    sprung = [] if point is None else [(point, Sprung(_ID, is_queued=is_queued))]
    return compare(posts, records, messages, sprung)


_SENT, _QUEUED = Answer(201, email_id=_ID), Answer(202, email_id=_ID)
_UNCERTAIN, _FAILED = Answer(502, UNCERTAIN_TITLE, _ID), Answer(502, "Email delivery failed", _ID)


def test_ledgers_that_agree_are_not_objected_to() -> None:
    for told, status, accepted in (
        (_SENT, "Sent", (_ID,)),
        (_QUEUED, "Sent", (_ID,)),
        (_QUEUED, "Uncertain", ()),
        (_QUEUED, "Uncertain", (_ID,)),
        (_UNCERTAIN, "Uncertain", (_ID,)),
        (_UNCERTAIN, "Sent", (_ID,)),
        (_FAILED, "Failed", ()),
        (None, "Failed", ()),
        (None, "Sent", (_ID,)),
    ):
        assert judged(told, statuses=(status,), accepted=accepted).violations == []
    assert judged(None).violations == []


def test_a_sent_email_that_no_server_accepted_is_lost() -> None:
    findings = judged(_SENT, statuses=("Sent",))
    assert (findings.lost, findings.doubled, len(findings.violations)) == (1, 0, 1)


def test_an_accepted_request_that_the_service_does_not_know_is_lost() -> None:
    assert judged(_QUEUED).lost == 1


@pytest.mark.parametrize("status", ["Failed", "Queued", "Sending", "Deferred"])
def test_an_accepted_request_that_ends_as_anything_but_sent_or_uncertain_is_lost(status: str) -> None:
    assert judged(_QUEUED, statuses=(status,)).lost == 1


def test_an_email_that_was_accepted_twice_is_doubled() -> None:
    findings = judged(_SENT, statuses=("Sent",), accepted=(_ID, _ID))
    assert findings.doubled == 1
    assert findings.violations


def test_a_key_with_two_emails_is_doubled_once_both_were_accepted() -> None:
    assert judged(_SENT, statuses=("Sent", "Failed"), accepted=(_ID,)).violations
    assert judged(_SENT, statuses=("Sent", "Sent"), accepted=(_ID, "00000002")).doubled == 1


@pytest.mark.parametrize("status", ["Failed", "Sending"])
def test_what_was_accepted_may_not_be_called_anything_but_sent_or_uncertain(status: str) -> None:
    assert judged(None, statuses=(status,), accepted=(_ID,)).violations


def test_a_message_without_a_record_is_an_untruth() -> None:
    assert judged(None, accepted=(_ID,)).violations


@pytest.mark.parametrize(
    ("told", "status"),
    [
        (_FAILED, "Uncertain"),
        (_UNCERTAIN, "Failed"),
        (_SENT, "Uncertain"),
        (Answer(503), "Sent"),
        (Answer(500), "Failed"),
    ],
)
def test_a_client_that_was_told_something_else_is_objected_to(told: Answer, status: str) -> None:
    accepted = (_ID,) if status != "Failed" else ()
    assert judged(told, statuses=(status,), accepted=accepted).violations


@pytest.mark.parametrize(
    ("point", "status", "is_queued"),
    [
        (Point.UNRECORDED, "Failed", False),
        (Point.RECORDED, "Uncertain", False),
        (Point.RECORDED, "Failed", True),
        (Point.IN_DATA, "Failed", False),
        (Point.DOT_SENT, "Sent", False),
        (Point.REPLIED, "Sent", False),
        (Point.UNANSWERED, "Uncertain", False),
        (Point.LATE_REPLY, "Sent", False),
    ],
)
def test_an_email_that_a_kill_met_and_that_is_called_something_else_is_objected_to(
    point: Point, status: str, is_queued: bool
) -> None:
    accepted = (_ID,) if status in ("Sent", "Uncertain") else ()
    assert judged(None, statuses=(status,), accepted=accepted, point=point, is_queued=is_queued).violations
