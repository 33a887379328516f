"""Addresses that are not ASCII where a server has no SMTPUTF8: only what needs it is left out, over HTTP and SMTP."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from app.connections import access
from app.emails import record
from app.emails.office import Office
from app.emails.queue import deliver_one
from app.model.access import Permission
from app.model.form import Form
from tests.conftest import MakeService, Service, valid_request
from tests.forms.submitting import FORM, send
from tests.smtp_server import CHUNKING, PLAIN, SMTPServer

OLDER = tuple(name for name in PLAIN if name != "SMTPUTF8")


@pytest.fixture
def older() -> Iterator[SMTPServer]:
    with SMTPServer(OLDER) as server:
        yield server


@pytest.fixture
def current() -> Iterator[SMTPServer]:
    with SMTPServer(CHUNKING) as server:
        yield server


@pytest.fixture
def service(make_service: MakeService, older: SMTPServer, current: SMTPServer) -> Service:
    configurations = (older.configuration(1), current.configuration(2))
    return make_service(smtp_configurations=configurations, reception_email="office@example.com")


@pytest.fixture
def office(service: Service) -> Office:
    found: Office = service.app.extensions["letterbox"]
    return found


@pytest.fixture
def bearer(office: Office) -> dict[str, str]:
    permissions = (Permission.EMAILS_SEND, Permission.EMAILS_VIEW)
    token = access.create_token(office.registry, project="Mine", permissions=permissions)
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("is_queued", [False, True])
def test_a_visitor_is_heard_whose_address_cannot_stand_in_the_header(
    is_queued: bool, service: Service, office: Office, older: SMTPServer, current: SMTPServer
) -> None:
    body = valid_request(Email="jürgen@example.com", Username="Jürgen")
    answer = service.post(json=body, headers={"Prefer": "respond-async"} if is_queued else {})
    if is_queued:
        deliver_one(office, *record.claim(office))
    assert answer.status_code == (202 if is_queued else 201)
    (message,) = older.messages
    assert message.parsed["Reply-To"] is None
    assert message.parsed["To"] == "office@example.com"
    assert message.parsed["Message-ID"]
    text = message.parsed.get_body(("plain",))
    assert text is not None
    assert "jürgen@example.com" in text.get_content()
    assert not current.received


def test_of_several_recipients_the_others_get_it(service: Service, bearer: dict[str, str], older: SMTPServer) -> None:
    body = valid_request(To=["a@x.example", "jürgen@x.example"], Cc=["größe@x.example"], Bcc=["c@bücher.example"])
    answer = service.post(json=body, headers=bearer)
    assert answer.status_code == 201
    assert answer.json is not None
    assert answer.json["refusedRecipients"] == ["jürgen@x.example", "größe@x.example"]
    (message,) = older.messages
    assert message.recipients == ("a@x.example", "c@xn--bcher-kva.example")
    assert (message.parsed["To"], message.parsed["Cc"]) == ("a@x.example", None)


def test_where_nobody_is_left_the_next_server_is_asked(
    service: Service, bearer: dict[str, str], older: SMTPServer, current: SMTPServer
) -> None:
    answer = service.post(json=valid_request(To=["jürgen@x.example"]), headers=bearer)
    assert answer.json is not None
    assert (answer.status_code, answer.json["deliveredSmtpId"]) == (201, 2)
    assert [each["outcome"] for each in answer.json["attempts"]] == ["server-at-fault", "accepted"]
    assert not older.received
    assert current.messages[0].parsed["To"] == "jürgen@x.example"


def test_a_form_reaches_its_owner_and_its_confirmation_another_server(
    office: Office, older: SMTPServer, current: SMTPServer
) -> None:
    form: Form = replace(FORM, confirms=True)
    send(office, form=form, email="jürgen@example.com")
    assert {deliver_one(office, email).status for email in record.claim(office, limit=10)} == {"Sent"}
    (submission,), (confirmation,) = older.messages, current.messages
    assert (submission.recipients, submission.parsed["Reply-To"]) == (("office@example.com",), None)
    assert confirmation.recipients == ("jürgen@example.com",)
