"""The opening of one session, step by step, each timed and put into words. Used by `check` and by `connections`."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from app.model.outcome import Stage
from app.smtp.failure import SessionFailed
from app.smtp.farewell import FAREWELL_S, say_goodbye
from app.smtp.resolver import Address
from app.smtp.session import SMTPSession
from app.smtp.words import Words

CLEAR_TEXT = "not used: the dialogue is in clear text"
"""The detail of the step tls where there is none."""

_STEP_OF_STAGE = {Stage.DNS: "dns", Stage.CONNECT: "tcp", Stage.TLS: "tls", Stage.AUTH: "auth"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckStep:
    """One step: `name` is dns, tcp, tls, ehlo or auth. `remedy` is empty for a step that succeeded.

    Where a message is sent, mail (the envelope) and message follow.
    """

    name: str
    success: bool
    duration_ms: int
    detail: str
    remedy: str = ""


class Walk:
    """Opens a session and writes down each step, up to the first that failed."""

    def __init__(self, session: SMTPSession, words: Words) -> None:
        self.steps: list[CheckStep] = []
        self.failure: SessionFailed | None = None
        self._session = session
        self._words = words
        self._addresses: tuple[Address, ...] = ()
        self._began = monotonic()

    def sign_in(self) -> bool:
        """From the look-up to the sign-in; whether all of it worked. Raises nothing for a server that does not work."""
        session, words = self._session, self._words
        try:
            self._step("dns", self._look_up)
            self._step("tcp", self._connect)
            secured_ms = self._time(session.secure)
            if session.is_encrypted:
                self.succeeded("tls", secured_ms, words.encrypted(session))
                secured_ms = 0
            else:
                # In clear text EHLO was already said to see whether STARTTLS is offered.
                self.succeeded("tls", 0, CLEAR_TEXT)
            self.succeeded("ehlo", secured_ms + self._time(session.introduce), words.announced(session))
            self._step("auth", self._sign_in)
        except SessionFailed as failure:
            self.failure = failure
            name = _STEP_OF_STAGE.get(failure.stage, "ehlo")
            self.failed(name, milliseconds(self._began), *words.failed(session, failure))
            return False
        return True

    def succeeded(self, name: str, duration_ms: int, detail: str) -> None:
        self.steps.append(CheckStep(name=name, success=True, duration_ms=duration_ms, detail=detail))

    def failed(self, name: str, duration_ms: int, cause: str, remedy: str) -> None:
        self.steps.append(CheckStep(name=name, success=False, duration_ms=duration_ms, detail=cause, remedy=remedy))

    def leave(self, *, limit: float) -> None:
        """QUIT where there is somebody to say it to, until `limit` (`time.monotonic`) at the latest."""
        if self._session.is_reusable:
            say_goodbye([self._session], min(monotonic() + FAREWELL_S, limit))
        self._session.close()

    def _look_up(self) -> str:
        self._addresses = self._session.look_up()
        return self._words.found(self._session, self._addresses)

    def _connect(self) -> str:
        self._session.connect_to(self._addresses)
        return self._words.connected(self._session)

    def _sign_in(self) -> str:
        self._session.sign_in()
        self._session.in_step = True
        return self._words.signed_in(self._session)

    def _step(self, name: str, action: Callable[[], str]) -> None:
        self._began = monotonic()
        detail = action()
        self.succeeded(name, milliseconds(self._began), detail)

    def _time(self, action: Callable[[], None]) -> int:
        self._began = monotonic()
        action()
        return milliseconds(self._began)


def milliseconds(since: float) -> int:
    """What has passed since a moment (`time.monotonic`)."""
    return round((monotonic() - since) * 1000)
