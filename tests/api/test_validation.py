"""Bad requests: each gets a clear sentence, loses nothing, and the service goes on (spec: email-api, section 3)."""

import base64
import json
import secrets
from typing import Any

import pytest

from app.messages import mailboxes
from tests.conftest import MakeService, Service, valid_request


def _errors(service: Service, **request: Any) -> dict[str, list[str]]:
    """The errors of a refused request, after checking the form of the answer, and that the next request works."""
    answer = service.post(**request)
    assert answer.status_code == 400
    assert answer.mimetype == "application/problem+json"
    assert answer.json is not None
    assert answer.json["title"] == "One or more validation errors occurred."
    assert answer.json["status"] == 400
    assert answer.json["type"]
    assert answer.json["traceId"] == answer.headers["X-Request-ID"]
    assert service.inbox.list() == []
    assert service.client.get("/api/v1/versiontest").status_code == 200
    errors: dict[str, list[str]] = answer.json["errors"]
    return errors


@pytest.mark.parametrize(
    ("properties", "name", "sentence"),
    [
        ({"Email": None}, "Email", "The Email field is required."),
        ({"Email": ""}, "Email", "The Email field is required."),
        ({"Email": "  "}, "Email", "The Email field is required."),
        ({"Email": 7}, "Email", "The Email field must be a string."),
        ({"Email": ["a@example.com"]}, "Email", "The Email field must be a string."),
        ({"Message": None}, "Message", "The Message field is required."),
        ({"Message": ""}, "Message", "The Message field is required."),
        ({"Message": " \n\t "}, "Message", "The Message field is required."),
        ({"Message": {"text": "x"}}, "Message", "The Message field must be a string."),
        ({"Message": "x" * 200_001}, "Message", "The Message field must be a string with a maximum length of 200000."),
        ({"Username": "x" * 201}, "Username", "The Username field must be a string with a maximum length of 200."),
        ({"Username": 1}, "Username", "The Username field must be a string."),
        (
            {"SubjectTemplate": "x" * 999},
            "SubjectTemplate",
            "The SubjectTemplate field must be a string with a maximum length of 998.",
        ),
        (
            {"EmailTemplate": "x" * 200_001},
            "EmailTemplate",
            "The EmailTemplate field must be a string with a maximum length of 200000.",
        ),
        ({"CustomFields": []}, "CustomFields", "The CustomFields field must be an object of texts."),
        ({"CustomFields": {"a": 1}}, "CustomFields.a", "The CustomFields.a field must be a string."),
        ({"CustomFields": {"a": None}}, "CustomFields.a", "The CustomFields.a field must be a string."),
        (
            {"CustomFields": {str(number): "x" for number in range(101)}},
            "CustomFields",
            "The CustomFields field must have at most 100 entries.",
        ),
        (
            {"CustomFields": {"": "x"}},
            "CustomFields.",
            "The name of a custom field must have 1 to 100 characters.",
        ),
        (
            {"Template": "Fancy"},
            "Template",
            "The Template field must be one of: Default, Modern, Minimal, Professional, Alert.",
        ),
        ({"Priority": "ASAP"}, "Priority", "The Priority field must be one of: Low, Normal, High, Urgent."),
        ({"Priority": 1}, "Priority", "The Priority field must be one of: Low, Normal, High, Urgent."),
        ({"IsHtml": "true"}, "IsHtml", "The IsHtml field must be true or false."),
        ({"IsHtml": 1}, "IsHtml", "The IsHtml field must be true or false."),
        ({"Attachments": {}}, "Attachments", "The Attachments field must be an array."),
        ({"Attachments": ["x"]}, "Attachments[0]", "An attachment must be an object."),
        (
            {"Attachments": [{"FileName": "a\nb.txt", "Base64Content": "eA=="}]},
            "Attachments[0].FileName",
            "The FileName field must not contain control characters.",
        ),
        (
            {"Attachments": [{"FileName": "x" * 256, "Base64Content": "eA=="}]},
            "Attachments[0].FileName",
            "The FileName field must be a string with a maximum length of 255.",
        ),
        (
            {"Attachments": [{"FileName": "a.txt", "Base64Content": "eA==", "ContentType": "text/plain\r\nX: y"}]},
            "Attachments[0].ContentType",
            "The ContentType field is not a valid content type.",
        ),
        (
            {"CustomFields": {"x" * 101: "x"}},
            "CustomFields." + "x" * 100,
            "The name of a custom field must have 1 to 100 characters.",
        ),
        ({"Attachments": [{"Base64Content": "eA=="}]}, "Attachments[0].FileName", "The FileName field is required."),
        (
            {"Attachments": [{"FileName": "a.txt"}]},
            "Attachments[0].Base64Content",
            "The Base64Content field is required.",
        ),
        (
            {"Attachments": [{"FileName": "a.txt", "Base64Content": "eA=="}] * 21},
            "Attachments",
            "The Attachments field must have at most 20 elements.",
        ),
    ],
)
def test_a_wrong_property_is_named_with_a_sentence(
    service: Service, properties: dict[str, Any], name: str, sentence: str
) -> None:
    assert _errors(service, json=valid_request(**properties)) == {name: [sentence]}


@pytest.mark.parametrize(
    "address",
    [
        "plain",
        "@example.com",
        "a@",
        "a@b",
        "a@localhost",
        "a b@example.com",
        "a@example.com, b@example.com",
        "a@example.com\r\nBcc: b@example.com",
        "a@example.com\x00",
        "Anna <a@example.com>",
        '"a b"@example.com',
        '"a\\" <x@evil.example>, "@example.com',
        "a@[127.0.0.1]",
        "a@[IPv6:::1]",
        "=?utf-8?q?a?=@example.com",
        "a=?b@example.com",
        "a@exa=?mple.com",
        "a..b@example.com",
        ".a@example.com",
        "a@-example.com",
        "x" * 65 + "@example.com",
        "a@" + "x" * 250 + ".com",
    ],
)
def test_an_address_that_is_none_or_could_become_a_list_is_refused(service: Service, address: str) -> None:
    errors = _errors(service, json=valid_request(Email=address))
    assert errors == {"Email": ["The Email field is not a valid e-mail address."]}


@pytest.mark.parametrize(
    "address", ["o'brien+tag@example.com", "用户@example.com", "anna@bücher.example", "a@sub.domain.example.co.uk"]
)
def test_unusual_addresses_are_accepted(service: Service, address: str) -> None:
    assert service.post(json=valid_request(Email=address)).status_code == 201


def test_a_refused_address_is_not_kept_in_memory(service: Service) -> None:
    before = mailboxes._normalised.cache_info().currsize
    _errors(service, json=valid_request(Email="x" * 1_000_000))
    assert mailboxes._normalised.cache_info().currsize == before


def test_all_wrong_properties_are_named_at_once(service: Service) -> None:
    errors = _errors(
        service,
        json={
            "eMail": "x",
            "PRIORITY": "x",
            "attachments": [{"filename": "a.exe", "base64content": "?"}, {"Base64Content": "x"}],
        },
        path="/api/v1/emails?smtpId=x&test=y",
    )
    assert set(errors) == {
        "smtpId",
        "test",
        "Email",
        "Message",
        "Priority",
        "Attachments[0].FileName",
        "Attachments[0].Base64Content",
        "Attachments[1].FileName",
        "Attachments[1].Base64Content",
    }


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"", "$"),
        (b"{", "$"),
        (b"[]", "$"),
        (b'{"Email":"a@example.com","Message":"\xff"}', "$"),
        (b'{"Email":"a@example.com","Message":"\\ud800"}', "$"),
        (b'{"Email":"a@example.com","Message":"x","X":NaN}', "$"),
        (b'{"Email":"a@example.com","Email":"b@example.com","Message":"x"}', "$"),
        (b'{"Email":"a@example.com","email":"b@example.com","Message":"x"}', "Email"),
        (b"[" * 1_000_000, "$"),
    ],
)
def test_what_is_not_strict_json_is_a_validation_error(service: Service, body: bytes, name: str) -> None:
    assert list(_errors(service, data=body, content_type="application/json")) == [name]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("smtpId=x", "smtpId"),
        ("smtpId=1.5", "smtpId"),
        ("smtpId=1_0", "smtpId"),
        ("smtpId=%2B1", "smtpId"),
        ("smtpId=%201", "smtpId"),
        ("smtpId=%EF%BC%91", "smtpId"),
        ("smtpId=99999999999999999999", "smtpId"),
        ("smtpId=", "smtpId"),
        ("SMTPID=one", "smtpId"),
        ("smtpId=1&smtpId=2", "smtpId"),
        ("smtpId=1&SmtpId=2", "smtpId"),
        ("test=maybe", "test"),
        ("Test=1", "test"),
        ("test=true&test=false", "test"),
    ],
)
def test_an_unreadable_query_value_is_a_validation_error(service: Service, query: str, name: str) -> None:
    assert list(_errors(service, path=f"/api/v1/emails?{query}")) == [name]


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain; a=application/json", ""],
)
def test_another_content_type_is_refused_so_that_browsers_must_ask_first(service: Service, content_type: str) -> None:
    answer = service.post(data=json.dumps(valid_request()), content_type=content_type)
    assert answer.status_code == 415
    assert answer.mimetype == "application/problem+json"


def test_a_body_over_the_limit_is_refused(make_service: MakeService) -> None:
    service = make_service()
    answer = service.post(data=b'{"Email":"' + b"x" * (10 * 1024 * 1024) + b'"}', content_type="application/json")
    assert answer.status_code == 413
    assert answer.mimetype == "application/problem+json"


@pytest.mark.parametrize("octets", [700_000, 786_000, 3_000_000])
def test_a_large_body_is_read_to_its_end(make_service: MakeService, octets: int) -> None:
    service = make_service()
    content = secrets.token_bytes(octets)
    attachment = {"FileName": "a.bin", "Base64Content": base64.b64encode(content).decode()}
    request, headers = valid_request(Attachments=[attachment]), {"Idempotency-Key": "large"}
    for replayed in (None, "true"):
        answer = service.post(json=request, headers=headers)
        assert (answer.status_code, answer.headers.get("Idempotency-Replayed")) == (201, replayed)
    (received,) = service.newest().iter_attachments()
    assert received.get_content() == content
    answer = service.post(json=request | {"Message": "Another one"}, headers=headers)
    assert answer.status_code == 422


def test_a_short_template_that_repeats_a_long_message_is_refused_before_it_is_built(service: Service) -> None:
    errors = _errors(service, json=valid_request(Message="x" * 10_000, EmailTemplate="{Message}" * 1000))
    assert list(errors) == ["EmailTemplate"]


def test_unknown_properties_and_a_clients_email_id_are_ignored(service: Service) -> None:
    answer = service.post(json=valid_request(Bcc="x@evil.example", To="x@evil.example", EmailId="DEADBEEF", Foo=[1]))
    assert answer.status_code == 201
    assert answer.json is not None
    assert answer.json["id"] != "DEADBEEF"
    message = service.newest()
    assert message["Bcc"] is None
    assert message["To"] == answer.json["receptionEmail"]


def test_names_and_values_are_matched_without_case(service: Service) -> None:
    content = base64.b64encode(b"data").decode()
    body = {
        "EMAIL": "a@example.com",
        "message": "x",
        "template": "mOdErN",
        "priority": "URGENT",
        "ATTACHMENTS": [{"filename": "a.txt", "BASE64CONTENT": content}],
    }
    answer = service.post("/api/v1/emails?SMTPID=1&TEST=True", json=body)
    assert answer.status_code == 201
    assert answer.json is not None
    assert answer.json["isTest"] is True
    assert service.newest()["X-Priority"] == "1"


def test_every_problem_names_the_request_in_the_log_and_in_the_header(service: Service) -> None:
    answer = service.post(json={}, headers={"X-Request-ID": "my-request.1"})
    assert answer.json is not None
    assert answer.json["traceId"] == answer.headers["X-Request-ID"] == "my-request.1"
    answer = service.post(json={}, headers={"X-Request-ID": "bad id\t"})
    assert answer.headers["X-Request-ID"] != "bad id\t"


@pytest.mark.parametrize(
    "body",
    [
        {"Email": "a", "Message": "x", "CustomFields": {f"{number}" + "\x01" * 300: 1 for number in range(4_000)}},
        {"Email": "a", "Attachments": [{}] * 5_000},
        {"Email": "a", "Attachments": [{"FileName": '\x01"' * 400}] * 1_000},
        {"Email": '"' * 10_000, "Username": '"' * 100_000, "Priority": '"' * 100_000, "Template": "ä" * 100_000},
    ],
)
def test_an_answer_is_at_most_twice_what_was_sent_and_a_little(service: Service, body: dict[str, Any]) -> None:
    octets = json.dumps(body, ensure_ascii=False).encode()
    answer = service.post(data=octets, content_type="application/json")
    assert answer.status_code == 400
    assert len(answer.data) <= 2 * len(octets) + 64 * 1024
