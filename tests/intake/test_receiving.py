"""Submissions over HTTP: what is taken, and what each kind of client is answered with."""

import io
from ipaddress import ip_network
from typing import Any

import pytest
from flask import g

from app.errors import (
    CheckFailed,
    CooldownActive,
    OriginRefused,
    Overloaded,
    RecordUnavailable,
    RequestInvalid,
    SettingsInvalid,
    SubmissionLimitReached,
)
from app.model.form import CheckFailure
from app.web.door import ClientBlocked, ClientThrottled
from tests.intake.conftest import BROWSER, ORIGIN, PAGE, Counter, MakeCounter
from tests.intake.page import Page

FIELDS = {"email": "ada@example.com", "name": "Ada", "message": "Hello!", "color": "red"}
JSON = {"Accept": "application/json"}


def test_a_plain_form_is_thanked_with_a_page(counter: Counter) -> None:
    answer = counter.post(FIELDS)
    page = Page(answer.text)
    assert answer.status_code == 200
    assert answer.mimetype == "text/html"
    assert "Thank you!" in page.text
    assert "A3F2B1C9" in page.text
    assert page.links == [PAGE]
    assert counter.submissions[0].fields == tuple(FIELDS.items())


def test_what_is_known_of_the_visitor_is_handed_on(counter: Counter) -> None:
    counter.post(FIELDS, headers={"Accept-Language": "fr-CA, en;q=0.5"})
    visitor = counter.visitors[0]
    assert (visitor.client, visitor.origin, visitor.page) == ("127.0.0.1", ORIGIN, PAGE)
    assert (visitor.own_origin, visitor.language) == ("http://localhost", "fr")


@pytest.mark.parametrize("origin", ["http://localhost", "https://localhost"])
def test_the_own_origin_is_what_the_browser_calls_it(counter: Counter, origin: str) -> None:
    counter.post(FIELDS, headers={"Origin": origin})
    assert counter.visitors[0].own_origin == origin


def test_files_become_attachments_and_their_names_stay_in_the_table(counter: Counter) -> None:
    files = [(io.BytesIO(b"\x00\xff\r\n"), "C:\\Ada\\cv 12:30.pdf", "application/pdf"), (io.BytesIO(b""), "", "")]
    counter.post(FIELDS | {"cv": files[0], "photo": files[1], "odd": (io.BytesIO(b"x"), "a.txt", "no type")})
    cv, odd = counter.submissions[0].files
    assert (cv.file_name, cv.content_type, cv.base64, cv.size) == ("cv 12_30.pdf", "application/pdf", "AP8NCg==", 4)
    assert (odd.file_name, odd.content_type) == ("a.txt", "text/plain")
    assert counter.recognised[0].custom_fields["cv"].endswith("cv 12:30.pdf")
    assert "photo" not in counter.recognised[0].custom_fields


@pytest.mark.parametrize(
    ("label", "kept"),
    [
        ("text/csv; charset=windows-1252; header=present", 'text/csv; charset="windows-1252"; header="present"'),
        ("text/csv", 'text/csv; charset="utf-8"'),
        ("text/calendar; method=REPLY; name=x", 'text/calendar; method="REPLY"; charset="utf-8"'),
        ("text/csv; charset", 'text/csv; charset="utf-8"'),
        ("text/csv; x=ä", 'text/csv; charset="utf-8"'),
        ("csv; charset=utf-8", 'text/csv; charset="utf-8"'),
        ("multipart/mixed; boundary=x", "application/octet-stream"),
    ],
)
def test_the_parameters_of_a_files_content_type_are_kept(counter: Counter, label: str, kept: str) -> None:
    counter.post(FIELDS | {"list": (io.BytesIO("Köln;1".encode()), "list.csv", label)})
    assert counter.submissions[0].files[0].content_type == kept


def test_a_redirect_that_is_allowed_is_followed_with_get(counter: Counter) -> None:
    answer = counter.post(FIELDS | {"_next": "/thanks"})
    assert answer.status_code == 303
    assert answer.headers["Location"] == f"{ORIGIN}/thanks"


@pytest.mark.parametrize("wanted", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_a_redirect_that_is_not_allowed_is_no_redirect_and_the_message_is_taken(counter: Counter, wanted: str) -> None:
    answer = counter.post(FIELDS | {"_next": wanted})
    assert (answer.status_code, len(counter.submissions)) == (200, 1)
    assert "Location" not in answer.headers
    assert counter.post(FIELDS | {"_next": wanted}, headers=JSON).json["next"] is None


@pytest.mark.parametrize(
    "request_",
    [
        {"headers": {"Accept": "application/json"}},
        {"headers": {"Accept": "application/json, text/plain, */*"}},
        {"headers": {"Accept": "text/html;q=0.8, application/json"}},
        {"headers": {"X-Requested-With": "XMLHttpRequest"}},
        {"headers": {"Accept": "*/*", "Sec-Fetch-Mode": "cors"}},
        {"data": FIELDS | {"_format": "json"}},
        {"data": None, "json": FIELDS, "headers": {"Accept": "*/*"}},
    ],
)
def test_a_script_is_answered_with_json(counter: Counter, request_: dict[str, Any]) -> None:
    answer = counter.post(**{"data": FIELDS, **request_})
    assert answer.status_code == 200
    assert answer.json == {
        "ok": True,
        "success": True,
        "message": "Thank you! Your message has been received.",
        "reference": "A3F2B1C9",
        "next": None,
    }


@pytest.mark.parametrize(
    "headers", [{}, {"Accept": "*/*"}, {"Accept": "text/html, application/json"}, {"Sec-Fetch-Mode": "navigate"}]
)
def test_a_browser_is_answered_with_a_page(counter: Counter, headers: dict[str, str]) -> None:
    assert counter.post(FIELDS, headers=headers).mimetype == "text/html"


def test_a_script_is_told_where_to_go(counter: Counter) -> None:
    answer = counter.post(FIELDS | {"redirect": f"{ORIGIN}/thanks"}, headers=JSON)
    assert (answer.status_code, answer.json["next"]) == (200, f"{ORIGIN}/thanks")


@pytest.mark.parametrize(
    ("trouble", "status", "retry_after", "sentence"),
    [
        (CooldownActive(wait_s=3700, usage=2), 400, "3700", "in 1 hour 2 minutes."),
        (RequestInvalid({"Message": ["x"]}), 400, None, "The message is too long."),
        (OriginRefused("https://evil.example"), 403, None, "cannot be used from the page"),
        (CheckFailed(CheckFailure.TOO_FAST), 403, None, "very fast"),
        (CheckFailed(CheckFailure.CAPTCHA_UNAVAILABLE), 403, None, "cannot be reached"),
        (SubmissionLimitReached(90), 429, "90", "in 2 minutes."),
        (ClientThrottled(60), 429, "60", "in 1 minute."),
        (ClientBlocked(), 403, None, "not accepted at the moment"),
        (Overloaded("full", retry_after_s=5), 503, "5", "in 5 seconds."),
        (RecordUnavailable("The record is not available."), 503, "5", "in 5 seconds."),
        (SettingsInvalid(["a secret key"]), 500, None, "went wrong on our side"),
        (RuntimeError("a secret"), 500, None, "went wrong on our side"),
    ],
)
def test_each_trouble_has_its_status_and_sentence(
    counter: Counter, trouble: Exception, status: int, retry_after: str | None, sentence: str
) -> None:
    counter.trouble = trouble
    page = counter.post(FIELDS)
    problem = counter.post(FIELDS, headers=JSON)
    assert page.status_code == problem.status_code == status
    assert page.headers.get("Retry-After") == problem.headers.get("Retry-After") == retry_after
    assert sentence in Page(page.text).text
    assert problem.mimetype == "application/problem+json"
    assert sentence in problem.json["message"]
    assert (problem.json["ok"], problem.json["success"], problem.json["status"]) == (False, False, status)
    assert "secret" not in page.text + problem.text


@pytest.mark.parametrize("failure", CheckFailure)
def test_every_failed_check_has_words(counter: Counter, failure: CheckFailure) -> None:
    counter.trouble = CheckFailed(failure)
    answer = counter.post(FIELDS, headers=JSON)
    assert (answer.status_code, answer.json["title"]) == (403, "Forbidden")
    assert answer.json["message"].endswith(".")


def test_faults_are_said_at_their_fields(counter: Counter) -> None:
    counter.changed(required_fields=("phone",))
    answer = counter.post(FIELDS | {"email": "ada@"}, headers=JSON)
    assert answer.status_code == 400
    assert answer.json["errors"] == {
        "email": ["Please enter a valid email address."],
        "phone": ["Please fill this in."],
    }


@pytest.mark.parametrize(
    ("file_name", "sentence"),
    [
        ("tool.exe", "Files of this type cannot be sent."),
        ("tool.EXE. ", "Files of this type cannot be sent."),
        ("a\tb.txt", "This file name cannot be used. Please rename the file."),
        ("x" * 256, "This file name cannot be used. Please rename the file."),
        ("..", "This file name cannot be used. Please rename the file."),
    ],
)
def test_files_that_cannot_be_sent_are_refused(counter: Counter, file_name: str, sentence: str) -> None:
    answer = counter.post(FIELDS | {"cv": (io.BytesIO(b"x"), file_name)}, headers=JSON)
    assert (answer.status_code, answer.json["errors"]) == (400, {"cv": [sentence]})


def test_a_form_that_takes_no_files_says_so(counter: Counter) -> None:
    counter.changed(accepts_files=False)
    answer = counter.post(FIELDS | {"cv": (io.BytesIO(b"x"), "cv.pdf")}, headers=JSON)
    assert answer.json["errors"] == {"cv": ["This form does not accept files."]}
    no_file = counter.post(FIELDS | {"cv": (io.BytesIO(b""), "")}, headers=JSON)
    assert no_file.status_code == 200


def test_more_files_than_a_message_takes_are_refused(counter: Counter) -> None:
    files = [(io.BytesIO(b"x"), f"{number}.txt") for number in range(21)]
    answer = counter.post(FIELDS | {"f": files}, headers=JSON)
    assert answer.json["errors"] == {"f": ["These are too many files."]}


def test_names_and_values_have_an_end(counter: Counter) -> None:
    fields = {"n" * 200: "1", "message": "m" * 200_000}
    assert counter.post(fields, headers=JSON).status_code == 200
    answer = counter.post({"n" * 201: "1", "message": "m" * 200_001}, headers=JSON)
    assert answer.json["errors"] == {name: ["This is too long."] for name in ("n" * 201, "message")}


def test_a_form_that_is_switched_off_is_not_there(counter: Counter) -> None:
    counter.changed(is_enabled=False)
    assert counter.post(FIELDS).status_code == 404
    assert counter.submissions == []


def test_an_unknown_key_is_a_page_or_a_problem(counter: Counter) -> None:
    page = counter.client.post("/forms/nobody", data=FIELDS, headers=BROWSER)
    assert page.status_code == 404
    assert "This form does not exist" in Page(page.text).text
    problem = counter.client.post("/forms/nobody", data=FIELDS, headers=JSON)
    assert problem.status_code == 404
    assert problem.json is not None
    assert problem.json["ok"] is False


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_other_methods_are_not_allowed(counter: Counter, method: str) -> None:
    answer = counter.client.open("/forms/contact", method=method, headers=BROWSER)
    assert answer.status_code == 405
    assert {each.strip() for each in answer.headers["Allow"].split(",")} == {"OPTIONS", "POST"}
    assert "go back to the page with the form" in Page(answer.text).text


def test_head_and_options_say_what_is_allowed(counter: Counter) -> None:
    assert counter.client.head("/forms/contact").status_code == 405
    options = counter.client.options("/forms/contact")
    assert (options.status_code, options.headers["Allow"]) == (204, "OPTIONS, POST")


def test_other_content_types_are_not_supported(counter: Counter) -> None:
    answer = counter.post("a=1", content_type="text/plain")
    assert answer.status_code == 415
    assert counter.post("a=1", content_type="text/plain", headers=JSON).json["title"] == "Unsupported Media Type"


def test_too_large_a_body_is_said_as_a_page(counter: Counter) -> None:
    answer = counter.post(b"x" * (10 * 1024 * 1024 + 1), content_type="multipart/form-data; boundary=b")
    assert answer.status_code == 413
    assert "The limit is 10 MB" in Page(answer.text).text


def test_the_rest_of_too_large_a_body_is_taken_in(counter: Counter) -> None:
    stream = io.BytesIO(b"x" * (12 * 1024 * 1024))
    length = {"CONTENT_LENGTH": str(12 * 1024 * 1024)}
    answer = counter.post(input_stream=stream, content_type="application/json", environ_overrides=length)
    assert (answer.status_code, stream.read()) == (413, b"")


def test_a_body_without_an_end_in_sight_is_not_taken_in(counter: Counter) -> None:
    stream = io.BytesIO(b"x" * 1024)
    length = {"CONTENT_LENGTH": str(65 * 1024 * 1024)}
    answer = counter.post(input_stream=stream, content_type="application/json", environ_overrides=length)
    assert (answer.status_code, stream.tell()) == (413, 0)


def test_the_owners_pages_may_read_the_answers(counter: Counter) -> None:
    with counter.client:
        counter.post(FIELDS, headers=JSON)
        assert g.form_origins == frozenset({ORIGIN})
    with counter.client:
        preflight = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
        assert counter.client.options("/forms/contact", headers=preflight).status_code == 204
        assert g.form_origins == frozenset({ORIGIN})


def test_the_answers_carry_what_protects_their_readers(counter: Counter) -> None:
    for headers in (BROWSER, JSON):
        answer = counter.post(FIELDS, headers=headers)
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        vary = {each.strip() for line in answer.headers.getlist("Vary") for each in line.split(",")}
        assert {"Accept", "Accept-Language", "Origin"} <= vary
    page = counter.post(FIELDS)
    assert "script-src" not in page.headers["Content-Security-Policy"]
    assert "<script" not in page.text
    assert " style=" not in page.text


def test_the_pages_files_are_served(counter: Counter) -> None:
    page = Page(counter.post(FIELDS).text)
    addresses = [given["href"] for tag, given in page.tags if tag == "link"]
    assert len(addresses) == 3
    for address in addresses:
        with counter.client.get(address) as answer:
            assert answer.status_code == 200


@pytest.mark.parametrize(("proxies", "scheme"), [((), "http"), ((ip_network("127.0.0.1/32"),), "https")])
def test_only_a_trusted_proxy_says_that_the_service_is_reached_over_tls(
    make_counter: MakeCounter, proxies: tuple[Any, ...], scheme: str
) -> None:
    counter = make_counter(trusted_proxies=proxies)
    counter.post(FIELDS, headers={"X-Forwarded-Proto": "https"})
    assert counter.visitors[0].own_origin == f"{scheme}://localhost"
