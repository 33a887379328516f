"""A browser that does not say which page it is on: a page of ours and one click; and what shows that a page is ours."""

import json
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.forms import page_proofs
from app.intake.receiving import UnknownOrigins
from app.intake.visit import Visit
from app.model.form import HumanCheck
from tests.conftest import MakeService
from tests.forms.checking import visitor
from tests.intake.conftest import BROWSER, FORM, ORIGIN, Counter
from tests.intake.page import Page

NOWHERE = {"Accept": BROWSER["Accept"]}
FIELDS = {"email": "ada@example.com", "message": "Hello <you>", "_next": f"{ORIGIN}/thanks", "_gotcha": ""}
ELSEWHERE = "http://mail.example.com"
"""What the browser calls us, and nobody has told the service."""


def post(counter: Counter, fields: dict[str, str], *, peer: str = "127.0.0.1", **headers: str) -> Any:
    sent = NOWHERE | {name.replace("_", "-"): value for name, value in headers.items()}
    return counter.client.post(
        f"/forms/{counter.form.key}", data=fields, headers=sent, environ_overrides={"REMOTE_ADDR": peer}
    )


@pytest.mark.parametrize("said", [{}, {"Origin": "null"}, {"Origin": "null", "Referer": "https://evil.example/"}])
def test_the_visitor_gets_what_was_typed_and_one_button(counter: Counter, said: dict[str, str]) -> None:
    answer = post(counter, FIELDS, **said)
    page = Page(answer.text)
    assert answer.status_code == 403
    assert counter.visitors == []
    assert page.action == "/forms/contact"
    assert dict(page.fields).items() >= FIELDS.items()
    assert "Your browser did not tell us which website you came from." in page.text
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert not {"script", "meta-refresh"} & {tag for tag, _ in page.tags}
    assert not any("autofocus" in given or given.get("http-equiv") for _, given in page.tags)
    # The click: the browser calls us by our name, or still says nothing.
    for origin in (ELSEWHERE, "null", "http://localhost"):
        again = post(counter, dict(page.fields), Origin=origin, Referer=f"{ELSEWHERE}/forms/contact")
        assert (again.status_code, again.headers["Location"]) == (303, f"{ORIGIN}/thanks")
    assert [taken.message for taken in counter.recognised] == ["Hello <you>"] * 3
    assert counter.recognised[0].custom_fields == {}


def test_what_is_wrong_with_it_is_said_after_the_click(counter: Counter) -> None:
    page = Page(post(counter, {"email": "ada@", "message": "Hello"}).text)
    assert "valid email" not in page.text
    page = Page(post(counter, dict(page.fields), Origin=ELSEWHERE).text)
    assert "Please enter a valid email address." in page.text
    assert post(counter, dict(page.fields) | {"email": "a@example.com"}, Origin=ELSEWHERE).status_code == 200


def test_a_check_is_done_on_our_page(counter: Counter) -> None:
    counter.changed(check=HumanCheck.ALTCHA)
    page = Page(post(counter, {"message": "Hello", "letterbox-token": "mine"}).text)
    assert any(tag == "altcha-widget" for tag, _ in page.tags)
    assert dict(page.fields)["letterbox-token"] == "mine"


def test_a_script_is_told_the_cause(counter: Counter) -> None:
    for headers in ({"Accept": "application/json"}, {"X_Requested_With": "XMLHttpRequest", "Origin": "null"}):
        answer = post(counter, FIELDS, **headers)
        assert (answer.status_code, answer.mimetype) == (403, "application/problem+json")
        said = json.loads(answer.data)
        assert said["message"] == "Your browser did not tell us which website you came from."
        assert "Origin: null" in said["detail"]
        assert "Referrer-Policy: strict-origin-when-cross-origin" in said["detail"]
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("language", ["de", "tr"])
def test_the_page_speaks_the_visitors_language(counter: Counter, language: str) -> None:
    page = Page(post(counter, FIELDS, Accept_Language=language).text)
    assert page.language == language
    assert "Your browser" not in page.text


def test_a_message_without_a_field_that_can_be_shown_gets_no_form(counter: Counter) -> None:
    answer = post(counter, {"n" * 201: "x"})
    assert (answer.status_code, Page(answer.text).action) == (403, "")


def proof_of(counter: Counter, *, peer: str = "127.0.0.1") -> str:
    return dict(Page(post(counter, FIELDS, peer=peer).text).fields)[page_proofs.FIELD]


def test_our_correction_page_is_known_for_ours_whatever_a_proxy_makes_of_its_address(counter: Counter) -> None:
    page = Page(counter.post({"email": "ada@", "message": "x"}).text)
    corrected = dict(page.fields) | {"email": "ada@example.com"}
    assert post(counter, corrected, Origin=ELSEWHERE).status_code == 200
    assert counter.visitors[-1].page == BROWSER["Referer"]


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_a_proof_is_worth_nothing_elsewhere(counter: Counter, origin: str) -> None:
    proof = proof_of(counter, peer="203.0.113.7")

    def sent(proof: str, **options: str) -> int:
        answer = post(counter, FIELDS | {page_proofs.FIELD: proof}, Origin=origin, **options)
        return int(answer.status_code)

    assert sent(proof, peer="203.0.113.8") == 403
    for wrong in ("", "x", proof[:-1] + ("A" if proof[-1] != "A" else "B"), f"1{proof}", f" {proof}", proof * 2):
        assert sent(wrong, peer="203.0.113.7") == 403
    counter.changed(key="another")
    assert sent(proof, peer="203.0.113.7") == 403
    counter.changed(key=FORM.key)
    assert sent(proof, peer="203.0.113.7") == 303


def test_a_proof_ends_after_a_day(counter: Counter) -> None:
    proof = proof_of(counter)
    later = counter.office.clock() + timedelta(hours=24)
    object.__setattr__(counter.office, "clock", lambda: later)
    assert page_proofs.read(counter.office, counter.form, proof, client="127.0.0.1") is None


def test_a_proof_is_good_for_one_message(make_service: MakeService) -> None:
    service = make_service(secret_keys=("a key that only these tests know, and long enough",), cors_origins=(ORIGIN,))
    first = Page(service.post("/forms/default", data=FIELDS, headers=NOWHERE).text)
    sent = dict(first.fields)
    assert service.post("/forms/default", data=sent, headers=NOWHERE | {"Origin": ELSEWHERE}).status_code == 303
    other = sent | {"email": "eve@example.com", "message": "Something else"}
    again = service.post("/forms/default", data=other, headers=NOWHERE | {"Origin": ELSEWHERE})
    assert again.status_code == 403
    # Nothing is lost: the page has a new one.
    fresh = dict(Page(again.text).fields)
    assert fresh[page_proofs.FIELD] != sent[page_proofs.FIELD]
    assert service.post("/forms/default", data=fresh, headers=NOWHERE | {"Origin": ELSEWHERE}).status_code == 303


def test_the_log_says_it_once_an_hour_for_each_form() -> None:
    now = 0.0
    notes = UnknownOrigins(lambda: now)
    visit = Visit(visitor(), form=FORM)
    with capture_logs() as entries:
        for minutes in (0, 1, 59, 60, 61, 119):
            now = 60.0 * minutes
            notes.note(visit)
    assert len(entries) == 2
    assert entries[0]["form"] == FORM.key
    assert "Referrer-Policy: strict-origin-when-cross-origin" in entries[0]["remedy"]


def test_a_foreign_page_is_refused_and_what_was_typed_can_be_copied(counter: Counter) -> None:
    answer = post(counter, FIELDS | {"day": "Mon"}, Origin="https://evil.example")
    page = Page(answer.text)
    assert answer.status_code == 403
    assert page.action == ""
    assert page.fields == []
    assert page_proofs.FIELD not in answer.text
    assert "Hello &lt;you&gt;" in answer.text
    assert all(text in page.text for text in ("ada@example.com", "Mon", "You can copy what you wrote:"))
    assert "_next" not in answer.text
    assert counter.visitors == []


def test_what_would_grow_in_a_page_is_not_shown(counter: Counter) -> None:
    answer = post(counter, {"message": "'" * 200_000}, Origin="https://evil.example")
    assert answer.status_code == 403
    assert len(answer.data) < 10_000
