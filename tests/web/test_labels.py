"""Accept, Content-Type and Content-Encoding as RFC 9110 means them (sections 8 and 12.5.1), on every surface."""

import gzip
import json
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
from werkzeug.test import TestResponse

from tests.conftest import Service, valid_request

FORM = "application/x-www-form-urlencoded"
PAGE = {"Origin": "http://localhost:3000"}
_VISITORS = count(1)


def post_form(service: Service, **request: Any) -> TestResponse:
    """From an address of its own: a form takes only so many from one."""
    peer = {"REMOTE_ADDR": f"192.0.2.{next(_VISITORS)}"}
    return service.client.post("/forms/default", environ_overrides=peer, **request)


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("", 200),
        (" ", 200),
        (",", 200),
        ("application/json; charset=utf-8", 200),
        ("application/json;charset=utf8, text/plain, */*", 200),
        ('application/json; profile="a, b; q=0"', 200),
        ('APPLICATION/JSON;Charset="UTF-8";Q=0.4', 200),
        ("application/vnd.example+json, application/json ; version=1 ; q=0.1", 200),
        ("*/*;q=0.1", 200),
        ("application/*", 200),
        ("application/*;q=0, application/json", 200),
        ("application/problem+json", 200),
        ("text/html, image/gif, *; q=.2, */*; q=.2", 200),
        ("application/json;q=high", 200),
        ("no media range", 200),
        ("application/json;q=0", 406),
        ("application/json;q=0.000, */*", 406),
        ("application/json; charset=utf-8; q=0", 406),
        ("application/*;q=0, */*", 406),
        ("*/*;q=0", 406),
        ("text/html; level=1", 406),
        ("application/jsonp, application/xml", 406),
        ('text/plain; a="application/json, application/json"', 406),
    ],
)
def test_a_caller_that_takes_json_in_any_form_is_answered(service: Service, accept: str, status: int) -> None:
    answer = service.client.get("/api/v1/versiontest", headers={"Accept": accept})
    assert answer.status_code == status
    # There it is asked before the credentials are looked at.
    token = service.client.post("/apiops/auth/token", data={"grant_type": "x"}, headers={"Accept": accept})
    assert token.status_code == (400 if status == 200 else 406)


@pytest.mark.parametrize("accept", ["application/json; charset=utf-8", "APPLICATION/JSON;q=0.9, text/html;q=0.8"])
def test_a_script_that_asks_a_form_for_json_with_parameters_gets_json(service: Service, accept: str) -> None:
    headers = PAGE | {"Accept": accept, "Sec-Fetch-Mode": "navigate"}
    answer = post_form(service, data={"message": f"Hello, {accept}"}, headers=headers)
    assert (answer.status_code, answer.mimetype) == (200, "application/json")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset=utf8",
        'application/json; charset="utf-8"',
        "application/json;charset=iso-8859-1",
        "application/json; odata=verbose; IEEE754Compatible=true",
        "APPLICATION/JSON",
        "application/json;",
        " application/json ; charset = utf-8",
    ],
)
def test_json_is_json_whatever_its_parameters_say(service: Service, content_type: str) -> None:
    body = json.dumps(valid_request(Message="Grüße"), ensure_ascii=False).encode()
    answer = service.post(data=body, headers={"Content-Type": content_type})
    assert answer.status_code == 201
    assert "Grüße" in service.newest().get_content()
    body = json.dumps({"message": f"Grüße, {content_type}"}, ensure_ascii=False).encode()
    form = post_form(service, data=body, headers=PAGE | {"Content-Type": content_type})
    assert form.status_code == 200


@pytest.mark.parametrize("content_type", ["text/plain", "application/jsonp", "application/xml", "json", ""])
def test_another_type_is_refused(service: Service, content_type: str) -> None:
    assert service.post(data=b"{}", headers={"Content-Type": content_type}).status_code == 415


@pytest.mark.parametrize("coding", ["gzip", "br", "GZIP", "identity, gzip", "x-unknown"])
def test_a_body_with_a_content_coding_is_refused_with_the_reason(service: Service, coding: str) -> None:
    body, headers = gzip.compress(json.dumps(valid_request()).encode()), {"Content-Encoding": coding}
    answer = service.post(data=body, headers=headers | {"Content-Type": "application/json"})
    assert answer.status_code == 415
    assert answer.headers["Accept-Encoding"] == "identity"
    assert answer.json is not None
    assert "Content-Encoding" in answer.json["detail"]
    token = service.client.post("/apiops/auth/token", data=body, headers=headers | {"Content-Type": FORM})
    assert token.status_code == 415
    assert token.json is not None
    assert "Content-Encoding" in token.json["error_description"]
    form = post_form(service, data=body, headers=PAGE | headers | {"Content-Type": FORM, "Accept": "application/json"})
    assert form.status_code == 415
    assert service.inbox.list() == []


@pytest.mark.parametrize("coding", ["identity", "Identity", "", " "])
def test_a_body_that_says_it_has_no_content_coding_is_taken(service: Service, coding: str) -> None:
    assert service.post(json=valid_request(), headers={"Content-Encoding": coding}).status_code == 201
    answer = post_form(service, data={"message": f"coded {coding!r}"}, headers=PAGE | {"Content-Encoding": coding})
    assert answer.status_code == 200


def test_a_byte_order_mark_is_skipped(service: Service) -> None:
    body = b"\xef\xbb\xbf" + json.dumps(valid_request(Message="with a mark")).encode()
    headers = {"Content-Type": "application/json"}
    assert service.post(data=body, headers=headers).status_code == 201
    body = b'\xef\xbb\xbf{"message":"with a mark, in a form"}'
    assert post_form(service, data=body, headers=headers | PAGE).status_code == 200
    form = b"\xef\xbb\xbfmessage=with+a+mark%2C+too"
    assert post_form(service, data=form, headers={"Content-Type": FORM} | PAGE).status_code == 200


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"\xef\xbb\xbf", "A non-empty request body is required."),
        (b"\xef\xbb\xbf\xef\xbb\xbf{}", "not valid JSON"),
        ('{"Email":"a@example.com"}'.encode("utf-16"), "not valid UTF-8"),
        ('{"Email":"a@example.com"}'.encode("utf-16-le"), "not valid JSON"),
    ],
)
def test_what_is_not_utf8_text_is_refused_with_a_sentence(service: Service, body: bytes, sentence: str) -> None:
    answer = service.post(data=body, headers={"Content-Type": "application/json; charset=utf-16"})
    assert answer.status_code == 400
    assert answer.json is not None
    assert sentence in answer.json["errors"]["$"][0]


@pytest.mark.parametrize(
    "address", ["anna@example.com ", " anna@example.com", "\tanna@example.com\r\n", "\xa0anna@example.com"]
)
def test_white_space_around_an_address_is_taken_away(service: Service, address: str) -> None:
    own = f"{uuid4().hex}@example.com"
    assert service.post(json=valid_request(Email=address.replace("anna@example.com", own))).status_code == 201
    assert service.newest()["Reply-To"] == own


@pytest.mark.parametrize("address", ["an na@example.com", "anna@example.com\r\nBcc: b@example.com", " ", "\ufeff"])
def test_white_space_inside_of_an_address_is_not(service: Service, address: str) -> None:
    assert service.post(json=valid_request(Email=address)).status_code == 400


@pytest.mark.parametrize("number", ["1e999999", "-1e400", "[[1e999999]]", '{"a":1E+999}'])
def test_a_number_that_only_infinity_could_stand_for_is_refused_everywhere(service: Service, number: str) -> None:
    body, headers = f'{{"message":{number}}}', {"Content-Type": "application/json"}
    answer = service.post(data=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["errors"] == {"$": ["The request body has a number that is too large."]}
    form = post_form(service, data=body, headers=headers | PAGE)
    assert (form.status_code, form.mimetype) == (400, "application/problem+json")
    assert service.inbox.list() == []
