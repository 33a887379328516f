"""Visitors are told apart: what is one submission and what are two, and how much one address may send."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.emails.office import Office
from app.errors import CheckFailed, CooldownActive, SubmissionLimitReached
from app.forms import tokens
from app.forms.submission import Receipt
from app.forms.submit import submit
from app.model.form import CheckFailure, Form
from app.storage.tables import form_marks, submission_shares
from tests.conftest import MakeService
from tests.forms.submitting import FORM, HEADERS, ORIGIN, SECRET, VISITOR, VOTE, Clock, send, vote, with_token, work_off


def test_twenty_visitors_with_the_same_words_are_twenty_mails(office: Office) -> None:
    receipts = {
        submit(office, FORM, VOTE, replace(VISITOR, client=f"192.0.2.{number}")).reference for number in range(20)
    }
    assert len(receipts) == 20
    assert work_off(office) == ["Sent"] * 20


def test_two_browsers_behind_one_address_are_two_visitors(office: Office) -> None:
    visitors = [replace(VISITOR, user_agent=name) for name in ("Firefox", "Chromium", "Firefox")]
    receipts = [submit(office, FORM, VOTE, visitor).reference for visitor in visitors]
    assert receipts[0] == receipts[2] != receipts[1]


def test_form_tokens_tell_visitors_with_one_address_and_browser_apart(office: Office, clock: Clock) -> None:
    here, there = (with_token(tokens.issue(office, FORM)) for _ in range(2))
    clock.now += timedelta(seconds=5)
    receipts = [submit(office, FORM, vote(**token), VISITOR).reference for token in (here, here, there)]
    assert receipts[0] == receipts[1] != receipts[2]


def test_a_page_that_was_loaded_anew_is_the_same_visitor_where_the_words_say_who_writes(
    office: Office, clock: Clock
) -> None:
    here, anew = (with_token(tokens.issue(office, FORM)) for _ in range(2))
    clock.now += timedelta(seconds=5)
    assert send(office, **here) == send(office, **anew)


def test_a_form_token_that_somebody_else_shows_makes_no_second_mail(office: Office, clock: Clock) -> None:
    token = with_token(tokens.issue(office, FORM))
    clock.now += timedelta(seconds=5)
    first = submit(office, FORM, vote(**token), VISITOR)
    elsewhere = replace(VISITOR, client="192.0.2.2")
    assert submit(office, FORM, vote(**token), elsewhere) == first
    with pytest.raises(CheckFailed) as caught:
        submit(office, FORM, vote(coming="no", **token), elsewhere)
    assert caught.value.failure is CheckFailure.TOKEN_USED


@pytest.mark.parametrize(("passed", "mails"), [(timedelta(seconds=59), 1), (timedelta(seconds=61), 2)])
def test_a_minute_later_the_same_words_are_another_message(
    office: Office, clock: Clock, passed: timedelta, mails: int
) -> None:
    first = submit(office, FORM, VOTE, VISITOR)
    clock.now += passed
    assert len({first, submit(office, FORM, VOTE, VISITOR)}) == mails


def test_a_clock_that_was_set_back_makes_no_repetition_of_a_new_message(office: Office, clock: Clock) -> None:
    form = replace(FORM, submissions_per_hour=1)
    first = submit(office, form, VOTE, VISITOR)
    clock.now -= timedelta(days=1)
    assert submit(office, form, VOTE, VISITOR) != first


def test_nothing_that_is_kept_of_a_visitor_can_be_read_or_guessed(office: Office) -> None:
    known = replace(VISITOR, user_agent="Firefox")
    submit(office, FORM, VOTE, known)
    for table in (form_marks, submission_shares):
        rows = office.database.read(lambda connection, table=table: connection.execute(select(table)).all())  # type: ignore[misc]
        assert rows
        assert not any(known.client in str(value) or "Firefox" in str(value) for row in rows for value in row)
    digest = sha256(f"share\0{FORM.key}\0{known.client}".encode()).hexdigest()
    assert digest not in {row.digest for row in rows}


def from_one_address(office: Office, form: Form, number: int, *, client: str = "192.0.2.1") -> Receipt:
    return submit(office, form, vote(f"with {number}"), replace(VISITOR, client=client))


@pytest.mark.parametrize(("per_hour", "share"), [(100, 10), (200, 20), (59, 5), (20, 5), (3, 3)])
def test_one_address_uses_a_share_of_what_a_form_takes(office: Office, per_hour: int, share: int) -> None:
    form = replace(FORM, submissions_per_hour=per_hour)
    for number in range(share):
        from_one_address(office, form, number)
    with pytest.raises(SubmissionLimitReached):
        from_one_address(office, form, share)
    if share < per_hour:
        from_one_address(office, form, share, client="192.0.2.2")


def test_an_address_is_told_when_its_share_is_free_again(office: Office, clock: Clock) -> None:
    form = replace(FORM, submissions_per_hour=50)
    for number in range(5):
        from_one_address(office, form, number)
        clock.now += timedelta(minutes=10)
    with pytest.raises(SubmissionLimitReached) as caught:
        from_one_address(office, form, 5)
    assert caught.value.retry_after_s == 600
    clock.now += timedelta(seconds=600)
    from_one_address(office, form, 5)
    with pytest.raises(SubmissionLimitReached) as caught:
        from_one_address(office, form, 6)
    assert caught.value.retry_after_s == 600


def test_a_full_form_is_told_of_where_that_takes_longer(office: Office, clock: Clock) -> None:
    form = replace(FORM, submissions_per_hour=6)
    for number in range(5):
        from_one_address(office, form, number)
    clock.now += timedelta(minutes=30)
    from_one_address(office, form, 5, client="192.0.2.2")
    with pytest.raises(SubmissionLimitReached) as caught:
        from_one_address(office, form, 6, client="192.0.2.2")
    assert caught.value.retry_after_s == 1800


def test_what_is_not_taken_uses_no_share(office: Office, clock: Clock) -> None:
    form = replace(FORM, submissions_per_hour=50)
    send(office, form=form)
    for _ in range(5):
        send(office, form=form)
        with pytest.raises(CooldownActive):
            send(office, form=form, message="Too early")
        submit(office, form, vote(_gotcha="x"), VISITOR)
        clock.now += timedelta(seconds=1)
    for number in range(4):
        from_one_address(office, form, number)
    with pytest.raises(SubmissionLimitReached):
        from_one_address(office, form, 5)
    # The share of another form is another one.
    from_one_address(office, replace(form, key="anotherformofthesame"), 5)


def test_of_clicks_at_once_from_one_address_no_more_than_its_share_are_taken(office: Office) -> None:
    form = replace(FORM, submissions_per_hour=50)

    def click(number: int) -> bool:
        try:
            from_one_address(office, form, number)
        except SubmissionLimitReached:
            return False
        return True

    with ThreadPoolExecutor(8) as clicks:
        assert sum(clicks.map(click, range(16))) == 5


@pytest.mark.parametrize("storage_uri", ["memory://", "redis://127.0.0.1:1/0"])
def test_over_http_a_visitor_is_an_address_and_a_browser(make_service: MakeService, storage_uri: str) -> None:
    """Of IPv6 the /64; and it is all the same where the counters of requests are, here in a Redis that is away."""
    guards = {"rate_limit_enabled": True, "storage_uri": storage_uri, "rate_limit": "100 per minute", "burst_limit": 99}
    service = make_service(cors_origins=(ORIGIN,), guards=guards, **SECRET)

    def click(peer: str, browser: str = "Firefox", number: int = 0) -> TestResponse:
        return service.client.post(
            "/forms/default",
            data={"coming": f"with {number}"},
            headers=HEADERS | {"User-Agent": browser},
            environ_overrides={"REMOTE_ADDR": peer},
        )

    one, same, browser, neighbour = (
        (click(*visitor).json or {})["reference"]
        for visitor in (("2001:db8::1",), ("2001:db8::2",), ("2001:db8::1", "Lynx"), ("2001:db8:0:1::1",))
    )
    assert one == same
    assert len({one, browser, neighbour}) == 3
    for number in range(1, 9):
        assert click(f"2001:db8::{number}", number=number).status_code == 200
    refused = click("2001:db8::a", number=10)
    assert refused.status_code == 429
    assert 3500 < int(refused.headers["Retry-After"]) <= 3600
    assert "from your connection" in (refused.json or {})["message"]
    assert click("2001:db8:0:1::1", number=10).status_code == 200
