"""Whose emails are whose: a project's list, page by page, and who finds what by its id."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text

from app.connections import projects
from app.model.access import Permission
from app.model.email import Status
from app.storage import emails
from tests.conftest import valid_request

from .mailroom import NOON, SEND, VIEW, Mailroom, ids_of, next_of


def test_a_backend_sees_what_it_has_sent_newest_first(mailroom: Mailroom) -> None:
    sent = [mailroom.service.post(headers=mailroom.headers).json for _ in range(3)]
    assert mailroom.service.post().status_code == 201
    answer = mailroom.get()
    assert answer.mimetype == "application/json"
    assert answer.json == sent[::-1]
    assert "Link" not in answer.headers


def test_without_emails_the_list_is_empty(mailroom: Mailroom) -> None:
    assert mailroom.get().json == []


def test_a_project_sees_neither_another_one_s_emails_nor_those_of_visitors(mailroom: Mailroom) -> None:
    mailroom.put("00000001")
    mailroom.put("00000002", project_id=None)
    theirs = mailroom.headers_for("Theirs")
    assert ids_of(mailroom.get(headers=theirs)) == []
    assert mailroom.ids() == ["00000001"]


def test_an_email_of_a_project_is_found_by_its_callers_only(mailroom: Mailroom) -> None:
    sent = mailroom.service.post(headers=mailroom.headers).json
    assert sent is not None
    path = f"/api/v1/emails/{sent['id']}"
    assert mailroom.get(path).json == sent
    assert mailroom.get(path, headers=mailroom.headers_for("mine", SEND)).json == sent
    assert mailroom.get(path, headers=mailroom.headers_for("Mine", VIEW)).json == sent
    absent = {"message": f"Email '{sent['id']}' was not found."}
    for headers in ({}, mailroom.headers_for("Theirs")):
        answer = mailroom.get(path, headers=headers)
        assert (answer.status_code, answer.json) == (404, absent)


def test_an_email_of_a_visitor_is_found_by_everybody(mailroom: Mailroom) -> None:
    sent = mailroom.service.post().json
    assert sent is not None
    for headers in ({}, mailroom.headers, mailroom.headers_for("Theirs")):
        assert mailroom.get(f"/api/v1/emails/{sent['id']}", headers=headers).json == sent


def test_a_project_of_the_same_name_does_not_inherit_emails(mailroom: Mailroom) -> None:
    mailroom.put("00000001")
    projects.delete_project(mailroom.office.registry, "Mine")
    assert ids_of(mailroom.get(headers=mailroom.headers_for("Mine"))) == []


@pytest.mark.parametrize("permissions", [(SEND,), (Permission.CONNECTIONS_MANAGE,)])
def test_a_list_needs_its_permission(mailroom: Mailroom, permissions: tuple[Permission, ...]) -> None:
    answer = mailroom.get(headers=mailroom.headers_for("Mine", *permissions))
    assert answer.status_code == 403
    assert mailroom.get(headers={}).status_code == 401


def test_pages_together_are_the_list_and_nothing_comes_twice(mailroom_on_each_database: Mailroom) -> None:
    mailroom = mailroom_on_each_database
    # Many share a millisecond, so that pages end among them.
    for number in range(30):
        mailroom.put(f"{number * 7919 % 100:08X}", NOON + timedelta(milliseconds=number // 5))
    whole = mailroom.ids("?limit=200")
    assert len(set(whole)) == 30
    for limit in (1, 2, 3, 7, 29, 30, 31):
        pages = list(_pages(mailroom, f"/api/v1/emails?limit={limit}"))
        assert [email_id for page in pages for email_id in page] == whole
        assert [len(page) for page in pages[:-1]] == [limit] * (-(-30 // limit) - 1)


def _pages(mailroom: Mailroom, path: str | None) -> Iterator[list[str]]:
    while path is not None:
        answer = mailroom.get(path)
        yield ids_of(answer)
        path = next_of(answer)


def test_mail_that_arrives_between_two_pages_moves_nothing(mailroom_on_each_database: Mailroom) -> None:
    mailroom = mailroom_on_each_database
    for number in range(6):
        mailroom.put(f"{number:08X}", NOON + timedelta(seconds=number))
    first = mailroom.get("/api/v1/emails?limit=3")
    mailroom.put("FFFFFFFF", NOON + timedelta(hours=1))
    mailroom.office.database.write(lambda c: c.execute(text("DELETE FROM emails WHERE id = '00000003'")) and None)
    path = next_of(first)
    assert path is not None
    second = mailroom.get(path)
    assert ids_of(first) + ids_of(second) == [f"{number:08X}" for number in range(5, -1, -1)]
    assert next_of(second) is None


def test_the_newest_come_first_and_ids_decide_within_a_millisecond(mailroom_on_each_database: Mailroom) -> None:
    mailroom = mailroom_on_each_database
    for email_id, second in (("0000000B", 0), ("A0000000", 1), ("00000001", 1), ("B0000000", 0)):
        mailroom.put(email_id, NOON + timedelta(seconds=second))
    assert mailroom.ids() == ["A0000000", "00000001", "B0000000", "0000000B"]


@pytest.mark.parametrize(
    ("narrowed", "searched"),
    [
        ({}, "(project_id=?)"),
        ({"status": Status.SENT, "since_ms": 1}, "(project_id=? AND status=? AND created_at>?)"),
        ({"before": (10**12, "FFFFFFFF")}, "(project_id=? AND (created_at,id)<(?,?))"),
    ],
)
def test_a_page_is_read_off_the_index_of_its_project(
    mailroom: Mailroom, narrowed: dict[str, Any], searched: str
) -> None:
    """However many emails there are, a page costs what is on it."""
    asked: dict[str, Any] = {"status": None, "smtp_id": None, "since_ms": None, "before": None} | narrowed
    statements: list[str] = []

    def plan_of_page(connection: Connection) -> list[str]:
        driver: Any = connection.connection.driver_connection
        driver.set_trace_callback(statements.append)
        emails.page(connection, project_id=1, limit=51, **asked)
        driver.set_trace_callback(None)
        (statement,) = statements
        return [row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {statement}")]

    plan = mailroom.office.database.read(plan_of_page)
    index = "ix_emails_project_status" if "status" in narrowed else "ix_emails_project"
    assert plan == [f"SEARCH emails USING INDEX {index} {searched}"]


def test_the_resource_ends_with_who_was_refused(mailroom: Mailroom) -> None:
    sent = mailroom.service.post(json=valid_request(), headers=mailroom.headers)
    assert sent.json is not None
    assert list(sent.json)[-1] == "refusedRecipients"
    assert sent.json["refusedRecipients"] == []
