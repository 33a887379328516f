"""The page that says what is wrong: a visitor without JavaScript corrects it there and loses nothing."""

import io
from urllib.parse import urlencode

import pytest

from app.errors import CheckFailed, CooldownActive, OriginRefused
from app.forms import page_proofs, tokens
from app.model.form import CheckFailure, HumanCheck
from tests.intake.conftest import BROWSER, ORIGIN, PAGE, Counter
from tests.intake.page import Page

OWN = {"Origin": "http://localhost", "Referer": "http://localhost/forms/contact"}


def test_everything_that_was_typed_is_in_a_form_that_can_be_sent_again(counter: Counter) -> None:
    long = "\r\nfirst line\r\n" + "long " * 100
    fields = [("email", "ada@"), ("days[]", "Mon"), ("days[]", "Fri"), ("note", long), ("_next", "/thanks"), ("", "x")]
    page = Page(counter.post(urlencode(fields), content_type="application/x-www-form-urlencoded").text)
    sent = [(name, value.replace("\r\n", "\n").replace("\n", "\r\n")) for name, value in page.fields]
    assert sent[-1][0] == page_proofs.FIELD
    kept = [*(field for field in fields if field[0] != "_next"), ("_next", "/thanks"), ("letterbox-page", PAGE)]
    assert sent[:-1] == kept
    assert page.action == "/forms/contact"
    assert page.hidden == {"_next", "letterbox-page", page_proofs.FIELD}
    again = counter.post(
        urlencode([("email", "ada@example.com"), *sent[1:]]),
        headers=OWN,
        content_type="application/x-www-form-urlencoded",
    )
    assert again.status_code == 303
    assert again.headers["Location"] == f"{ORIGIN}/thanks"


def test_the_way_back_survives_the_second_try(counter: Counter) -> None:
    page = Page(counter.post({"email": "ada@"}).text)
    thanks = counter.post({**dict(page.fields), "email": "ada@example.com"}, headers=OWN)
    assert Page(thanks.text).links == [PAGE]
    assert counter.visitors[-1].page == PAGE
    assert counter.recognised[-1].custom_fields == {}


def test_a_page_that_is_none_of_the_forms_is_not_linked(counter: Counter) -> None:
    fields = {"message": "x", "letterbox-page": "https://evil.example/"}
    for headers in (OWN, BROWSER | {"Referer": "https://evil.example/a"}):
        assert Page(counter.post(fields, headers=headers).text).links == []


def test_another_site_cannot_say_where_a_visitor_came_from(counter: Counter) -> None:
    counter.post({"message": "x", "letterbox-page": f"{ORIGIN}/other"})
    assert counter.visitors[-1].page == PAGE


def test_each_fault_stands_at_its_field_and_at_the_top(counter: Counter) -> None:
    counter.changed(required_fields=("phone",))
    page = Page(counter.post({"email": "ada@", "message": "x"}).text)
    inputs = {given["name"]: given for tag, given in page.tags if tag in ("input", "textarea")}
    assert inputs["email"]["aria-invalid"] == "true"
    assert inputs["email"]["aria-describedby"] in [given.get("id") for tag, given in page.tags if tag == "p"]
    assert "aria-invalid" not in inputs["message"]
    assert inputs["phone"]["value"] == ""
    assert page.links == [f"#{inputs['email']['id']}", f"#{inputs['phone']['id']}"]
    assert page.labels[inputs["email"]["id"]] == "email"
    assert any(given.get("role") == "alert" for _, given in page.tags)


def test_every_field_that_is_seen_has_a_label(counter: Counter) -> None:
    page = Page(counter.post({"email": "ada@", "message": "x", "": "y", "cv": (io.BytesIO(b"x"), "cv.pdf")}).text)
    seen = [given["id"] for tag, given in page.tags if tag in ("input", "textarea") and given.get("type") != "hidden"]
    assert len(seen) == len(set(seen)) == 4
    assert all(page.labels[id_] for id_ in seen)


def test_files_have_to_be_chosen_again(counter: Counter) -> None:
    page = Page(counter.post({"email": "ada@", "cv": (io.BytesIO(b"x"), "cv.pdf")}).text)
    assert page.files == ["cv"]
    assert page.enctype == "multipart/form-data"
    assert "Please choose your file again." in page.text
    assert "cv.pdf" not in page.text


def test_a_file_that_is_refused_can_be_chosen_anew(counter: Counter) -> None:
    page = Page(counter.post({"message": "x", "cv": (io.BytesIO(b"x"), "cv.exe")}).text)
    assert page.files == ["cv"]
    assert "Files of this type cannot be sent." in page.text


@pytest.mark.parametrize(
    "hostile", ['"><script>alert(1)</script>', "</textarea><script>", "{{ 7*7 }}", "' onfocus=alert(1) x='"]
)
def test_hostile_names_and_values_stay_text(counter: Counter, hostile: str) -> None:
    fields = {"email": "ada@", hostile: hostile, "message": hostile, "_next": hostile}
    answer = counter.post(fields)
    page = Page(answer.text)
    assert "<script" not in answer.text
    assert {tag for tag, _ in page.tags if tag == "script"} == set()
    assert (hostile, hostile) in page.fields
    assert ("_next", hostile) in page.fields
    assert not any(name.startswith("on") for _, given in page.tags for name in given)


def test_a_wait_keeps_the_message(counter: Counter) -> None:
    counter.trouble = CooldownActive(wait_s=59, usage=1)
    page = Page(counter.post({"email": "ada@example.com", "message": "Hello"}).text)
    assert ("message", "Hello") in page.fields
    assert "59 seconds" in page.text


def test_a_refused_origin_gets_no_form_that_would_pass(counter: Counter) -> None:
    counter.trouble = OriginRefused("https://evil.example")
    page = Page(counter.post({"message": "Hello"}, headers={"Origin": "https://evil.example"}).text)
    assert page.action == ""
    assert page.fields == []


@pytest.mark.parametrize(
    "failure",
    [CheckFailure.TOKEN_MISSING, CheckFailure.TOKEN_INVALID, CheckFailure.TOKEN_EXPIRED, CheckFailure.TOKEN_USED],
)
def test_a_token_that_is_not_accepted_is_replaced(counter: Counter, failure: CheckFailure) -> None:
    counter.trouble = CheckFailed(failure)
    page = Page(counter.post({"message": "Hello", tokens.FIELD: "old"}).text)
    fresh = dict(page.fields)[tokens.FIELD]
    assert tokens.read(counter.office, counter.form, fresh)
    assert [name for name, _ in page.fields].count(tokens.FIELD) == 1


def test_a_token_that_is_still_good_is_kept_so_that_nobody_waits_again(counter: Counter) -> None:
    counter.trouble = CheckFailed(CheckFailure.TOO_FAST)
    assert dict(Page(counter.post({"message": "Hello", tokens.FIELD: "mine"}).text).fields)[tokens.FIELD] == "mine"
    assert dict(Page(counter.post({"email": "a@", tokens.FIELD: "mine"}).text).fields)[tokens.FIELD] == "mine"


def test_answers_of_captchas_are_not_sent_a_second_time(counter: Counter) -> None:
    spent = {"altcha": "x", "cf-turnstile-response": "x", "h-captcha-response": "x"}
    page = Page(counter.post({"email": "ada@", **spent}).text)
    assert [name for name, _ in page.fields] == ["email", "letterbox-page", page_proofs.FIELD]


def test_more_fields_than_any_form_has_come_back(counter: Counter) -> None:
    fields = {f"field {number}": str(number) for number in range(149)} | {"email": "ada@"}
    page = Page(counter.post(fields).text)
    assert dict(page.fields[:-1]) == fields | {"letterbox-page": PAGE}


def test_a_check_is_brought_anew(counter: Counter) -> None:
    counter.changed(check=HumanCheck.ALTCHA)
    counter.trouble = CheckFailed(CheckFailure.PROOF_EXPIRED)
    answer = counter.post({"message": "Hello", "altcha": "old"})
    page = Page(answer.text)
    widget = next(given for tag, given in page.tags if tag == "altcha-widget")
    assert widget["challenge"] == "/forms/contact/challenge"
    assert ("message", "Hello") in page.fields
    policy = answer.headers["Content-Security-Policy"]
    nonce = next(given["content"] for tag, given in page.tags if given.get("name") == "csp-nonce")
    assert f"style-src 'self' 'nonce-{nonce}'" in policy
    assert "script-src 'self';" in policy
    assert "'unsafe" not in policy


def test_a_check_that_is_broken_does_not_break_the_page(counter: Counter) -> None:
    counter.changed(check=HumanCheck.ALTCHA, needs_token=True)
    counter.trouble = RuntimeError("no key")
    page = Page(counter.post({"message": "Hello"}).text)
    assert ("message", "Hello") in page.fields
    assert not any(tag in ("script", "altcha-widget") for tag, _ in page.tags)


def test_faults_of_files_and_of_fields_are_said_together(counter: Counter) -> None:
    counter.changed(required_fields=("message",))
    answer = counter.post(
        {"email": "ada@", "message": "", "cv": (io.BytesIO(b"x"), "cv.exe")}, headers={"Accept": "application/json"}
    )
    assert set(answer.json["errors"]) == {"message", "email", "cv"}


def test_another_site_gets_no_form_that_would_pass_by_sending_faults(counter: Counter) -> None:
    answer = counter.post({"email": "ada@", "n" * 201: "x"}, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert Page(answer.text).action == ""
    assert counter.visitors == []


@pytest.mark.parametrize("is_script", [False, True])
@pytest.mark.parametrize(
    "fields",
    [
        [("email", "ada@"), ("message", '"' * 190_000), ("other", "'" * 190_000)],
        [("email", "ada@"), *[("a", "")] * 1900],
        [("email", "ada@"), *[('"' * 199, "")] * 1900],
        [("email", "ada@"), *[(f"{number}", "🙂" * 50) for number in range(1900)]],
        [(f"email{number}" + "\x01" * 300, "") for number in range(1900)],
        [("email", "ada@"), *[(f"{number}", "x" * 200_001) for number in range(40)]],
        [("_" + "\x01" * 190, '"' * 100)] * 1900,
        [("email", '"' * 200_001)] * 10,
    ],
    ids=["quotes", "names", "quoted-names", "emoji", "long-names", "too-long", "hidden", "wrong"],
)
def test_an_answer_is_at_most_twice_what_was_sent_and_a_little(
    counter: Counter, fields: list[tuple[str, str]], is_script: bool
) -> None:
    counter.changed(required_fields=tuple(f"needed{number}" for number in range(400)))
    boundary = "b"
    head = 'Content-Disposition: form-data; name="'
    body = "".join(
        f'--{boundary}\r\n{head}{name.replace(chr(34), "%22")}"\r\n\r\n{value}\r\n' for name, value in fields
    )
    octets = f"{body}--{boundary}--\r\n".encode()
    headers = {"Accept": "application/json"} if is_script else {}
    content_type = f"multipart/form-data; boundary={boundary}"
    answer = counter.post(octets, content_type=content_type, headers=headers)
    assert answer.status_code == 400
    assert len(answer.data) <= 2 * len(octets) + 64 * 1024
    assert len(answer.data) <= 2 * 1024 * 1024


def test_what_does_not_fit_on_the_page_is_left_out_and_the_page_says_so(counter: Counter) -> None:
    fields = [("email", "ada@"), ("name", "Ada"), *[("message", "x" * 190_000)] * 7, ("phone", "1")]
    page = Page(counter.post(urlencode(fields), content_type="application/x-www-form-urlencoded").text)
    assert "Not everything you wrote fits on this page." in page.text
    assert "Everything you wrote is still here." not in page.text
    kept = [(name, len(value)) for name, value in page.fields if not name.startswith("letterbox-")]
    assert kept == [("email", 4), ("name", 3), *[("message", 190_000)] * 5, ("phone", 1)]
