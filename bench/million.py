"""What a million stored emails cost: sending, looking one up, and the pages of a list.

Two services take turns, one with a thousand emails on record and one with a million. A thousand, because a page has to
be full in both. The rows are copies of one that the service wrote itself, with ids, senders and times of their own.
"""

import sqlite3
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from app.emails.cursor import Cursor
from bench import comparison, native, payload, report, systems
from bench.native import Sink
from bench.rounds import Plan, next_number, warm_up
from bench.systems import Setting, System

FEW = 1_000
PAGE = 20
LOOKED_UP = 1_000
"""So many ids take turns in the look-ups."""

_SPREAD = 2_654_435_761
"""Odd, so its multiples modulo 2**32 are all different: ids as scattered as random ones."""
_DAYS_MS = 80 * 86_400_000
"""Over so many days the emails are spread; none is old enough to be deleted."""


@dataclass(frozen=True, slots=True)
class _Stored:
    """A service with a filled record, and the requests to it."""

    system: System
    requests: dict[str, tuple[Path, int, Path | None]]
    """By what they measure: the request, the status that it is answered with, and the values that it goes through."""


def compare(setting: Setting, *, rows: int, connections: int, plan: Plan) -> str:
    """A table of rates with few rows and with many."""
    with ExitStack() as stack:
        few, many = (_start(stack, setting, f"stored-{count}", rows=count) for count in (FEW, rows))
        for stored in (few, many):
            warm_up([stored.system], stored.requests["send"][0], connections=connections, seconds=plan.warm_up_s)
        lines = []
        for name in few.requests:
            rates: dict[str, list[float]] = {"few": [], "many": []}
            for _ in range(plan.rounds):
                rates["few"].append(_rate(few, name, connections=connections, seconds=plan.run_s))
                rates["many"].append(_rate(many, name, connections=connections, seconds=plan.run_s))
            slow, fast = median(rates["few"]), median(rates["many"])
            lines.append((name, f"{slow:.0f}", f"{fast:.0f}", f"{fast / slow:.2f}"))
    return report.table((f"requests/s, c={connections}", f"{FEW} rows", f"{rows} rows", "ratio"), lines)


def _rate(stored: _Stored, name: str, *, connections: int, seconds: float) -> float:
    request, status, values = stored.requests[name]
    load = native.load(
        stored.system.port,
        request,
        connections=connections,
        seconds=seconds,
        status=status,
        values=values,
        first_number=next_number(),
    )
    return load.answered / load.seconds


def _start(stack: ExitStack, setting: Setting, name: str, *, rows: int) -> _Stored:
    directory = setting.directory / name
    directory.mkdir()
    own = replace(setting, directory=directory)
    sink = stack.enter_context(comparison.open_sink(setting))
    token = _make_token(own, sink)
    with systems.letterbox(own, sink.port) as system:
        _send_one(system, token)
    stored = _fill(directory / "letterbox.db", rows=rows)
    system = stack.enter_context(systems.letterbox(own, sink.port))
    ids = directory / "ids"
    ids.write_text("".join(f"{each.email_id}\n" for each in stored))
    page = f"/api/v1/emails?limit={PAGE}"
    gets = {
        "look up": "/api/v1/emails/########",
        "list, first page": page,
        "list, a page in the middle": f"{page}&cursor={stored[len(stored) // 2]}",
        "list, a frequent status": f"{page}&status=Sent",
        f"list, a status that {PAGE} have": f"{page}&status=Failed",
    }
    requests = {
        name: (payload.write_get(directory, f"get-{number}", path, token=token), 200, ids)
        for number, (name, path) in enumerate(gets.items())
    }
    return _Stored(system, {"send": (payload.write_request(directory), 201, None), **requests})


def _make_token(setting: Setting, sink: Sink) -> str:
    environment = systems.letterbox_environment(setting, sink.port)
    command = [systems.LETTERBOX, "tokens", "create", "--project", "Bench", "--permission", "EMAILS:SEND,EMAILS:VIEW"]
    return subprocess.run(
        command, env=environment, cwd=setting.directory, capture_output=True, text=True, check=True
    ).stdout.strip()


def _send_one(system: System, token: str) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{system.port}/api/v1/emails",
        b'{"Email": "backend@example.com", "Message": "Hello!", "Template": "Minimal"}',
        {"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
    )
    urllib.request.urlopen(request, timeout=30).close()


def _fill(database: Path, *, rows: int) -> list[Cursor]:
    """Make the one email on record many, each with a row of its sender's cooldown; returns some of them in order."""
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        model = dict(connection.execute("SELECT * FROM emails").fetchone())
        cooldown = {"usage": 1, "smtp_id": 1, "is_test": 0, "reserved_by": None, "reserved_until": None}
        connection.execute("PRAGMA synchronous=OFF")
        with connection:
            connection.executemany(_insert("emails", model), _emails(model, rows))
            senders = (
                cooldown | {"sender": f"sender-{number}@example.com", "last_sent_at": model["settled_at"]}
                for number in range(rows)
            )
            connection.executemany(_insert("cooldowns", [*cooldown, "sender", "last_sent_at"]), senders)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    step = max(1, rows // LOOKED_UP)
    return [Cursor(_created_at(model, number, rows), _id(number)) for number in range(0, rows, step)]


def _emails(model: dict[str, Any], rows: int) -> Iterator[dict[str, Any]]:
    every = rows // PAGE
    for number in range(rows):
        created_at = _created_at(model, number, rows)
        yield model | {
            "id": _id(number),
            "status": "Failed" if number % every == 0 else "Sent",
            "sender": f"sender-{number}@example.com",
            "created_at": created_at,
            "settled_at": created_at + 50,
        }


def _created_at(model: dict[str, Any], number: int, rows: int) -> int:
    return int(model["created_at"]) - _DAYS_MS * (rows - number) // rows


def _id(number: int) -> str:
    return f"{(number + 1) * _SPREAD % 2**32:08X}"


def _insert(table: str, columns: Any) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(f':{column}' for column in columns)})"
