"""Runs that alternate between systems, and what is kept of them: the medians of all rounds.

Alternating, because a machine is not equally fast from one minute to the next; counted at the sink, because an answer
is not yet a mail.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from bench import native
from bench.native import Counters, Load, Sink
from bench.systems import System

_numbers = count(1, 10**9)
"""The first numbers of runs, so far apart that no sender comes twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long is measured, and how often."""

    warm_up_s: float
    run_s: float
    rounds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run. The shares are of one core: of the sink and of the load generator."""

    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    mail_octets: float
    trips: float
    """How often the sink spoke for each mail: round trips, once sessions are warm."""
    sink_share: float
    load_share: float


def alternate(
    systems: Sequence[System], sinks: Mapping[str, Sink], request: Path, *, connections: int, plan: Plan
) -> dict[str, Run]:
    """The medians, by the name of the system."""
    runs: dict[str, list[Run]] = {system.name: [] for system in systems}
    for _ in range(plan.rounds):
        for system in systems:
            runs[system.name].append(
                measure(system, sinks[system.name], request, connections=connections, seconds=plan.run_s)
            )
    return {name: median(of_system) for name, of_system in runs.items()}


def measure(system: System, sink: Sink, request: Path, *, connections: int, seconds: float) -> Run:
    """Post for that long. Raises RuntimeError when other mails arrived than were answered with 201."""
    before, cpu_s, sink_cpu_s = sink.counters(), system.tree.cpu_s(), sink.tree.cpu_s()
    load = native.load(system.port, request, connections=connections, seconds=seconds, first_number=next(_numbers))
    cpu_s, sink_cpu_s = system.tree.cpu_s() - cpu_s, sink.tree.cpu_s() - sink_cpu_s
    counted = sink.counters() - before
    check(system, load, counted)
    return Run(
        per_second=counted.messages / load.seconds,
        p50_ms=load.p50_ms,
        p99_ms=load.p99_ms,
        cpu_ms=cpu_s / counted.messages * 1000,
        mail_octets=counted.octets / counted.messages,
        trips=counted.answers / counted.messages,
        sink_share=sink_cpu_s / load.seconds,
        load_share=load.cpu_s / load.seconds,
    )


def warm_up(systems: Sequence[System], request: Path, *, connections: int, seconds: float) -> None:
    """What comes first is not measured: imports, sessions, node's compiler."""
    for system in systems:
        native.load(system.port, request, connections=connections, seconds=seconds, first_number=next(_numbers))


def check(system: System, load: Load, counted: Counters) -> None:
    """Each mail that was promised has arrived, once."""
    if counted.messages != load.answered:
        raise RuntimeError(f"{system.name} answered 201 {load.answered} times, the sink took {counted.messages}")
    if counted.refused:
        raise RuntimeError(f"the sink refused {counted.refused} commands of {system.name}")


def median(runs: Sequence[Run]) -> Run:
    """Of each figure by itself."""

    def of(figure: Callable[[Run], float]) -> float:
        return statistics.median(map(figure, runs))

    return Run(
        per_second=of(lambda run: run.per_second),
        p50_ms=of(lambda run: run.p50_ms),
        p99_ms=of(lambda run: run.p99_ms),
        cpu_ms=of(lambda run: run.cpu_ms),
        mail_octets=of(lambda run: run.mail_octets),
        trips=of(lambda run: run.trips),
        sink_share=of(lambda run: run.sink_share),
        load_share=of(lambda run: run.load_share),
    )


def next_number() -> int:
    """The first number of a run that is made elsewhere."""
    return next(_numbers)
