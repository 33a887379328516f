"""Whether a configuration works, step by step and in words. Used by the start-up table and `letterbox check-smtp`."""

import ssl
from dataclasses import replace
from time import monotonic

from app.model.outcome import Stage
from app.model.smtp import SMTPConfiguration
from app.smtp.certificate import presented_certificate
from app.smtp.remedy import remedy_for_missing_test_account
from app.smtp.resolver import Resolver
from app.smtp.session import SMTPSession
from app.smtp.walk import CLEAR_TEXT, CheckStep, Walk
from app.smtp.words import OperatorWords

__all__ = ["CLEAR_TEXT", "CheckStep", "check"]

_SECOND_LOOK_S = 5.0


def check(
    configuration: SMTPConfiguration, *, is_test: bool = False, limit_s: float | None = None
) -> tuple[CheckStep, ...]:
    """Opens a session of its own, signs in and leaves; no mail is sent. The steps, up to the first that failed.

    Takes at most `limit_s`, without it a few times the configuration's timeout; raises nothing for a server that does
    not work.
    """
    account = configuration.account_for(is_test=is_test)
    if account is None:
        detail = "no password for the test account"
        remedy = remedy_for_missing_test_account(configuration)
        return (CheckStep(name="auth", success=False, duration_ms=0, detail=detail, remedy=remedy),)
    limit = float("inf") if limit_s is None else monotonic() + limit_s
    session = SMTPSession(configuration, account, resolver=Resolver(), limit=limit)
    walk = Walk(session, OperatorWords())
    try:
        walk.sign_in()
    finally:
        walk.leave(limit=limit)
    return _with_certificate(walk, configuration, limit)


def _with_certificate(walk: Walk, configuration: SMTPConfiguration, limit: float) -> tuple[CheckStep, ...]:
    """The steps; where the certificate was the trouble, with what it says, which a failed handshake does not tell."""
    failure = walk.failure
    is_about_certificate = failure is not None and isinstance(failure.__cause__, ssl.SSLCertVerificationError)
    if failure is None or failure.stage is not Stage.TLS or not is_about_certificate:
        return tuple(walk.steps)
    certificate = presented_certificate(configuration, limit=min(monotonic() + _SECOND_LOOK_S, limit))
    *before, failed = walk.steps
    return (*before, replace(failed, detail=f"{failed.detail} ({certificate})") if certificate else failed)
