"""What one run is to do, and what came of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.crash.ledgers import Findings
from bench.crash.points import Point


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is run: one kill for each of `points`, in their order."""

    database: str
    processes: int
    points: Sequence[Point]
    seed: int
    life_s: float = 1.5
    """The service lives up to so long between a start and the next kill, and longer until a trap is sprung."""
    refused_share: float = 0.03
    """Of the emails, so many are refused once with a 4xx; those that a worker delivers come back within a minute."""
    late_share: float = 0.1
    """Of the messages, so many are replied to when the service does not wait any more but only listens."""


@dataclass(slots=True, kw_only=True)
class Report:
    """What came of it."""

    plan: Plan
    findings: Findings = field(default_factory=Findings)
    kills: Counter[Point] = field(default_factory=Counter)
    kills_of_one: int = 0
    """Those of the kills that met one serving process instead of all."""
    posts: int = 0
    accepted: int = 0
    late: int = 0
    """Of the accepted messages, those that were replied to late."""
    answers: Counter[str] = field(default_factory=Counter)
    in_doubt_s: float = 0.0
    """The longest that an email was Sending or Queued, counted from the last restart."""
    settled_after_s: float = 0.0
    """How long after the last restart nothing waited any more, not for a next attempt either."""
    tracebacks: list[str] = field(default_factory=list)
