"""What the tests of the checks share: an office that has settings and a clock, forms, visitors, and what is refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from app.emails.office import Office
from app.errors import CheckFailed
from app.forms.submission import Submission, Visitor
from app.model.form import CheckFailure, Form
from app.settings import Settings

KEYS = ("the first key that only these tests know", "the second key that only these tests know")


@dataclass
class Desk:
    """As much of an office as a check sees; the time is what the test says."""

    settings: Settings = field(default_factory=lambda: Settings(secret_keys=KEYS[:1]))
    now: datetime = datetime(2026, 1, 7, 12, 0, tzinfo=UTC)

    def clock(self) -> datetime:
        return self.now

    def pass_time(self, **span: float) -> None:
        self.now += timedelta(**span)

    @property
    def office(self) -> Office:
        return cast(Office, self)


def desk(*keys: str, **settings: Any) -> Desk:
    """A desk whose service knows these secret keys."""
    return Desk(Settings(secret_keys=keys or KEYS[:1], **settings))


def form(**properties: Any) -> Form:
    return Form(**{"key": "shopcontactform22", "name": "Shop", "recipients": ("shop@example.com",)} | properties)


def visitor(**properties: Any) -> Visitor:
    known = {"client": "203.0.113.7", "origin": None, "page": None, "own_origin": "https://mail.example"}
    return Visitor(**known | properties)


def submission(**fields: str) -> Submission:
    return Submission(fields=tuple(fields.items()))


@contextmanager
def refused(failure: CheckFailure) -> Iterator[None]:
    """Whatever happens in the block fails for that reason and no other."""
    with pytest.raises(CheckFailed) as caught:
        yield
    assert caught.value.failure is failure
