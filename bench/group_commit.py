"""`python -m bench.group_commit`: writes through one `Database` on a file, by 1, 16 and 64 threads at once.

Each is measured on the disk as it is, and with a COMMIT that takes 5 ms longer, as on a disk that is slow. A line says
how many writes a second were committed, how many of them in one transaction, and how long a writer waited.
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from app.errors import LetterboxError
from app.storage import database as database_module
from app.storage.database import Database
from app.storage.schema import migrate
from bench import report

_INSERT = text("INSERT INTO service_state (name, value) VALUES (:name, 'x')")
_SLOW_S = 0.005


class Refused(LetterboxError):
    """A job's expected refusal."""


@dataclass(slots=True)
class _Run:
    """What happened in one measurement: how long each write took, and the number of transactions."""

    waits_s: list[float] = field(default_factory=list)
    commits: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.group_commit", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of each measurement")
    parser.add_argument("--refused", type=int, default=0, metavar="N", help="every Nth write is refused by its job")
    options = parser.parse_args()
    lines = []
    for delay_s in (0.0, _SLOW_S):
        for callers in (1, 16, 64):
            run = _measure(callers, delay_s=delay_s, seconds=options.seconds, refuses_every=options.refused)
            lines.append((f"{callers}", f"{delay_s * 1000:.0f} ms", *_figures(run, options.seconds)))
    print(report.machine())
    head = ("writers", "delay of COMMIT", "writes/s", "writes in one COMMIT", "median ms", "p99 ms", "max ms")
    print(report.table(head, lines))


def _figures(run: _Run, seconds: float) -> tuple[str, ...]:
    waits_ms = sorted(wait_s * 1000 for wait_s in run.waits_s)
    return (
        f"{len(waits_ms) / seconds:.0f}",
        f"{len(waits_ms) / run.commits:.1f}",
        f"{statistics.median(waits_ms):.3f}",
        f"{waits_ms[len(waits_ms) * 99 // 100]:.1f}",
        f"{waits_ms[-1]:.1f}",
    )


def _measure(callers: int, *, delay_s: float, seconds: float, refuses_every: int) -> _Run:
    run = _Run()
    ended = threading.Event()

    def write(caller: int) -> None:
        number = 0
        while not ended.is_set():
            number += 1
            name = f"{caller}-{number}"
            is_refused = refuses_every > 0 and number % refuses_every == 0

            def work(connection: Connection, name: str = name, is_refused: bool = is_refused) -> None:
                connection.execute(_INSERT, {"name": name})
                if is_refused:
                    raise Refused

            began = time.perf_counter()
            with suppress(Refused):
                database.write(work)
            run.waits_s.append(time.perf_counter() - began)

    with (
        tempfile.TemporaryDirectory(prefix="letterbox-commits-") as directory,
        closing(Database(f"sqlite:///{Path(directory) / 'letterbox.db'}")) as database,
        _counted(run, delay_s),
    ):
        migrate(database)
        run.commits = 0
        threads = [threading.Thread(target=write, args=(caller,)) for caller in range(callers)]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        ended.set()
        for thread in threads:
            thread.join()
    return run


@contextmanager
def _counted(run: _Run, delay_s: float) -> Iterator[None]:
    """Counts each COMMIT, and lets it take so much longer."""
    execute = database_module.run

    def count(connection: Connection, statement: str, parameters: Any = ()) -> Any:
        if statement == "COMMIT":
            run.commits += 1
            if delay_s:
                time.sleep(delay_s)
        return execute(connection, statement, parameters)

    database_module.run = count
    try:
        yield
    finally:
        database_module.run = execute


if __name__ == "__main__":
    main()
