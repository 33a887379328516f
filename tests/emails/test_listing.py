"""Whose emails are whose: a project's list, page by page, and who finds what by its id."""

import re
import struct
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text
from werkzeug.test import TestResponse

from app.connections import access, projects
from app.emails.cursor import Cursor
from app.emails.office import Office
from app.model.access import Permission
from app.model.email import Email, Phase, Status
from app.storage import emails
from tests.conftest import MakeService, Service, valid_request

VIEW, SEND = Permission.EMAILS_VIEW, Permission.EMAILS_SEND
NOON = datetime(2026, 1, 7, 12, 0, 0, tzinfo=UTC)
NEXT = re.compile(r'<([^<>]+)>; rel="next"')


class Mailroom:
    """A service with a project, a token that may do all with its emails, and emails of any kind."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.office: Office = service.app.extensions["letterbox"]
        self.headers = self.headers_for("Mine")
        (project,) = projects.list_projects(self.office.registry)
        self.project_id = project.id

    def headers_for(self, project: str, *permissions: Permission) -> dict[str, str]:
        token = access.create_token(self.office.registry, project=project, permissions=permissions or (VIEW, SEND))
        return {"Authorization": f"Bearer {token}"}

    def put(self, email_id: str, created_at: datetime = NOON, **changes: Any) -> str:
        """Record an email as it looks once it is settled."""
        values: dict[str, Any] = {
            "status": Status.SENT,
            "phase": Phase.SETTLED,
            "requested_smtp_id": 1,
            "is_test": False,
            "reception_email": "a@x.example",
            "sender": "b@x.example",
            "project_id": self.project_id,
        }
        email = Email(id=email_id, created_at=created_at, **(values | changes))
        assert self.office.database.write(lambda connection: emails.add(connection, email, lease_until_ms=0))
        return email_id

    def get(self, path: str = "/api/v1/emails", **options: Any) -> TestResponse:
        return self.service.client.get(path, **({"headers": self.headers} | options))

    def ids(self, query: str = "") -> list[str]:
        return _ids(self.get(f"/api/v1/emails{query}"))

    def errors(self, query: str) -> dict[str, list[str]]:
        answer = self.get(f"/api/v1/emails{query}")
        assert answer.status_code == 400
        assert answer.mimetype == "application/problem+json"
        assert answer.json is not None
        errors: dict[str, list[str]] = answer.json["errors"]
        return errors


def _ids(answer: TestResponse) -> list[str]:
    assert answer.status_code == 200, answer.data
    assert isinstance(answer.json, list)
    return [each["id"] for each in answer.json]


def _next(answer: TestResponse) -> str | None:
    if "Link" not in answer.headers:
        return None
    match = NEXT.fullmatch(answer.headers["Link"])
    assert match is not None
    return match[1]


@pytest.fixture
def mailroom(make_service: MakeService) -> Mailroom:
    return Mailroom(make_service())


@pytest.fixture(scope="module")
def shared(module_service: Service) -> Mailroom:
    """For tests that record nothing."""
    return Mailroom(module_service)


@pytest.fixture
def mailroom_on_each_database(make_service: MakeService, database_url: str) -> Mailroom:
    return Mailroom(make_service(database_url=database_url))


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
    assert _ids(mailroom.get(headers=theirs)) == []
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
    assert _ids(mailroom.get(headers=mailroom.headers_for("Mine"))) == []


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
        yield _ids(answer)
        path = _next(answer)


def test_mail_that_arrives_between_two_pages_moves_nothing(mailroom_on_each_database: Mailroom) -> None:
    mailroom = mailroom_on_each_database
    for number in range(6):
        mailroom.put(f"{number:08X}", NOON + timedelta(seconds=number))
    first = mailroom.get("/api/v1/emails?limit=3")
    mailroom.put("FFFFFFFF", NOON + timedelta(hours=1))
    mailroom.office.database.write(lambda c: c.execute(text("DELETE FROM emails WHERE id = '00000003'")) and None)
    path = _next(first)
    assert path is not None
    second = mailroom.get(path)
    assert _ids(first) + _ids(second) == [f"{number:08X}" for number in range(5, -1, -1)]
    assert _next(second) is None


def test_the_newest_come_first_and_ids_decide_within_a_millisecond(mailroom_on_each_database: Mailroom) -> None:
    mailroom = mailroom_on_each_database
    for email_id, second in (("0000000B", 0), ("A0000000", 1), ("00000001", 1), ("B0000000", 0)):
        mailroom.put(email_id, NOON + timedelta(seconds=second))
    assert mailroom.ids() == ["A0000000", "00000001", "B0000000", "0000000B"]


def test_the_list_is_narrowed_by_status_configuration_and_time(mailroom_on_each_database: Mailroom) -> None:
    mailroom = mailroom_on_each_database
    mailroom.put("00000001", NOON)
    mailroom.put("00000002", NOON + timedelta(seconds=1), status=Status.FAILED)
    mailroom.put("00000003", NOON + timedelta(seconds=2), requested_smtp_id=1000)
    mailroom.put("00000004", NOON + timedelta(seconds=3), requested_smtp_id=1000, status=Status.FAILED)
    mailroom.put("00000005", NOON + timedelta(seconds=4), status=Status.SENDING, phase=Phase.RECORDED)
    assert mailroom.ids("?status=Failed") == ["00000004", "00000002"]
    assert mailroom.ids("?STATUS=sending") == ["00000005"]
    assert mailroom.ids("?smtpId=1000") == ["00000004", "00000003"]
    assert mailroom.ids("?smtpid=1000&status=failed") == ["00000004"]
    assert mailroom.ids("?smtpId=7") == []
    assert mailroom.ids("?since=2026-01-07T12:00:03Z") == ["00000005", "00000004"]
    assert mailroom.ids("?since=2026-01-07T12:00:02.0001Z&smtpId=1000") == ["00000004"]


@pytest.mark.parametrize(
    "since",
    [
        "2026-01-07T12:00:01Z",
        "2026-01-07T12:00:01.000Z",
        "2026-01-07t12:00:00.000001z",
        "2026-01-07T14:00:01%2B02:00",
        "2026-01-07T14:00:01+02:00",
        "2026-01-07T02:30:01-09:30",
        "2026-01-07T12:02%2B00:01",
        "2026-01-07T12:00:00.9999999999Z",
    ],
)
def test_a_moment_is_read_with_its_offset(mailroom: Mailroom, since: str) -> None:
    mailroom.put("00000001", NOON)
    mailroom.put("00000002", NOON + timedelta(minutes=1))
    assert mailroom.ids(f"?since={since}") == ["00000002"]


@pytest.mark.parametrize("since", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59.999999-14:00"])
def test_the_first_and_the_last_moment_are_moments(mailroom: Mailroom, since: str) -> None:
    mailroom.put("00000001")
    assert mailroom.ids(f"?since={since}") == (["00000001"] if since.startswith("0") else [])


def test_a_page_has_fifty_emails_unless_it_says_otherwise(mailroom: Mailroom) -> None:
    for number in range(51):
        mailroom.put(f"{number:08X}")
    answer = mailroom.get()
    assert len(_ids(answer)) == 50
    assert _next(answer) is not None
    assert len(mailroom.ids("?limit=51")) == 51


@pytest.mark.parametrize(
    ("query", "name", "sentence"),
    [
        ("status=Gone", "status", "The status field must be one of: Sending, Sent, Failed, Uncertain."),
        ("status=", "status", "The status field must be one of: Sending, Sent, Failed, Uncertain."),
        ("status=Sent&status=Failed", "status", "The status field must be one of: Sending, Sent, Failed, Uncertain."),
        ("smtpId=x", "smtpId", "The smtpId field must be an integer."),
        ("smtpId=1&SMTPID=2", "smtpId", "The smtpId field is given more than once."),
        *[
            (f"limit={limit}", "limit", "The limit field must be an integer from 1 to 200.")
            for limit in ("0", "-1", "201", "x", "", "1.5", "1e2", "9999999999", "%D9%A1")
        ],
        *[
            (
                f"since={since}",
                "since",
                "The since field must be a date and time with an offset, such as 2026-01-07T12:00:00Z.",
            )
            for since in (
                *("", "yesterday", "2026-01-07", "2026-01-07T12:00:00", "2026-13-01T00:00:00Z", "1767787200"),
                *("2026-01-07T24:00:00Z", "2026-01-07T12:00:60Z", "2026-02-30T12:00Z", "20260107T120000Z"),
                *("2026-01-07T12:00:00%2B25:00", "2026-01-07T12:00:00%2B02", "2026-W01-1T12:00Z", "0000-01-01T00:00Z"),
            )
        ],
        *[
            (f"cursor={cursor}", "cursor", "The cursor field is not one that a list of emails has given.")
            for cursor in ("", "x", "A" * 15, "A" * 17, "A" * 15 + "%3D", "%2F" * 16, "%00" * 16, "A" * 15 + "é")
        ],
    ],
)
def test_what_cannot_be_read_is_named(shared: Mailroom, query: str, name: str, sentence: str) -> None:
    assert shared.errors(f"?{query}") == {name: [sentence]}


def test_everything_that_cannot_be_read_is_named_at_once(shared: Mailroom) -> None:
    errors = shared.errors("?status=x&smtpId=x&since=x&limit=x&cursor=x")
    assert errors.keys() == {"status", "smtpId", "since", "limit", "cursor"}


@pytest.mark.parametrize(
    ("path", "headers", "following"),
    [
        ("/api/v1/emails?limit=1", {}, "/api/v1/emails?limit=1&cursor={}"),
        ("/api/v1.0/emails/?limit=1", {}, "/api/v1/emails?limit=1&cursor={}"),
        ("/api/emails?limit=1&api-version=1.0", {}, "/api/emails?api-version=1.0&limit=1&cursor={}"),
        ("/api/emails?limit=1&API-Version=1", {}, "/api/emails?api-version=1.0&limit=1&cursor={}"),
        ("/api/emails?limit=1", {"X-Version": "1.0"}, "/api/emails?api-version=1.0&limit=1&cursor={}"),
        (
            "/api/v1/emails?status=sent&limit=1&since=2026-01-01T00:00:00%2B02:00&a=b%26c&a=%3E",
            {},
            "/api/v1/emails?status=sent&limit=1&since=2026-01-01T00%3A00%3A00%2B02%3A00&a=b%26c&a=%3E&cursor={}",
        ),
    ],
)
def test_the_next_page_is_named_in_the_form_that_the_client_used(
    mailroom: Mailroom, path: str, headers: dict[str, str], following: str
) -> None:
    for number in range(3):
        mailroom.put(f"{number:08X}", NOON + timedelta(seconds=number))
    for expected in ("00000002", "00000001"):
        answer = mailroom.get(path, headers=mailroom.headers | headers)
        assert _ids(answer) == [expected]
        cursor = Cursor(int((NOON + timedelta(seconds=int(expected))).timestamp() * 1000), expected)
        assert _next(answer) == following.format(cursor)
        # The version need not be said again.
        path, headers = following.format(cursor), {}
    last = mailroom.get(path)
    assert _ids(last) == ["00000000"]
    assert _next(last) is None


@pytest.mark.parametrize("milliseconds", [-(2**63), -1, 0, 1_767_787_200_000, 2**63 - 1])
@pytest.mark.parametrize("email_id", ["00000000", "A3F2B1C9", "FFFFFFFF"])
def test_a_cursor_is_the_same_when_it_comes_back(milliseconds: int, email_id: str) -> None:
    cursor = Cursor(milliseconds, email_id)
    assert re.fullmatch("[A-Za-z0-9_-]{16}", str(cursor))
    assert Cursor.read(str(cursor)) == cursor


def test_a_cursor_from_anywhere_is_answered(mailroom_on_each_database: Mailroom) -> None:
    mailroom_on_each_database.put("00000001")
    for milliseconds in (-(2**63), 0, 2**63 - 1):
        cursor = urlsafe_b64encode(struct.pack(">qI", milliseconds, 0)).decode()
        assert mailroom_on_each_database.ids(f"?cursor={cursor}") == (["00000001"] if milliseconds > 0 else [])


@pytest.mark.parametrize(
    ("narrowed", "searched"),
    [
        ({}, "(project_id=?)"),
        ({"status": Status.SENT, "since_ms": 1}, "(project_id=? AND created_at>?)"),
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
    assert plan == [f"SEARCH emails USING INDEX ix_emails_project {searched}"]


def test_the_resource_ends_with_who_was_refused(mailroom: Mailroom) -> None:
    sent = mailroom.service.post(json=valid_request(), headers=mailroom.headers)
    assert sent.json is not None
    assert list(sent.json)[-1] == "refusedRecipients"
    assert sent.json["refusedRecipients"] == []
