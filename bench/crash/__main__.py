"""The command line: runs one after the other, a table, and exit status 1 when a promise was broken."""

import argparse
import asyncio
import random
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.crash.cycles import run
from bench.crash.plans import Plan, Report
from bench.crash.points import Point

_SHOWN = 20
_COLUMNS = (
    ("database", 10),
    ("processes", 9),
    ("cycles", 6),
    ("posts", 6),
    ("accepted", 8),
    ("late", 4),
    ("lost", 4),
    ("doubled", 7),
    ("uncertain", 9),
    ("in doubt", 8),
    ("settled", 8),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.crash", description=__doc__)
    parser.add_argument("--cycles", type=int, default=70, help="kills in each run")
    parser.add_argument("--database", nargs="+", choices=("sqlite", "postgresql"), default=["sqlite"])
    parser.add_argument("--processes", nargs="+", type=int, default=[1], help="WEB_PROCESSES, one run for each")
    parser.add_argument("--seed", type=int, default=None, help="of what is left to chance")
    parser.add_argument("--directory", type=Path, default=None, help="where databases and logs stay to be looked at")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if options.seed is None else options.seed
    plans = [
        Plan(database=database, processes=processes, points=points(options.cycles, seed=seed), seed=seed)
        for database in options.database
        for processes in options.processes
    ]
    # Either ends the run with its processes and its database, in the background of a shell too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    with tempfile.TemporaryDirectory() as temporary:
        is_kept = _run_all(plans, options.directory or Path(temporary))
    sys.exit(0 if is_kept else 1)


def points(cycles: int, *, seed: int) -> Sequence[Point]:
    """All points equally often, in an order left to chance."""
    every = [list(Point)[number % len(Point)] for number in range(cycles)]
    random.Random(seed).shuffle(every)
    return every


def _run_all(plans: Sequence[Plan], directory: Path) -> bool:
    """Whether every promise was kept."""
    print(f"seed {plans[0].seed}")
    print("  ".join(name.rjust(width) for name, width in _COLUMNS), flush=True)
    reports = []
    for plan in plans:
        own = directory / f"{plan.database}-{plan.processes}"
        own.mkdir(parents=True)
        report = asyncio.run(run(plan, own))
        _print_report(report)
        reports.append(report)
    return not any(report.findings.violations for report in reports)


def _print_report(report: Report) -> None:
    plan, findings = report.plan, report.findings
    values = (
        plan.database,
        plan.processes,
        report.kills.total(),
        report.posts,
        report.accepted,
        report.late,
        findings.lost,
        findings.doubled,
        findings.uncertain,
        f"{report.in_doubt_s:.1f} s",
        f"{report.settled_after_s:.1f} s",
    )
    print("  ".join(str(value).rjust(width) for value, (_, width) in zip(values, _COLUMNS, strict=True)))
    kills = ", ".join(f"{point} {report.kills[point]}" for point in Point)
    print(f"  killed: {kills}; {report.kills_of_one} times only one process")
    answers = ", ".join(f"{answer} {count}" for answer, count in sorted(report.answers.items()))
    print(f"  clients were told: {answers}; tracebacks in the log: {len(report.tracebacks)}", flush=True)
    for sentence in findings.violations[:_SHOWN]:
        print(f"  VIOLATION: {sentence}")
    if len(findings.violations) > _SHOWN:
        print(f"  and {len(findings.violations) - _SHOWN} more violations", flush=True)
    for line in report.tracebacks[:3]:
        print(f"  log: {line[:1500]}", flush=True)


if __name__ == "__main__":
    main()
