"""What becomes of a submission: it is received once, delivered by the queue, limited, and never lost."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from app.emails.housekeeping import prune
from app.emails.office import Office
from app.errors import CheckFailed, CooldownActive, SubmissionLimitReached
from app.forms import captcha, tokens
from app.forms.submission import Receipt, Submission
from app.forms.submit import submit
from app.model.form import CheckFailure, HumanCheck
from app.storage.queue import find_message
from tests.conftest import MakeService, Service
from tests.forms.submitting import (
    FORM,
    HEADERS,
    ORIGIN,
    SECRET,
    VISITOR,
    Clock,
    mails,
    send,
    with_token,
    work_off,
    written,
)
from tests.smtp_server import SMTPServer


def test_a_submission_is_received_at_once_and_delivered_by_a_worker(office: Office, server: SMTPServer) -> None:
    receipt = send(office, color="red")
    assert server.messages == []
    assert work_off(office) == ["Sent"]
    (mail,) = mails(server)
    assert mail["X-Email-Id"] == receipt.reference
    assert mail["To"] == "office@example.com"
    assert "Auto-Submitted" not in mail
    assert mail["Reply-To"].addresses[0].addr_spec == "anna@example.com"
    text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    for expected in ("Hello!", "color: red", "Form: Contact", f"Page: {ORIGIN}/contact"):
        assert expected in text


@pytest.mark.parametrize("subject", ["About {Message}", "{Email} {name}{{Username}}", "{{7*7}} %(Email)s {0}"])
@pytest.mark.parametrize("named", ["subject", "_subject"])
def test_a_subject_that_came_with_the_form_is_text(
    office: Office, server: SMTPServer, subject: str, named: str
) -> None:
    fields = {"message": "secret", named: subject}
    submit(office, FORM, written(**fields), VISITOR)
    assert work_off(office) == ["Sent"]
    assert mails(server)[0]["Subject"].rpartition(" - [")[0] == subject


def test_the_name_of_a_form_is_text(office: Office, server: SMTPServer) -> None:
    form = replace(FORM, name="{Message} of {form}", confirms=True)
    receipt = send(office, form=form, message="secret")
    assert work_off(office) == ["Sent", "Sent"]
    (mail,) = [mail for mail in mails(server) if mail["To"] == "office@example.com"]
    (confirmation,) = [mail for mail in mails(server) if mail["To"] == "anna@example.com"]
    assert mail["Subject"].startswith("New message: {Message} of {form} - [")
    text = confirmation.get_content()
    assert f"your message through “{form.name}” has arrived. Its reference is {receipt.reference}." in text


def test_the_owners_subject_is_a_template_and_what_fills_it_is_text(office: Office, server: SMTPServer) -> None:
    send(office, form=replace(FORM, subject="{color} of {Username}: {other}"), name="{Message}", color="{Email}")
    assert work_off(office) == ["Sent"]
    assert mails(server)[0]["Subject"].startswith("{Email} of {Message}: {other} - [")


def test_a_form_without_an_address_makes_a_mail_that_nobody_is_to_answer(office: Office, server: SMTPServer) -> None:
    submit(office, FORM, Submission(fields=(("rating", "Nice page"),)), VISITOR)
    assert work_off(office) == ["Sent"]
    (mail,) = mails(server)
    assert "Reply-To" not in mail
    text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "rating: Nice page" in text
    assert "Reply to this email" not in text


def test_a_double_click_is_one_mail_with_one_reference(office: Office, server: SMTPServer) -> None:
    first, second = send(office), send(office)
    assert first.reference == second.reference
    assert work_off(office) == ["Sent"]


def test_twenty_clicks_at_once_are_one_mail(office: Office, server: SMTPServer) -> None:
    receipts: list[str] = []
    start = threading.Barrier(20)

    def click() -> None:
        start.wait()
        receipts.append(send(office).reference)

    threads = [threading.Thread(target=click) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receipts) == 20
    assert len(set(receipts)) == 1
    assert work_off(office) == ["Sent"]


def test_clicks_at_once_that_take_the_last_place_are_all_thanked(office: Office) -> None:
    form = replace(FORM, submissions_per_hour=1)
    submission = Submission(fields=(("message", "Without an address nobody waits"),))
    with ThreadPoolExecutor(8) as clicks:
        receipts = list(clicks.map(lambda _: submit(office, form, submission, VISITOR), range(8)))
    assert len({receipt.reference for receipt in receipts}) == 1


def test_a_captcha_whose_answer_was_spent_by_the_first_click_is_the_same_message(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    first: list[Receipt] = []

    def ask(*_: Any) -> None:
        """The provider takes an answer once, and the first click has been received by the time it says so."""
        if not first:
            monkeypatch.setattr(captcha, "demand_captcha", lambda *_: None)
            first.append(send(office, form=form))
            raise CheckFailed(CheckFailure.CAPTCHA_REFUSED)

    form = replace(FORM, check=HumanCheck.TURNSTILE)
    monkeypatch.setattr(captcha, "demand_captcha", ask)
    assert send(office, form=form) == first[0]
    assert work_off(office) == ["Sent"]


def test_a_connection_that_was_taken_away_keeps_nothing_from_the_forms_owner(
    office: Office, server: SMTPServer
) -> None:
    receipt = send(office, form=replace(FORM, project_id=1, smtp_id=1000, confirms=True))
    assert work_off(office) == ["Sent", "Sent"]
    assert receipt.reference in [mail["X-Email-Id"] for mail in mails(server) if mail["To"] == "office@example.com"]


def test_other_words_of_the_same_sender_have_to_wait_as_everywhere(office: Office) -> None:
    send(office)
    with pytest.raises(CooldownActive):
        send(office, message="Another thing")


def test_a_visitor_waits_an_hour_and_not_until_a_server_is_back(
    office: Office, server: SMTPServer, clock: Clock
) -> None:
    server.faults = {"MAIL": "451 4.3.0 try later"}
    send(office)
    assert work_off(office) == ["Deferred"]
    clock.now += timedelta(minutes=61)
    send(office, message="Another thing")


def test_when_no_server_takes_it_the_owner_gets_it_days_later_with_the_time_it_was_written(
    office: Office, server: SMTPServer, clock: Clock
) -> None:
    server.faults = {"MAIL": "451 4.3.0 try later"}
    written_at = clock.now
    receipt = send(office)
    for _ in range(90):
        assert work_off(office) == ["Deferred"]
        clock.now += timedelta(minutes=76)
    assert clock.now - written_at > timedelta(days=4)
    server.faults = {}
    office.deliverer.forget([server.configuration()])
    assert work_off(office) == ["Sent"]
    (mail,) = mails(server)
    assert mail["X-Email-Id"] == receipt.reference
    assert mail["Date"].datetime == written_at.replace(microsecond=0)
    assert f"{written_at:%B %Y, %H:%M} UTC" in mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]


def test_what_could_not_be_delivered_goes_with_its_record(office: Office, server: SMTPServer, clock: Clock) -> None:
    server.faults = {"RCPT": "550 5.1.1 no such mailbox"}
    receipt = send(office)
    assert work_off(office) == ["Failed"]

    def is_kept() -> bool:
        return office.database.read(lambda connection: find_message(connection, receipt.reference)) is not None

    clock.now += timedelta(days=office.settings.email_retention_days - 1)
    prune(office)
    assert is_kept()
    clock.now += timedelta(days=2)
    prune(office)
    assert not is_kept()


def test_a_form_token_is_good_for_one_message_and_for_a_late_second_click(office: Office, clock: Clock) -> None:
    form = replace(FORM, needs_token=True)
    token = tokens.issue(office, form)
    clock.now += timedelta(seconds=5)
    first = send(office, form=form, **with_token(token))
    clock.now += timedelta(hours=2)
    assert send(office, form=form, **with_token(token)).reference == first.reference
    with pytest.raises(CheckFailed) as caught:
        send(office, form=form, message="Other words", **with_token(token))
    assert caught.value.failure is CheckFailure.TOKEN_USED


def test_what_was_refused_uses_no_token_up(office: Office, clock: Clock) -> None:
    form = replace(FORM, needs_token=True)
    send(office)
    token = tokens.issue(office, form)
    clock.now += timedelta(seconds=5)
    with pytest.raises(CooldownActive):
        send(office, form=form, message="Too early", **with_token(token))
    send(office, form=form, email="eva@example.com", **with_token(token))


def test_a_form_takes_so_many_in_an_hour(office: Office, clock: Clock) -> None:
    form = replace(FORM, submissions_per_hour=2)
    send(office, form=form, email="a@example.com")
    clock.now += timedelta(minutes=10)
    send(office, form=form, email="b@example.com")
    with pytest.raises(SubmissionLimitReached) as caught:
        send(office, form=form, email="c@example.com")
    assert 2990 <= caught.value.retry_after_s <= 3000
    clock.now += timedelta(seconds=caught.value.retry_after_s)
    send(office, form=form, email="c@example.com")


def test_an_hours_submissions_count_whoever_was_to_get_them(office: Office) -> None:
    form = replace(FORM, submissions_per_hour=2, confirms=True)
    send(office, form=form, email="a@example.com")
    send(office, form=form, email="b@example.com")
    with pytest.raises(SubmissionLimitReached):
        send(office, form=replace(form, recipients=("new@example.com",)), email="c@example.com")


def test_a_confirmation_has_none_of_the_visitors_words_and_comes_once_a_day(
    office: Office, server: SMTPServer, clock: Clock
) -> None:
    form = replace(FORM, confirms=True)
    visitor = replace(VISITOR, language="de")
    receipt = send(office, form=form, visitor=visitor, message="Buy pills at evil.example", name="Pills")
    assert work_off(office) == ["Sent", "Sent"]
    (confirmation,) = [mail for mail in mails(server) if mail["To"] == "anna@example.com"]
    source = confirmation.as_string()
    assert "evil.example" not in source
    assert "Pills" not in source
    assert confirmation["Subject"].startswith("Ihre Nachricht ist angekommen")
    assert receipt.reference in confirmation.get_content()
    assert "Reply-To" not in confirmation
    assert confirmation["Auto-Submitted"] == "auto-replied"
    clock.now += timedelta(hours=23)
    send(office, form=form, message="Again")
    assert work_off(office) == ["Sent"]
    clock.now += timedelta(hours=3)
    send(office, form=form, message="And again")
    assert work_off(office) == ["Sent", "Sent"]


# The honeypot, over HTTP: nothing that a bot can see differs.


def post(service: Service, **fields: str) -> TestResponse:
    return service.client.post("/forms/default", data=fields, headers=HEADERS)


def seen(answer: TestResponse) -> tuple[int, dict[str, str], Any]:
    headers = {
        name: value for name, value in answer.headers.items() if name not in ("X-Request-ID", "Date", "Retry-After")
    }
    body = dict(answer.json or {})
    for name in ("reference", "traceId", "detail", "message"):
        body.pop(name, None)
    return answer.status_code, headers, body


def test_what_falls_into_the_honeypot_looks_received_and_is_not_sent(make_service: MakeService) -> None:
    service = make_service(cors_origins=(ORIGIN,), **SECRET)
    office = service.app.extensions["letterbox"]
    human = {"email": "anna@example.com", "message": "Hello"}
    robot = {"email": "bot@example.com", "message": "Hello", "_gotcha": "x"}
    for fields in ({}, {"message": "More"}):
        assert seen(post(service, **human | fields)) == seen(post(service, **robot | fields))
    again = post(service, **robot).json
    assert again is not None
    assert again["reference"] == (post(service, **robot).json or {})["reference"]
    for answer in (post(service, **human), post(service, **robot)):
        reference = (answer.json or {})["reference"]
        assert service.client.get(f"/api/v1/emails/{reference}").status_code == 404
    assert work_off(office) == ["Sent"]
    assert len(service.inbox.list()) == 1
