"""Turnstile and hCaptcha: their widget's answer is shown to their `siteverify`, which says whether it is good.

Sources: https://developers.cloudflare.com/turnstile/get-started/server-side-validation/ and
https://docs.hcaptcha.com/#verify-the-user-response-server-side. Used by `humanity` and `intake`.

It fails closed: a service that cannot be asked vouches for nobody, and the visitor can try again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import structlog

from app.emails.office import Office
from app.errors import CheckFailed
from app.forms.asking import AnswerUnusable, ask
from app.forms.submission import Visitor
from app.guards.client_address import parse_address
from app.model.form import CheckFailure, Form, HumanCheck
from app.settings import Settings

log = structlog.get_logger(__name__)

DEADLINE_S = 5.0

_LONGEST_RESPONSE = 8_192
"""Turnstile promises at most 2,048 characters; hCaptcha promises nothing and sends about as many."""
_OURS = ("missing-input-secret", "invalid-input-secret", "sitekey-secret-mismatch", "not-using-dummy-secret")
_THEIRS = ("internal-error", "bad-request")


@dataclass(frozen=True, slots=True)
class Provider:
    """One of the two, as this service is set up for it."""

    name: str
    response_field: str
    """The field of a form that its widget fills in."""
    script: str
    widget_class: str
    site_key: str
    secret_key: str = field(repr=False)
    verify_url: str
    sources: Mapping[str, str]
    """What the Content-Security-Policy of a page with its widget allows, by directive."""


def provider(settings: Settings, check: HumanCheck) -> Provider | None:
    """Who is asked for a check; None where it is none of theirs."""
    if check is HumanCheck.TURNSTILE:
        return Provider(
            name="Turnstile",
            response_field="cf-turnstile-response",
            script="https://challenges.cloudflare.com/turnstile/v0/api.js",
            widget_class="cf-turnstile",
            site_key=settings.turnstile_site_key,
            secret_key=settings.turnstile_secret_key,
            verify_url=settings.turnstile_verify_url,
            sources=dict.fromkeys(("script-src", "frame-src"), "https://challenges.cloudflare.com"),
        )
    if check is HumanCheck.HCAPTCHA:
        return Provider(
            name="hCaptcha",
            response_field="h-captcha-response",
            script="https://js.hcaptcha.com/1/api.js",
            widget_class="h-captcha",
            site_key=settings.hcaptcha_site_key,
            secret_key=settings.hcaptcha_secret_key,
            verify_url=settings.hcaptcha_verify_url,
            sources=dict.fromkeys(
                ("script-src", "frame-src", "style-src", "connect-src"), "https://hcaptcha.com https://*.hcaptcha.com"
            ),
        )
    return None


def demand_captcha(office: Office, form: Form, response: str, visitor: Visitor) -> None:
    """Ask whether `response`, which the form's widget filled in, is good.

    Raises CheckFailed: CAPTCHA_MISSING, CAPTCHA_REFUSED or CAPTCHA_UNAVAILABLE.
    """
    asked = provider(office.settings, form.check)
    if asked is None:
        return
    if not response:
        raise CheckFailed(CheckFailure.CAPTCHA_MISSING)
    if not asked.secret_key:
        log.error("a form asks for a captcha whose keys are not set", form=form.key, captcha=asked.name)
        raise CheckFailed(CheckFailure.CAPTCHA_UNAVAILABLE)
    if len(response) > _LONGEST_RESPONSE:
        raise CheckFailed(CheckFailure.CAPTCHA_REFUSED)
    try:
        answer = _verdict(asked, _fields(asked, response, visitor))
    except (OSError, AnswerUnusable) as error:
        log.warning("a captcha could not be verified", captcha=asked.name, cause=str(error))
        raise CheckFailed(CheckFailure.CAPTCHA_UNAVAILABLE) from error
    if answer.get("success") is True:
        return
    codes = _codes(answer)
    if any(code in _OURS for code in codes):
        log.error("a captcha's keys are refused by its provider", captcha=asked.name, codes=codes)
        raise CheckFailed(CheckFailure.CAPTCHA_UNAVAILABLE)
    if any(code in _THEIRS for code in codes):
        log.warning("a captcha could not be verified", captcha=asked.name, codes=codes)
        raise CheckFailed(CheckFailure.CAPTCHA_UNAVAILABLE)
    raise CheckFailed(CheckFailure.CAPTCHA_REFUSED)


def _fields(asked: Provider, response: str, visitor: Visitor) -> dict[str, str]:
    fields = {"secret": asked.secret_key, "response": response}
    if parse_address(visitor.client) is not None:
        # Of an IPv6 client only the network is known, which is no address.
        fields["remoteip"] = visitor.client
    return fields


def _verdict(asked: Provider, fields: Mapping[str, str]) -> Mapping[str, Any]:
    """Raises OSError and AnswerUnusable."""
    body = urlencode(fields, errors="replace").encode("ascii")
    content = ask(asked.verify_url, body, content_type="application/x-www-form-urlencoded", deadline_s=DEADLINE_S)
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise AnswerUnusable("it is no JSON") from error
    if not isinstance(answer, dict):
        raise AnswerUnusable("it is no JSON object")
    return answer


def _codes(answer: Mapping[str, Any]) -> list[str]:
    codes = answer.get("error-codes")
    return [str(code)[:60] for code in codes[:10]] if isinstance(codes, list) else []
