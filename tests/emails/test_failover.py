"""HTTP in, SMTP out over several servers, each fault at each stage: nothing lost, nothing doubled, the record true."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from app.errors import RecordUnavailable
from app.model.smtp import Account
from app.storage import emails
from tests.conftest import MakeService, Service, valid_request
from tests.smtp_server import CHUNKING, PIPELINING, PLAIN, Drop, Fault, SMTPServer

RECIPIENT = "office@example.com"
SERVER_AT_FAULT: list[tuple[str, Fault]] = [
    ("CONNECT", Drop()),
    ("GREETING", "554 no service"),
    ("GREETING", Drop()),
    ("EHLO", "421 closing"),
    ("AUTH", "535 5.7.8 wrong password"),
    ("AUTH", Drop()),
    ("MAIL", "451 4.3.0 try later"),
    ("MAIL", "550 5.7.1 sender refused"),
    ("MAIL", Drop()),
    ("RCPT", "450 4.2.0 greylisted"),
    ("RCPT", "550 5.7.1 relay denied"),
    ("RCPT", "530 5.7.0 sign in first"),
    ("DATA", "451 4.3.0 try later"),
    ("MESSAGE", "451 4.3.0 try later"),
    ("MESSAGE", "421 4.3.2 closing"),
]


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def _service(make_service: MakeService, *servers: SMTPServer, **changes: Any) -> Service:
    configurations = tuple(server.configuration(index, timeout_s=2.0) for index, server in enumerate(servers, start=1))
    return make_service(smtp_configurations=configurations, reception_email=RECIPIENT, **changes)


def _accounts(extensions: tuple[str, ...], **options: Any) -> SMTPServer:
    """A server that asks to sign in, over TLS."""
    return SMTPServer(extensions=extensions, starttls=True, credentials=("sender@example.com", "secret"), **options)


@pytest.mark.parametrize("extensions", [PLAIN, PIPELINING, CHUNKING], ids=["plain", "pipelining", "chunking"])
@pytest.mark.parametrize(("stage", "fault"), SERVER_AT_FAULT, ids=lambda value: str(value)[:24])
def test_a_server_at_fault_is_passed_over_and_the_message_is_the_same_everywhere(
    make_service: MakeService, servers: ExitStack, extensions: tuple[str, ...], stage: str, fault: Fault
) -> None:
    if stage in ("DATA", "MAIL", "RCPT") and isinstance(fault, Drop) and extensions is CHUNKING:
        pytest.skip("everything was handed over with the first write, so a drop there is uncertain; tested below")
    if stage == "DATA" and extensions is CHUNKING:
        pytest.skip("there is no DATA where there is CHUNKING")
    broken = servers.enter_context(_accounts(extensions, faults={stage: fault}))
    refusing = servers.enter_context(_accounts(extensions, faults={"MESSAGE": "452 4.3.1 disk full"}))
    healthy = servers.enter_context(_accounts(extensions))
    service = _service(make_service, broken, refusing, healthy)

    answer = service.post("/api/v1/emails?smtpId=1")

    assert answer.status_code == 201
    assert answer.json is not None
    assert answer.json["requestedSmtpId"] == 1
    assert answer.json["deliveredSmtpId"] == 3
    outcomes = [(attempt["smtpId"], attempt["outcome"]) for attempt in answer.json["attempts"]]
    assert outcomes == [(1, "server-at-fault"), (2, "server-at-fault"), (3, "accepted")]
    assert [len(server.messages) for server in (broken, refusing, healthy)] == [0, 0, 1]
    refused, accepted = refusing.received[-1].parsed, healthy.messages[0].parsed
    assert accepted["X-Email-Id"] == answer.json["id"]
    for field in ("Message-ID", "Subject", "Date", "X-Email-Id"):
        assert refused[field] == accepted[field]
    assert list(healthy.messages[0].recipients) == [RECIPIENT]
    assert service.client.get(answer.headers["Location"]).json == answer.json


def test_failover_wraps_round_the_list(make_service: MakeService, servers: ExitStack) -> None:
    first = servers.enter_context(SMTPServer())
    second = servers.enter_context(SMTPServer())
    third = servers.enter_context(SMTPServer(faults={"MAIL": "421 4.3.2 closing"}))
    answer = _service(make_service, first, second, third).post("/api/v1/emails?smtpId=3")
    assert answer.json is not None
    assert answer.json["deliveredSmtpId"] == 1
    assert (len(first.messages), len(second.messages)) == (1, 0)


def test_when_every_server_fails_the_answer_is_502_and_the_sender_may_try_again(
    make_service: MakeService, servers: ExitStack
) -> None:
    broken = [servers.enter_context(SMTPServer(faults={"MAIL": "451 4.3.0 try later"})) for _ in range(2)]
    service = _service(make_service, *broken)
    body = valid_request()
    answer = service.post(json=body)
    assert answer.status_code == 502
    assert answer.mimetype == "application/problem+json"
    assert answer.json is not None
    assert answer.json["title"] == "Email delivery failed"
    assert answer.json["detail"] == "Failed to send email after trying all available SMTP configurations."
    assert "451" not in answer.text
    record = service.client.get(f"/api/v1/emails/{answer.json['emailId']}").json
    assert record is not None
    assert record["status"] == "Failed"
    assert record["deliveredSmtpId"] is None
    assert len(record["attempts"]) == 2
    for server in broken:
        server.faults = {}
        server.drop_connections()
    assert service.post(json=body).status_code == 201


def test_no_reply_after_everything_was_handed_over_is_uncertain_and_never_sent_again(
    make_service: MakeService, servers: ExitStack
) -> None:
    silent = servers.enter_context(SMTPServer(faults={"MESSAGE": Drop()}))
    healthy = servers.enter_context(SMTPServer())
    service = _service(make_service, silent, healthy)
    body = valid_request()
    answer = service.post(json=body)
    assert answer.status_code == 502
    assert answer.json is not None
    assert answer.json["title"] == "Email delivery uncertain"
    assert "may have been delivered" in answer.json["detail"]
    record = service.client.get(f"/api/v1/emails/{answer.json['emailId']}").json
    assert record is not None
    assert record["status"] == "Uncertain"
    assert (len(silent.received), len(healthy.received)) == (1, 0)
    # The visitor's retry would be the duplicate.
    assert service.post(json=body).status_code == 400


def test_when_the_record_fails_between_two_servers_nothing_more_is_sent_and_the_attempts_are_kept(
    make_service: MakeService, servers: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = servers.enter_context(SMTPServer(faults={"MESSAGE": "451 4.3.0 try later"}))
    healthy = servers.enter_context(SMTPServer())
    service = _service(make_service, refusing, healthy)
    mark, calls = emails.mark_handed_over, []

    def mark_once(*arguments: Any, **options: Any) -> bool:
        calls.append(arguments)
        if len(calls) > 1:
            raise RecordUnavailable("The disk is full.")
        return mark(*arguments, **options)

    monkeypatch.setattr(emails, "mark_handed_over", mark_once)
    body = valid_request()
    answer = service.post(json=body)
    assert answer.status_code == 503
    assert healthy.received == []
    monkeypatch.undo()
    (email_id,) = {call[1].id for call in calls}
    record = service.client.get(f"/api/v1/emails/{email_id}").json
    assert record is not None
    assert record["status"] == "Failed"
    assert [attempt["outcome"] for attempt in record["attempts"]] == ["server-at-fault"]
    assert service.post(json=body).status_code == 201


def test_a_refused_message_is_not_offered_elsewhere(make_service: MakeService, servers: ExitStack) -> None:
    strict = servers.enter_context(SMTPServer(faults={"MESSAGE": "554 5.7.1 looks like spam"}))
    healthy = servers.enter_context(SMTPServer())
    answer = _service(make_service, strict, healthy).post()
    assert answer.status_code == 502
    assert healthy.received == []


def test_a_refused_recipient_is_replaced_by_the_catch_all(make_service: MakeService, servers: ExitStack) -> None:
    def refuse_office(argument: str) -> str | None:
        return "550 5.1.1 no such user" if RECIPIENT in argument else None

    server = servers.enter_context(SMTPServer(faults={"RCPT": refuse_office}))
    service = _service(make_service, server, catchall_email="all@example.com")
    answer = service.post()
    assert answer.status_code == 201
    assert answer.json is not None
    outcomes = [attempt["outcome"] for attempt in answer.json["attempts"]]
    assert outcomes == ["recipient-refused", "accepted"]
    assert server.connections == 1
    assert list(server.messages[0].recipients) == ["all@example.com"]


def test_a_warm_session_takes_one_round_trip(make_service: MakeService, servers: ExitStack) -> None:
    for extensions, round_trips in ((CHUNKING, 1), (PIPELINING, 2), (PLAIN, 4)):
        server = servers.enter_context(_accounts(extensions))
        service = _service(make_service, server)
        service.post()
        service.post()
        assert server.connections == 1
        assert server.messages[1].round_trips == round_trips


def test_a_test_message_signs_in_with_the_test_account(make_service: MakeService, servers: ExitStack) -> None:
    server = servers.enter_context(SMTPServer(starttls=True, credentials=("test@example.com", "test-secret")))
    account = Account("test@example.com", "test@example.com", "test-secret")
    configuration = replace(server.configuration(), test_account=account, test_email="test@example.com")
    service = make_service(smtp_configurations=(configuration,), reception_email=RECIPIENT)
    answer = service.post("/api/v1/emails?test=true")
    assert answer.json is not None
    assert answer.json["isTest"] is True
    assert server.messages[0].parsed["From"].addresses[0].addr_spec == "test@example.com"

    service = make_service(smtp_configurations=(replace(configuration, test_account=None),), reception_email=RECIPIENT)
    answer = service.post("/api/v1/emails?test=true")
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["title"] == "Bad request"
