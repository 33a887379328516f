"""Whether a configuration works, step by step and in words. Used by the start-up table and `letterbox check-smtp`."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from app.model.outcome import Stage
from app.model.smtp import SMTPConfiguration
from app.smtp.failure import SessionFailed
from app.smtp.farewell import say_goodbye
from app.smtp.remedy import remedy_for, remedy_for_missing_test_account
from app.smtp.resolver import Resolver
from app.smtp.session import SMTPSession

FAREWELL_S = 1.0

_STEP_OF_STAGE = {Stage.DNS: "dns", Stage.CONNECT: "tcp", Stage.TLS: "tls", Stage.AUTH: "auth"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckStep:
    """One step: `name` is dns, tcp, tls, ehlo or auth. `remedy` is empty for a step that succeeded."""

    name: str
    success: bool
    duration_ms: int
    detail: str
    remedy: str = ""


def check(configuration: SMTPConfiguration, *, is_test: bool = False) -> tuple[CheckStep, ...]:
    """Opens a session of its own, signs in and leaves; no mail is sent. The steps, up to the first that failed.

    Takes at most a few times the configuration's timeout; raises nothing for a server that does not work.
    """
    account = configuration.account_for(is_test=is_test)
    if account is None:
        detail = "no password for the test account"
        remedy = remedy_for_missing_test_account(configuration)
        return (CheckStep(name="auth", success=False, duration_ms=0, detail=detail, remedy=remedy),)
    session = SMTPSession(configuration, account, resolver=Resolver(), limit=float("inf"))
    examination = _Examination(session)
    try:
        examination.run()
    finally:
        if session.is_reusable:
            say_goodbye([session], monotonic() + FAREWELL_S)
        session.close()
    return tuple(examination.steps)


class _Examination:
    """Runs the opening of one session and writes down each step."""

    def __init__(self, session: SMTPSession) -> None:
        self.steps: list[CheckStep] = []
        self._session = session

    def run(self) -> None:
        session = self._session
        try:
            self._step("dns", self._look_up)
            self._step("tcp", self._connect)
            secured_ms = self._time(session.secure)
            if session.is_encrypted:
                self._note("tls", secured_ms, _certificate(session.tls))
                secured_ms = 0
            else:
                # In clear text EHLO was already said to see whether STARTTLS is offered.
                self._note("tls", 0, "not used: the dialogue is in clear text")
            self._note("ehlo", secured_ms + self._time(session.introduce), _announcements(session))
            self._step("auth", self._sign_in)
        except SessionFailed as failure:
            remedy = remedy_for(failure, session.configuration, is_encrypted=session.is_encrypted)
            name = _STEP_OF_STAGE.get(failure.stage, "ehlo")
            duration_ms = round((monotonic() - self._began) * 1000)
            self.steps.append(
                CheckStep(name=name, success=False, duration_ms=duration_ms, detail=failure.detail, remedy=remedy)
            )

    def _look_up(self) -> str:
        self._addresses = self._session.look_up()
        return ", ".join(dict.fromkeys(str(address.sockaddr[0]) for address in self._addresses))

    def _connect(self) -> str:
        self._session.connect_to(self._addresses)
        return f"{self._session.peer_address} port {self._session.configuration.port}"

    def _sign_in(self) -> str:
        self._session.sign_in()
        self._session.in_step = True
        account = self._session.account
        return "signed in as " + account.username if account.password is not None else "no sign-in configured"

    def _step(self, name: str, action: Callable[[], str]) -> None:
        self._began = monotonic()
        detail = action()
        self._note(name, round((monotonic() - self._began) * 1000), detail)

    def _time(self, action: Callable[[], None]) -> int:
        self._began = monotonic()
        action()
        return round((monotonic() - self._began) * 1000)

    def _note(self, name: str, duration_ms: int, detail: str) -> None:
        self.steps.append(CheckStep(name=name, success=True, duration_ms=duration_ms, detail=detail))


def _certificate(tls: ssl.SSLObject | None) -> str:
    certificate: Any = (tls.getpeercert() if tls else None) or {}
    subject = [value for group in certificate.get("subject", ()) for kind, value in group if kind == "commonName"]
    names = [value for _, value in certificate.get("subjectAltName", ())]
    version = tls.version() if tls else None
    return f"{version}, certificate for {', '.join(subject or names)}, valid until {certificate.get('notAfter')}"


def _announcements(session: SMTPSession) -> str:
    announced = (f"{name.upper()} {value}".strip() for name, value in sorted(session.esmtp_features.items()))
    return ", ".join(announced) or "no extensions"
