"""What a form received and could not be delivered: it is kept, and its owner can have it sent again."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from app.emails import record
from app.emails.office import Office
from app.emails.queue import deliver_one
from app.emails.retries import next_attempt
from app.forms.retry import Retried, retry_submissions
from app.forms.submission import Submission
from app.forms.submit import submit
from app.messages.compose import readdressed
from app.model.email import Email, Status
from app.model.form import Form
from app.model.message import Message
from app.storage import audit
from app.storage.queue import find_message
from tests.emails.test_queue import Clock
from tests.forms.owning import opened
from tests.forms.submitting import FORM, VISITOR
from tests.smtp_server import Deed, Drop, Fault, SMTPServer

OFFICE = FORM.recipients[0]
NEVER, LATER = "550 5.1.1 no such mailbox", "451 4.7.1 greylisted"


@pytest.fixture
def server() -> Iterator[SMTPServer]:
    with SMTPServer() as server:
        yield server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def office(tmp_path: Path, database_url: str, clock: Clock, server: SMTPServer) -> Iterator[Office]:
    with opened(database_url, tmp_path, clock=clock, smtp_configurations=(server.configuration(),)) as office:
        yield office


def receive(office: Office, form: Form = FORM, sender: str = "anna@example.com") -> str:
    """The reference of a submission."""
    fields = (("name", "Änna"), ("email", sender), ("message", "Hello!\r\n.\r\nTo: nobody@example.com"))
    return submit(office, form, Submission(fields=fields), VISITOR).reference


def script(office: Office, server: SMTPServer, **faults: Fault) -> None:
    server.faults = faults
    # Sessions that are open keep to the old script.
    office.deliverer.forget([server.configuration()])


def work_off(office: Office) -> list[str]:
    return [deliver_one(office, email).status for email in record.claim(office, limit=100)]


def mails(server: SMTPServer) -> list[EmailMessage]:
    return [message_from_bytes(each.data, policy=policy.default) for each in server.received]


def is_kept(office: Office, reference: str) -> bool:
    return office.database.read(lambda connection: find_message(connection, reference)) is not None


def test_it_goes_to_the_recipients_that_the_form_has_now(office: Office, server: SMTPServer) -> None:
    script(office, server, RCPT=NEVER)
    reference = receive(office)
    assert work_off(office) == ["Failed"]
    script(office, server)
    mended = replace(FORM, recipients=("new@example.com", "boss@example.com"))
    assert retry_submissions(office, replace(FORM, key="another")) == Retried(failed=0, uncertain=0, queued=0)
    assert retry_submissions(office, mended) == Retried(failed=1, uncertain=0, queued=1)
    assert work_off(office) == ["Sent"]
    (mail,) = mails(server)
    assert (mail["To"], mail["X-Email-Id"]) == ("new@example.com, boss@example.com", reference)
    assert list(server.received[-1].recipients) == ["new@example.com", "boss@example.com"]
    assert "To: nobody@example.com" in mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert retry_submissions(office, mended) == Retried(failed=0, uncertain=0, queued=0)
    assert not is_kept(office, reference)


def test_it_goes_to_another_address_on_request(office: Office, server: SMTPServer) -> None:
    script(office, server, RCPT=NEVER)
    receive(office)
    work_off(office)
    script(office, server)
    assert retry_submissions(office, FORM, recipients=["rescue@example.com"]).queued == 1
    assert work_off(office) == ["Sent"]
    assert [mail["To"] for mail in mails(server)] == ["rescue@example.com"]


def test_what_may_have_arrived_is_kept_and_sent_again_only_on_request(office: Office, server: SMTPServer) -> None:
    script(office, server, MESSAGE=Drop())
    reference = receive(office)
    assert work_off(office) == ["Uncertain"]
    assert is_kept(office, reference)
    script(office, server)
    assert retry_submissions(office, FORM) == Retried(failed=0, uncertain=1, queued=0)
    assert work_off(office) == []
    assert retry_submissions(office, FORM, with_uncertain=True) == Retried(failed=0, uncertain=1, queued=1)
    assert work_off(office) == ["Sent"]
    first, second = mails(server)
    assert first["Message-ID"] == second["Message-ID"], "so that a mailbox may know it as the same one"


def test_what_a_worker_left_behind_is_kept(office: Office, server: SMTPServer, clock: Clock) -> None:
    reference = receive(office)
    (left,) = record.claim(office)
    record.hand_over(office, left)
    office.under_way.clear()
    clock.now += record.LEASE + timedelta(seconds=1)
    record.settle_abandoned(office)
    assert is_kept(office, reference)
    # The worker was only slow, and the server said "later".
    queued = office.database.read(lambda connection: find_message(connection, reference))
    moment = next_attempt(left, now=clock.now, random=lambda: 0.5)
    assert moment is not None
    record.put_back(office, left, attempts=(), next_attempt_at=moment, queued=queued)
    clock.now = moment
    assert work_off(office) == ["Sent"]
    assert (len(server.messages), is_kept(office, reference)) == (1, False)


def test_a_late_word_that_it_arrived_ends_the_keeping(office: Office, server: SMTPServer) -> None:
    script(office, server, MESSAGE=Drop())
    reference = receive(office)
    (email,) = record.claim(office)
    uncertain = deliver_one(office, email)
    record.settle(office, email, attempts=uncertain.attempts, status=Status.SENT)
    assert not is_kept(office, reference)
    assert retry_submissions(office, FORM, with_uncertain=True) == Retried(failed=0, uncertain=0, queued=0)


def test_who_has_it_gets_no_second_copy(office: Office, server: SMTPServer, clock: Clock) -> None:
    def second_is_late(argument: str) -> Deed:
        return LATER if "second" in argument else None

    form = replace(FORM, recipients=("first@example.com", "second@example.com"))
    script(office, server, RCPT=second_is_late)
    receive(office, form)
    assert work_off(office) == ["Deferred"]
    clock.now += timedelta(hours=1)
    script(office, server, MESSAGE=Drop())
    assert work_off(office) == ["Uncertain"]
    script(office, server)
    assert retry_submissions(office, form, with_uncertain=True).queued == 1
    assert work_off(office) == ["Sent"]
    assert [list(received.recipients) for received in server.received] == [
        ["first@example.com"],
        ["second@example.com"],
        ["second@example.com"],
    ]


def test_a_confirmation_that_failed_is_not_sent_days_later(office: Office, server: SMTPServer) -> None:
    form = replace(FORM, confirms=True)
    script(office, server, RCPT=NEVER)
    # The visitor writes from the address that the form's mail goes to, as its owner does for a trial.
    reference = receive(office, form, sender=OFFICE)
    assert work_off(office) == ["Failed", "Failed"]
    assert retry_submissions(office, form) == Retried(failed=1, uncertain=0, queued=1)
    script(office, server)
    assert work_off(office) == ["Sent"]
    assert [mail["X-Email-Id"] for mail in mails(server)] == [reference]


def test_it_leaves_through_the_server_that_the_form_has_now(
    tmp_path: Path, database_url: str, server: SMTPServer
) -> None:
    with SMTPServer(faults={"MESSAGE": "554 5.7.1 not from you"}) as first:
        configurations = first.configuration(1), server.configuration(2)
        with opened(database_url, tmp_path, smtp_configurations=configurations) as office:
            receive(office)
            assert work_off(office) == ["Failed"]
            retry_submissions(office, replace(FORM, smtp_id=2))
            assert work_off(office) == ["Sent"]
    assert len(server.messages) == 1


def test_what_is_on_its_way_again_is_not_sent_once_more(office: Office, server: SMTPServer) -> None:
    script(office, server, RCPT=NEVER)
    receive(office)
    work_off(office)
    script(office, server)
    assert retry_submissions(office, FORM).queued == 1
    assert retry_submissions(office, FORM).queued == 0
    assert work_off(office) == ["Sent"]
    assert len(server.messages) == 1


def test_who_had_it_sent_again_is_on_record(office: Office) -> None:
    retry_submissions(office, FORM, with_uncertain=True, recipients=["rescue@example.com"])
    (entry,) = office.database.read(audit.every)
    assert (entry.actor, entry.action, entry.subject) == ("command line", "retry-form", "Contact")
    assert entry.fields == ("uncertain", "to")


@pytest.mark.parametrize("old", [("a@example.com",), tuple(f"{n}.someone@department.example.com" for n in range(9))])
@pytest.mark.parametrize("new", [("b@example.com",), ("ü@example.com", *(f"{n}.nobody@example.com" for n in range(9)))])
def test_nothing_but_the_recipients_changes_in_the_message(
    office: Office, old: tuple[str, ...], new: tuple[str, ...]
) -> None:
    receive(office, replace(FORM, recipients=old))
    (email,) = record.claim(office)
    before = _message(office, email)
    after = readdressed(before, new)
    assert after.needs_smtputf8 is not all(map(str.isascii, new))
    assert readdressed(after, old) == before
    assert max(map(len, after.content.split(b"\r\n"))) <= 998


def _message(office: Office, email: Email) -> Message:
    queued = office.database.read(lambda connection: find_message(connection, email.id))
    assert queued is not None
    return queued.message
