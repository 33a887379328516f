"""What the benchmark prints: plain tables, and on which machine they were measured."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bench.rounds import Run

REFERENCE = "fastify"
"""The strongest of the peers; ratios are to it."""

_HEAD = (
    "system",
    "c",
    "emails/s",
    "ratio",
    "p50 ms",
    "p99 ms",
    "CPU ms/mail",
    "ratio",
    "trips",
    "octets",
    "sink",
    "load",
)


def machine() -> str:
    """Cores, kernel and versions, and whether somebody else is at work."""
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    lines = [
        f"{cores} cores ({_processor()}), {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, node {_node()}"
    ]
    if load > 0.3:
        lines.append(f"the machine is busy (load average {load:.2f} before the start): compare ratios, not rates")
    return "\n".join(lines)


def runs(results: Mapping[int, Mapping[str, Run]]) -> str:
    """Medians by concurrency and system. Ratios are to fastify; sink and load: share of a core."""
    rows = []
    for connections, by_name in results.items():
        reference = by_name.get(REFERENCE)
        for name, run in by_name.items():
            rows.append(
                (
                    name,
                    str(connections),
                    f"{run.per_second:.0f}",
                    f"{run.per_second / reference.per_second:.2f}" if reference else "",
                    f"{run.p50_ms:.2f}",
                    f"{run.p99_ms:.2f}",
                    f"{run.cpu_ms:.3f}",
                    f"{run.cpu_ms / reference.cpu_ms:.2f}" if reference else "",
                    f"{run.trips:.2f}",
                    f"{run.mail_octets:.0f}",
                    f"{run.sink_share:.0%}",
                    f"{run.load_share:.0%}",
                )
            )
    return table(_HEAD, rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The first column to the left, the others to the right."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            text.rjust(width) if column else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _node() -> str:
    if shutil.which("node") is None:
        return "absent"
    return subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip().lstrip("v")
