"""Turnstile and hCaptcha: what is asked of them, and that nobody comes in while they cannot be asked."""

import ssl
import time
from typing import Any

import pytest

from app.forms import asking, captcha
from app.forms.captcha import demand_captcha
from app.model.form import CheckFailure, HumanCheck
from app.observability.logs import configure_logging
from app.settings import Settings
from tests.forms.checking import Desk, desk, form, refused, visitor
from tests.forms.siteverify import Answer, SiteVerify, drip, hang, response, verdict
from tests.smtp.certificates import authority

SECRET = "canary-secret-41c7"
BOTH = [HumanCheck.TURNSTILE, HumanCheck.HCAPTCHA]


def serving(url: str, **changes: Any) -> Desk:
    keys = {
        f"{name}_{part}": value
        for name in ("turnstile", "hcaptcha")
        for part, value in (("site_key", "site"), ("secret_key", SECRET), ("verify_url", url))
    }
    return desk(**keys | changes)


def demand(ours: Desk, check: HumanCheck = HumanCheck.TURNSTILE, response: str = "solved", **known: Any) -> None:
    demand_captcha(ours.office, form(check=check), response, visitor(**known))


@pytest.mark.parametrize("check", BOTH)
def test_a_good_answer_is_taken_and_asked_about_once(check: HumanCheck) -> None:
    with SiteVerify(verdict(success=True, hostname="www.shop.example")) as server:
        demand(serving(server.url), check, response="an answer + 100 % & more=ü")
    assert server.asked == [{"secret": SECRET, "response": "an answer + 100 % & more=ü", "remoteip": "203.0.113.7"}]
    assert server.paths == ["/siteverify"]


@pytest.mark.parametrize("client", ["2001:db8:1:2::/64", "unknown"])
def test_a_client_that_is_no_address_is_not_named(client: str) -> None:
    with SiteVerify(verdict(success=True)) as server:
        demand(serving(server.url), client=client)
    assert "remoteip" not in server.asked[0]


@pytest.mark.parametrize("check", BOTH)
@pytest.mark.parametrize(
    "said", [{"success": False, "error-codes": ["timeout-or-duplicate"]}, {"success": "true"}, {"success": 1}, {}]
)
def test_what_is_not_a_clear_yes_is_a_no(check: HumanCheck, said: dict[str, Any]) -> None:
    with SiteVerify(verdict(**said)) as server, refused(CheckFailure.CAPTCHA_REFUSED):
        demand(serving(server.url), check)


@pytest.mark.parametrize("check", BOTH)
def test_nothing_filled_in_is_not_asked_about(check: HumanCheck) -> None:
    with SiteVerify(verdict(success=True)) as server:
        with refused(CheckFailure.CAPTCHA_MISSING):
            demand(serving(server.url), check, response="")
        with refused(CheckFailure.CAPTCHA_REFUSED):
            demand(serving(server.url), check, response="x" * 10_000)
    assert server.asked == []


def test_other_checks_ask_nobody() -> None:
    with SiteVerify(verdict(success=False)) as server:
        for check in (HumanCheck.NONE, HumanCheck.ALTCHA):
            demand(serving(server.url), check)
    assert server.asked == []


@pytest.mark.parametrize(
    "answer",
    [
        response(b'{"success": true}', status="302 Found", headers="Location: http://127.0.0.1:1/\r\n"),
        response(b'{"success": true}', status="500 Internal Server Error"),
        response(b"not JSON"),
        response(b'["success"]'),
        response(b"[" * 30_000),
        response(b'{"success": true, "more": "' + b"x" * asking.ANSWER_LIMIT + b'"}'),
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b'{"success": true}',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b'{"success": true}',
        b"",
        verdict(success=False, **{"error-codes": ["internal-error"]}),
        verdict(success=False, **{"error-codes": ["invalid-input-secret"]}),
    ],
)
def test_an_answer_that_cannot_be_believed_lets_nobody_in(answer: Answer) -> None:
    with SiteVerify(answer) as server, refused(CheckFailure.CAPTCHA_UNAVAILABLE):
        demand(serving(server.url))


def test_a_chunked_answer_is_understood() -> None:
    chunks = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{"success\r\n8\r\n": true}\r\n0\r\n\r\n'
    with SiteVerify(chunks) as server:
        demand(serving(server.url))


@pytest.mark.parametrize("answer", [hang, drip])
def test_who_answers_slowly_is_not_waited_for(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captcha, "DEADLINE_S", 0.5)
    begun = time.monotonic()
    with SiteVerify(answer) as server, refused(CheckFailure.CAPTCHA_UNAVAILABLE):
        demand(serving(server.url))
    assert 0.4 < time.monotonic() - begun < 5


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "https://nobody.invalid/", "http://captcha.example/", "ftp://x/"]
)
def test_who_cannot_be_reached_or_is_asked_in_the_clear_lets_nobody_in(url: str) -> None:
    with refused(CheckFailure.CAPTCHA_UNAVAILABLE):
        demand(serving(url))


def test_without_a_secret_key_nobody_is_let_in() -> None:
    with SiteVerify(verdict(success=True)) as server, refused(CheckFailure.CAPTCHA_UNAVAILABLE):
        demand(serving(server.url, turnstile_secret_key=""))
    assert server.asked == []


def test_over_tls_the_certificate_has_to_be_good(monkeypatch: pytest.MonkeyPatch) -> None:
    context = authority().server_context("localhost")
    with SiteVerify(verdict(success=True), context=context) as server:
        with refused(CheckFailure.CAPTCHA_UNAVAILABLE):
            demand(serving(server.url))
        assert server.asked == []
        trusting = ssl.create_default_context(cafile=authority().ca_file)
        monkeypatch.setattr(asking, "_context", lambda: trusting)
        demand(serving(server.url))
        with refused(CheckFailure.CAPTCHA_UNAVAILABLE):
            demand(serving(server.url.replace("localhost", "127.0.0.1")))
    assert len(server.asked) == 1


def test_the_secret_shows_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(format="json", level="debug")
    settings = serving("http://127.0.0.1:1/").settings
    assert SECRET not in repr(settings) + repr(captcha.provider(settings, HumanCheck.TURNSTILE))
    for answer in (b"", verdict(success=False, **{"error-codes": ["invalid-input-secret"]})):
        with SiteVerify(answer) as server, refused(CheckFailure.CAPTCHA_UNAVAILABLE):
            demand(serving(server.url))
    captured = capsys.readouterr()
    assert "Turnstile" in captured.err + captured.out
    assert "canary" not in captured.err + captured.out


def test_the_addresses_are_those_of_the_providers() -> None:
    assert Settings().turnstile_verify_url == "https://challenges.cloudflare.com/turnstile/v0/siteverify"
    assert Settings().hcaptcha_verify_url == "https://api.hcaptcha.com/siteverify"
