"""Each error as a visitor is told of it, in their language. Where `intake` gives statuses to errors."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge, UnsupportedMediaType

from app import errors
from app.intake.languages import Language
from app.model.form import CheckFailure, Fault
from app.web.door import ClientBlocked, ClientThrottled
from app.web.media_types import ContentCodingUnsupported

_RECORD_RETRY_AFTER_S = 5
REFERRER_REMEDY = (
    "Send the page with Referrer-Policy: strict-origin-when-cross-origin, or put <meta name=referrer "
    "content=strict-origin-when-cross-origin> into its head; a sandboxed frame needs allow-same-origin."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """`title` and `text` are keys of texts, `errors` has sentences for each field that is wrong.

    `keeps_form`: what was typed is shown in a form that can be sent again, below the text `kept`; `shows_texts`: it can
    be copied. `detail` is for who wrote the page: in English, and told to scripts.
    """

    status: int
    title: str = "refused-title"
    text: str = "broken"
    places: Mapping[str, Any] = field(default_factory=dict)
    errors: Mapping[str, Sequence[str]] = field(default_factory=dict)
    retry_after_s: int | None = None
    keeps_form: bool = True
    kept: str = "kept"
    shows_texts: bool = False
    detail: str = ""
    failure: CheckFailure | None = None


def refusal_of(error: Exception, language: Language, *, megabytes: int) -> Refusal:
    """How `error` is answered; None of the classes below means that something is broken here: 500."""
    answer = next(_ANSWERS[each] for each in type(error).__mro__ if each in _ANSWERS)
    return answer(error, language, megabytes)


def _invalid(error: errors.SubmissionInvalid, language: Language, _: int) -> Refusal:
    whole = next((_whole(fault) for fault in error.errors.get("", ())), "invalid")
    sentences = {name: [language.say(fault) for fault in faults] for name, faults in error.errors.items() if name}
    return Refusal(status=400, title="invalid-title", text=whole, errors=errors.listed(sentences))


def _whole(fault: Fault) -> str:
    return "whole-too-long" if fault is Fault.TOO_LONG else fault


def _too_long_in_all(_: Exception, __: Language, ___: int) -> Refusal:
    return Refusal(status=400, title="invalid-title", text="whole-too-long")


def _cooldown(error: errors.CooldownActive, language: Language, _: int) -> Refusal:
    return _later(400, "cooldown", error.wait_s, language)


def _limit(error: errors.SubmissionLimitReached, language: Language, _: int) -> Refusal:
    return _later(429, "limit", error.retry_after_s, language)


def _share(error: errors.SubmissionShareUsed, language: Language, _: int) -> Refusal:
    return _later(429, "throttled", error.retry_after_s, language)


def _throttled(error: ClientThrottled, language: Language, _: int) -> Refusal:
    return _later(429, "throttled", error.retry_after_s, language)


def _overloaded(error: errors.Overloaded, language: Language, _: int) -> Refusal:
    return _later(503, "busy", error.retry_after_s, language)


def _unrecorded(_: Exception, language: Language, __: int) -> Refusal:
    return _later(503, "busy", _RECORD_RETRY_AFTER_S, language)


def _later(status: int, text: str, wait_s: float, language: Language) -> Refusal:
    seconds = max(1, math.ceil(wait_s))
    places = {"wait": language.duration(seconds)}
    return Refusal(status=status, title="later-title", text=text, places=places, retry_after_s=seconds)


def _blocked(_: Exception, __: Language, ___: int) -> Refusal:
    return Refusal(status=403, text="blocked", keeps_form=False)


def _origin(_: Exception, __: Language, ___: int) -> Refusal:
    # Sent again from a page of ours it would pass, and so would any other site's form.
    return Refusal(status=403, text="origin", keeps_form=False, shows_texts=True)


def _unknown_origin(_: Exception, __: Language, ___: int) -> Refusal:
    detail = f"The request does not say which page it comes from (Origin: null, or no Origin). {REFERRER_REMEDY}"
    return Refusal(status=403, title="confirm-title", text="origin-unknown", kept="confirm", detail=detail)


_CHECK_TEXTS = {
    CheckFailure.TOKEN_EXPIRED: "expired",
    CheckFailure.PROOF_EXPIRED: "expired",
    CheckFailure.TOKEN_USED: "already-used",
    CheckFailure.PROOF_USED: "already-used",
    CheckFailure.TOO_FAST: "too-fast",
    CheckFailure.CAPTCHA_UNAVAILABLE: "captcha-unavailable",
}


def _check(error: errors.CheckFailed, _: Language, __: int) -> Refusal:
    text = _CHECK_TEXTS.get(error.failure, "check-again")
    return Refusal(status=403, text=text, failure=error.failure)


def _not_found(_: Exception, __: Language, ___: int) -> Refusal:
    return Refusal(status=404, title="not-found-title", text="not-found", keeps_form=False)


def _not_allowed(_: Exception, __: Language, ___: int) -> Refusal:
    return Refusal(status=405, title="post-only-title", text="post-only", keeps_form=False)


def _too_large(_: Exception, __: Language, megabytes: int) -> Refusal:
    return Refusal(status=413, text="too-large", places={"megabytes": megabytes}, keeps_form=False)


def _unsupported(_: Exception, __: Language, ___: int) -> Refusal:
    return Refusal(status=415, text="unsupported", keeps_form=False)


def _compressed(_: Exception, __: Language, ___: int) -> Refusal:
    return Refusal(status=415, text="compressed", keeps_form=False)


def _http(error: HTTPException, _: Language, __: int) -> Refusal:
    is_ours = error.code is None or error.code >= 500
    return Refusal(status=error.code or 500, text="broken" if is_ours else "unreadable", keeps_form=False)


def _unexpected(_: Exception, __: Language, ___: int) -> Refusal:
    return Refusal(status=500, title="later-title", text="broken")


_ANSWERS: dict[type[Exception], Callable[[Any, Language, int], Refusal]] = {
    errors.SubmissionInvalid: _invalid,
    errors.RequestInvalid: _too_long_in_all,
    errors.CooldownActive: _cooldown,
    errors.SubmissionLimitReached: _limit,
    errors.SubmissionShareUsed: _share,
    errors.Overloaded: _overloaded,
    errors.RecordUnavailable: _unrecorded,
    errors.OriginRefused: _origin,
    errors.OriginUnknown: _unknown_origin,
    errors.CheckFailed: _check,
    errors.FormNotFound: _not_found,
    ClientBlocked: _blocked,
    ClientThrottled: _throttled,
    MethodNotAllowed: _not_allowed,
    RequestEntityTooLarge: _too_large,
    ContentCodingUnsupported: _compressed,
    UnsupportedMediaType: _unsupported,
    HTTPException: _http,
    Exception: _unexpected,
}
