"""What a POST makes of a request: the answer, the record, and the message that arrives (spec: email-api, 4 and 5)."""

import base64
import os
import re
import threading
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import parsedate_to_datetime

import pytest

from tests.conftest import MakeService, Service, valid_request


def _text(message: EmailMessage, kind: str = "plain") -> str:
    part = message.get_body(preferencelist=(kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def test_the_answer_has_the_documented_form_and_the_record_is_the_same(service: Service) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    answer = service.post()
    assert answer.status_code == 201
    assert answer.json is not None
    assert list(answer.json)[:6] == ["id", "status", "requestedSmtpId", "isTest", "createdAt", "receptionEmail"]
    assert re.fullmatch("[0-9A-F]{8}", answer.json["id"])
    assert answer.json["status"] == "Sent"
    assert answer.json["requestedSmtpId"] == 1
    assert answer.json["isTest"] is False
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", answer.json["createdAt"])
    assert datetime.fromisoformat(answer.json["createdAt"]) > before
    assert answer.json["deliveredSmtpId"] == 1
    assert [attempt["outcome"] for attempt in answer.json["attempts"]] == ["accepted"]
    assert service.client.get(f"/api/v1/emails/{answer.json['id']}").json == answer.json
    assert service.client.get(f"/api/v1/emails/{answer.json['id'].lower()}").json == answer.json


@pytest.mark.parametrize("email_id", ["00000000", "x", "A3F2B1C9A", "..", "%27", "A3F2B1C"])
def test_an_unknown_id_is_not_found(service: Service, email_id: str) -> None:
    answer = service.client.get(f"/api/v1/emails/{email_id}")
    assert answer.status_code == 404
    assert answer.mimetype == "application/json"
    assert answer.json == {"message": f"Email '{email_id.replace('%27', chr(39))}' was not found."}


def test_the_record_survives_a_restart(make_service: MakeService) -> None:
    answer = make_service().post()
    assert answer.json is not None
    assert make_service().client.get(answer.headers["Location"]).json == answer.json


def test_the_message_says_who_wrote_it_and_replies_go_there(service: Service) -> None:
    answer = service.post(
        json=valid_request(
            Email="anna@example.com", Username="Müller, Anna <boss@evil.example>", Message="Grüße!\nAnna"
        )
    )
    assert answer.json is not None
    message = service.newest()
    (author,) = message["From"].addresses
    assert author.addr_spec == "letterbox@letterbox.localhost"
    assert message["To"] == answer.json["receptionEmail"]
    (reply_to,) = message["Reply-To"].addresses
    assert reply_to.addr_spec == "anna@example.com"
    assert reply_to.display_name == "Müller, Anna <boss@evil.example>"
    assert message["Subject"].endswith(f" - [{answer.json['id']}]")
    assert message["X-Email-Id"] == answer.json["id"]
    assert message["Message-ID"]
    assert message["MIME-Version"] == "1.0"
    # A person wrote it, and helpdesks drop what a machine wrote.
    assert "Auto-Submitted" not in message
    assert abs(parsedate_to_datetime(message["Date"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert "Grüße!\nAnna" in _text(message)


@pytest.mark.parametrize(
    ("template", "subject", "has_html"),
    [
        ("Default", "Message from Anna", False),
        ("Modern", "✉️ New Message from Anna", True),
        ("Minimal", "Contact: Anna", True),
        ("Professional", "New Contact Form Submission - Anna", True),
        ("Alert", "Important message from Anna", True),
    ],
)
def test_each_template_arrives_with_its_subject_and_a_text_part(
    service: Service, template: str, subject: str, has_html: bool
) -> None:
    answer = service.post(
        json=valid_request(Username="Anna", Template=template, IsHtml=not has_html, CustomFields={"Company": "<Äcme>"})
    )
    assert answer.json is not None
    message = service.newest()
    assert message["Subject"] == f"{subject} - [{answer.json['id']}]"
    assert "Hello!" in _text(message)
    assert "<Äcme>" in _text(message)
    assert (message.get_body(preferencelist=("html",)) is not None) is has_html
    if has_html:
        assert "&lt;Äcme&gt;" in _text(message, "html")


def test_a_clients_template_is_data_and_never_code(service: Service) -> None:
    template = "{Message} {Company} {Nobody} {7*7} {Email.__class__} {{config}} %(Email)s {Email}"
    service.post(
        json=valid_request(
            Email="anna@example.org",
            Message="{Email}",
            EmailTemplate=template,
            SubjectTemplate="{Company}\r\nBcc: x@evil.example {Nobody}",
            CustomFields={"Company": "=?utf-8?q?a=0D=0ABcc:_evil=40x.test?=", "Email": "overridden@example.com"},
        )
    )
    message = service.newest()
    assert _text(message).rstrip("\n") == (
        "{Email} =?utf-8?q?a=0D=0ABcc:_evil=40x.test?= {Nobody} {7*7} {Email.__class__} {{config}} %(Email)s "
        "anna@example.org"
    )
    assert message["Bcc"] is None
    assert "Bcc: x@evil.example {Nobody}" in message["Subject"]


def test_client_html_is_sanitised_and_has_a_text_alternative(service: Service) -> None:
    service.post(
        json=valid_request(
            Message="<b>bold</b>\nnext",
            EmailTemplate='<p onclick="x()">{Message}</p><script>alert(1)</script><img src="https://evil.example/x.png">'
            '<a href="{Link}">go</a>',
            IsHtml=True,
            CustomFields={"Link": "javascript:alert(1)"},
        )
    )
    message = service.newest()
    html = _text(message, "html")
    assert "&lt;b&gt;bold&lt;/b&gt;<br" in html
    for forbidden in ("onclick", "<script", "evil.example", "javascript:"):
        assert forbidden not in html
    assert "bold" in _text(message)


def test_what_stands_behind_an_element_that_may_not_be_mailed_arrives(service: Service) -> None:
    template = "<p>First</p><svg onload=alert(1)><p>then {Message}, <template>last"
    assert service.post(json=valid_request(EmailTemplate=template, IsHtml=True)).status_code == 201
    message = service.newest()
    assert _text(message).split() == ["First", "then", "Hello!,", "last"]
    html = _text(message, "html")
    assert "<p>then Hello!, last</p>" in html
    assert "svg" not in html
    assert "onload" not in html


def test_attachments_arrive_byte_for_byte(service: Service) -> None:
    files = {
        "empty.bin": b"",
        "every byte.bin": bytes(range(256)) * 41,
        "Übersicht 2026 – 用户.pdf": os.urandom(70_001),
        "text.txt": b"a\r\nb\nc\r.\r\n..\n",
    }
    answer = service.post(
        json=valid_request(
            Attachments=[
                {"FileName": name, "Base64Content": base64.b64encode(content).decode()}
                for name, content in files.items()
            ]
        )
    )
    assert answer.status_code == 201
    parts = list(service.newest().iter_attachments())
    assert {part.get_filename(): part.get_payload(decode=True) for part in parts} == files
    types = [part.get_content_type() for part in parts]
    assert types == ["application/octet-stream", "application/octet-stream", "application/pdf", "text/plain"]


INVITATION = """BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//Example//Booking//EN\r
METHOD:REQUEST\r
BEGIN:VEVENT\r
UID:4711@example.com\r
DTSTAMP:20260107T123456Z\r
DTSTART:20260109T180000Z\r
SUMMARY:Tisch für zwei\r
ORGANIZER:mailto:office@example.com\r
ATTENDEE;RSVP=TRUE:mailto:anna@example.com\r
END:VEVENT\r
END:VCALENDAR\r
""".encode()


@pytest.mark.parametrize("charset", ["; charset=utf-8", ""])
def test_a_calendar_invitation_arrives_intact(service: Service, charset: str) -> None:
    content_type = f"text/calendar; method=REQUEST{charset}"
    invitation = {"FileName": "invite.ics", "Base64Content": base64.b64encode(INVITATION).decode()}
    answer = service.post(json=valid_request(Attachments=[invitation | {"ContentType": content_type}]))
    assert answer.status_code == 201
    (part,) = service.newest().iter_attachments()
    assert part.get_content_type() == "text/calendar"
    assert dict(part["Content-Type"].params) == {"method": "REQUEST", "charset": "utf-8", "name": "invite.ics"}
    assert part.get_payload(decode=True) == INVITATION
    assert part.get_content().splitlines() == INVITATION.decode().splitlines()
    assert b"Content-Type: text/calendar; method=REQUEST; charset=utf-8;\r\n name=" in service.newest_source()


@pytest.mark.parametrize(
    ("priority", "expected"),
    [
        ("Low", {"X-Priority": "5", "Importance": "low"}),
        ("Normal", {}),
        ("High", {"X-Priority": "2", "Importance": "high"}),
        (
            "Urgent",
            {"X-Priority": "1", "Importance": "high", "X-MSMail-Priority": "High", "Priority": "urgent"},
        ),
    ],
)
def test_priority_becomes_the_headers_that_clients_act_on(
    service: Service, priority: str, expected: dict[str, str]
) -> None:
    service.post(json=valid_request(Priority=priority))
    message = service.newest()
    names = ("X-Priority", "Importance", "X-MSMail-Priority", "Priority")
    assert {name: message[name] for name in names if message[name]} == expected


def test_an_unknown_configuration_is_a_bad_request(service: Service) -> None:
    answer = service.post("/api/v1/emails?smtpId=7")
    assert answer.status_code == 400
    assert answer.mimetype == "application/problem+json"
    assert answer.json is not None
    assert answer.json["title"] == "Bad request"
    assert answer.json["detail"] == "SMTP_7 configuration not found"
    assert service.inbox.list() == []


def test_the_configurations_are_listed_without_secrets(service: Service) -> None:
    answer = service.client.get("/api/v1/smtp-configurations")
    assert answer.json is not None
    (configuration,) = answer.json
    assert list(configuration) == ["index", "host", "port", "email", "testEmail", "description"]
    assert service.client.get("/api/v1/smtp-configurations/1").json == configuration
    missing = service.client.get("/api/v1/smtp-configurations/9")
    assert missing.status_code == 404
    assert missing.json == {"message": "SMTP configuration '9' was not found."}


def test_a_second_message_of_a_sender_has_to_wait_longer_each_time(make_service: MakeService) -> None:
    now = datetime(2026, 1, 7, 12, 0, tzinfo=UTC)
    service = make_service(clock=lambda: now)

    def post(address: str = "anna@example.com", query: str = "") -> tuple[int, str | None, str]:
        answer = service.post(f"/api/v1/emails{query}", json=valid_request(Email=address))
        assert answer.json is not None
        return answer.status_code, answer.headers.get("Retry-After"), answer.json.get("detail", "")

    sentence = "This email has already been used to send a message recently. You can send another message in "
    assert post()[0] == 201
    assert post() == (400, "3600", f"{sentence}1 hour (Usage: 1)")
    assert post("ANNA+tag@EXAMPLE.com")[0] == 400
    assert post(query="?test=true")[0] == 201
    now += timedelta(seconds=30)
    assert post() == (400, "3570", f"{sentence}59 minutes 30 seconds (Usage: 1)")
    now += timedelta(minutes=59, seconds=30)
    assert post()[0] == 201
    now += timedelta(minutes=1)
    assert post() == (400, "7140", f"{sentence}1 hour 59 minutes (Usage: 2)")
    # It survives a restart.
    service = make_service(clock=lambda: now)
    assert post()[0] == 400
    now += timedelta(hours=2)
    assert post()[0] == 201


def test_of_thirty_simultaneous_messages_of_one_sender_exactly_one_is_sent(service: Service) -> None:
    statuses: list[int] = []
    body = valid_request()
    start = threading.Barrier(30)

    def post() -> None:
        client = service.app.test_client()
        start.wait()
        statuses.append(client.post("/api/v1/emails", json=body).status_code)

    threads = [threading.Thread(target=post) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201] + [400] * 29
    assert len(service.inbox.list()) == 1
