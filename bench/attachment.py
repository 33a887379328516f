"""What an attachment of 25 MB costs: time, and memory above what the idle system holds.

Each system is started anew and warmed up with small mails, so that what is measured is the attachment alone.
"""

import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from bench import comparison, native, payload, report
from bench.rounds import Plan, check, next_number, warm_up
from bench.systems import Setting

_WARM_UP_S = 2.0


def compare(setting: Setting, names: Sequence[str], *, plan: Plan) -> str:
    """A table of the median time, the time and CPU of the first one, and the peak above idle over all of them."""
    small, large = payload.write_request(setting.directory), payload.write_attachment(setting.directory)
    directory = setting.directory / "attachment"
    directory.mkdir()
    rows: dict[str, tuple[float, float, float, float]] = {}
    with ExitStack() as stack:
        systems, sinks = comparison.start(stack, replace(setting, directory=directory), names)
        warm_up(systems, small, connections=4, seconds=min(plan.warm_up_s, _WARM_UP_S))
        idle_mb = {system.name: system.tree.resident_mb() for system in systems}
        for system in systems:
            system.tree.forget_peak()
        times: dict[str, list[float]] = {system.name: [] for system in systems}
        cpu: dict[str, list[float]] = {system.name: [] for system in systems}
        first_peak_mb: dict[str, float] = {}
        for _ in range(plan.rounds):
            for system in systems:
                before, cpu_s = sinks[system.name].counters(), system.tree.cpu_s()
                load = native.load(system.port, large, connections=1, requests=1, first_number=next_number())
                check(system, load, sinks[system.name].counters() - before)
                times[system.name].append(load.p50_ms)
                cpu[system.name].append((system.tree.cpu_s() - cpu_s) * 1000)
                first_peak_mb.setdefault(system.name, system.tree.peak_mb() - idle_mb[system.name])
        for system in systems:
            name = system.name
            rows[name] = (
                statistics.median(times[name]),
                statistics.median(cpu[name]),
                first_peak_mb[name],
                system.tree.peak_mb() - idle_mb[name],
            )
    return _table(rows)


def _table(rows: dict[str, tuple[float, float, float, float]]) -> str:
    reference = rows.get(report.REFERENCE)
    head = ("system", "ms", "ratio", "CPU ms", "MB above idle, first", "MB above idle, all")
    return report.table(
        head,
        [
            (
                name,
                f"{time_ms:.0f}",
                f"{time_ms / reference[0]:.2f}" if reference else "",
                f"{cpu_ms:.0f}",
                f"{first_mb:.0f}",
                f"{peak_mb:.0f}",
            )
            for name, (time_ms, cpu_ms, first_mb, peak_mb) in rows.items()
        ],
    )
