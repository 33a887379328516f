"""What the query of a list may say: which emails, how many, and from where on."""

import re
import struct
from base64 import urlsafe_b64encode
from datetime import timedelta

import pytest

from app.emails.cursor import Cursor
from app.model.email import Phase, Status

from .mailroom import NOON, Mailroom, ids_of, next_of

STATUSES = "The status field must be one of: Queued, Sending, Deferred, Sent, Failed, Uncertain."


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
    assert len(ids_of(answer)) == 50
    assert next_of(answer) is not None
    assert len(mailroom.ids("?limit=51")) == 51


@pytest.mark.parametrize(
    ("query", "name", "sentence"),
    [
        ("status=Gone", "status", STATUSES),
        ("status=", "status", STATUSES),
        ("status=Sent&status=Failed", "status", STATUSES),
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
        assert ids_of(answer) == [expected]
        cursor = Cursor(int((NOON + timedelta(seconds=int(expected))).timestamp() * 1000), expected)
        assert next_of(answer) == following.format(cursor)
        # The version need not be said again.
        path, headers = following.format(cursor), {}
    last = mailroom.get(path)
    assert ids_of(last) == ["00000000"]
    assert next_of(last) is None


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
