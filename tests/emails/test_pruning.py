"""What is too old is deleted in portions, and nobody waits for the end of it."""

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Table, func, insert, select

from app.connections.access import ISSUE_TOKEN
from app.emails import housekeeping
from app.emails.housekeeping import Housekeeper, Pruned
from app.emails.office import Office
from app.storage import pruning, tables
from app.storage.times import to_ms
from tests.conftest import MakeService

NOW = datetime(2026, 1, 7, 12, 0, tzinfo=UTC)
NOW_MS = to_ms(NOW)
LONG_AGO_MS = to_ms(NOW - timedelta(days=1000))
OLD, YOUNG, PORTION = 7, 4, 3


@pytest.fixture(autouse=True)
def _small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "PORTION", PORTION)


def _email(number: int, moment: int) -> dict[str, Any]:
    fixed = {"status": "Sent", "phase": "settled", "requested_smtp_id": 1, "is_test": False, "attempts": "[]"}
    named = {"id": f"{number:08X}", "sender": "a@x.example", "reception_email": "b@x.example"}
    return fixed | named | {"created_at": moment, "settled_at": moment, "priority": 2, "rounds": 0}


def _cooldown(number: int, moment: int) -> dict[str, Any]:
    key = {"sender": f"{number}@x.example", "smtp_id": 1, "is_test": False}
    return key | {"usage": 1, "last_sent_at": moment, "reserved_until": None}


def _block(number: int, moment: int) -> dict[str, Any]:
    return {"client": f"192.0.2.{number}", "reason": "burst", "blocked_at": moment, "blocked_until": moment}


def _access_token(number: int, moment: int) -> dict[str, Any]:
    fixed = {"project_id": 1, "client_id": 1, "name": "token", "permissions": ""}
    return fixed | {"digest": f"{number:064X}", "created_at": moment, "expires_at": moment + 1}


def _audit_entry(number: int, moment: int) -> dict[str, Any]:
    return {"at": moment, "project": "p", "actor": "a", "action": ISSUE_TOKEN, "subject": str(number), "fields": "[]"}


def _idempotency_key(number: int, moment: int) -> dict[str, Any]:
    return {"caller": "c", "key": str(number), "fingerprint": "f", "email_id": "0", "created_at": moment}


def _form_mark(number: int, moment: int) -> dict[str, Any]:
    return {"digest": f"{number:064X}", "reference": None, "expires_at": moment + 1}


def _submission_share(number: int, moment: int) -> dict[str, Any]:
    return {"digest": f"{number:064X}", "received_at": moment, "email_id": f"{number:08X}"}


TABLES = {
    "emails": (tables.emails, _email),
    "cooldowns": (tables.cooldowns, _cooldown),
    "blocks": (tables.blocks, _block),
    "access_tokens": (tables.access_tokens, _access_token),
    "audit_entries": (tables.audit_entries, _audit_entry),
    "idempotency_keys": (tables.idempotency_keys, _idempotency_key),
    "form_marks": (tables.form_marks, _form_mark),
    "submission_shares": (tables.submission_shares, _submission_share),
}


@pytest.fixture
def office(make_service: MakeService, database_url: str) -> Office:
    office: Office = make_service(database_url=database_url, clock=lambda: NOW).app.extensions["letterbox"]
    office.database.write(_add_client)
    return office


def _add_client(connection: Connection) -> None:
    named = {"id": 1, "name": "p", "created_at": 0}
    connection.execute(insert(tables.projects).values(**named, name_key="p"))
    values = named | {"project_id": 1, "client_id": "c", "secret_digest": "d", "permissions": ""}
    connection.execute(insert(tables.clients).values(**values))


def fill(office: Office, name: str) -> Table:
    """A table with rows that are too old, and others."""
    table, row = TABLES[name]
    moments = [LONG_AGO_MS] * OLD + [NOW_MS] * YOUNG
    rows = [row(number, moment) for number, moment in enumerate(moments)]
    office.database.write(lambda connection: connection.execute(insert(table), rows) and None)
    return table


def count(office: Office, table: Table) -> int:
    query = select(func.count()).select_from(table)
    return office.database.read(lambda connection: connection.execute(query).scalar_one())


@pytest.mark.parametrize("name", TABLES)
def test_what_is_old_goes_in_portions_and_the_rest_stays(office: Office, name: str) -> None:
    table = fill(office, name)
    seen: list[int] = []

    def pause(_: float) -> bool:
        seen.append(count(office, table) - YOUNG)
        return True

    assert housekeeping.prune(office, pause=pause) == Pruned(**{name: OLD})
    assert seen == [4, 1, 0], "each portion was committed before the pause behind it"
    assert housekeeping.prune(office) == Pruned()
    assert count(office, table) == YOUNG


def test_it_ends_between_two_portions_when_it_is_told_to(office: Office) -> None:
    every = [fill(office, name) for name in TABLES]
    assert housekeeping.prune(office, pause=lambda _: False) == Pruned(emails=PORTION)
    assert [count(office, table) for table in every] == [OLD + YOUNG - PORTION] + [OLD + YOUNG] * (len(every) - 1)


def test_what_is_due_meanwhile_does_not_wait_for_the_end(office: Office) -> None:
    is_under_way, is_renewed = threading.Event(), threading.Event()

    def prune(_: Office) -> None:
        is_under_way.set()
        is_renewed.wait(5)

    def renew(_: Office) -> None:
        if is_under_way.wait(2):
            is_renewed.set()

    keeper = Housekeeper(office)
    for duty in keeper._duties:
        duty.perform = {"prune": prune, "tend leases": renew}.get(duty.name, lambda _: None)
    keeper.start()
    assert is_renewed.wait(4)
    keeper.stop()


def test_a_stop_does_not_wait_for_the_end(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "PORTION", 1)
    fill(office, "emails")
    is_under_way = threading.Event()
    write = office.database.write

    def slowly(work: Any, **options: Any) -> Any:
        time.sleep(0.05)
        is_under_way.set()
        return write(work, **options)

    monkeypatch.setattr(office.database, "write", slowly)
    keeper = Housekeeper(office)
    keeper._duties[:] = [duty for duty in keeper._duties if duty.name == "prune"]
    keeper.start()
    assert is_under_way.wait(5)
    keeper.stop()
    assert count(office, tables.emails) > YOUNG
