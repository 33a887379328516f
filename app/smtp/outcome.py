"""What a stage and a reply's codes mean (spec: delivery, "Outcomes"): pure functions, tested by the table itself.

Never decided by the words of a reply, nor by the class of an exception: `smtplib` raises the same one for a connection
that was lost before DATA, where nothing was handed over, and after the final dot, where everything was.
"""

from dataclasses import dataclass

from app.model.outcome import Outcome, Stage
from app.smtp.failure import SessionFailed
from app.smtp.reply import Reply

AUTHENTICATION_REQUIRED = 530
"""RFC 4954 section 6: the server relays only for those who signed in."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an attempt ended, without its circumstances (`model.Attempt` adds them)."""

    outcome: Outcome
    stage: Stage
    code: int | None = None
    enhanced_code: str | None = None
    detail: str = ""


def judge(stage: Stage, reply: Reply) -> Verdict:
    """The verdict of a reply that decides; after the message itself every reply does."""
    enhanced_code = reply.enhanced_code
    outcome = decide(stage, reply.code, enhanced_code, handed_over=stage is Stage.MESSAGE)
    return Verdict(outcome, stage, reply.code, enhanced_code, reply.detail)


def judge_failure(failure: SessionFailed, *, handed_over: bool = False) -> Verdict:
    """The verdict of a dialogue that broke off; `handed_over` when the server may have the whole message."""
    code = failure.reply.code if failure.reply else None
    enhanced_code = failure.reply.enhanced_code if failure.reply else None
    outcome = decide(failure.stage, code, enhanced_code, handed_over=handed_over)
    return Verdict(outcome, failure.stage, code, enhanced_code, failure.detail)


def decide(stage: Stage, code: int | None, enhanced_code: str | None, *, handed_over: bool) -> Outcome:
    """The table. `code` is None without a reply; `handed_over` when everything up to the dot had been written."""
    if code is None:
        return Outcome.UNKNOWN if handed_over else Outcome.SERVER_AT_FAULT
    if is_temporary(code):
        return Outcome.SERVER_AT_FAULT
    if stage is Stage.MESSAGE:
        return _decide_final(code)
    if code >= 500 and stage is Stage.DATA:
        return Outcome.MESSAGE_REFUSED
    if code >= 500 and stage is Stage.RCPT and _is_about_mailbox(code, enhanced_code):
        return Outcome.RECIPIENT_REFUSED
    return Outcome.SERVER_AT_FAULT


def is_temporary(code: int) -> bool:
    """Whether a reply refuses only for now (RFC 5321 section 4.2.1)."""
    return 400 <= code < 500


def _decide_final(code: int) -> Outcome:
    if 200 <= code < 300:
        return Outcome.ACCEPTED
    # A 3xx after the message is no answer to it: the server may have it all the same.
    return Outcome.MESSAGE_REFUSED if code >= 500 else Outcome.UNKNOWN


def _is_about_mailbox(code: int, enhanced_code: str | None) -> bool:
    """Whether a permanent refusal of RCPT is about the mailbox, and not about us, our sign-in or the server."""
    if code == AUTHENTICATION_REQUIRED:
        return False
    if enhanced_code is None:
        return True
    # Subject 0 says "other or undefined" (RFC 3463 section 3.1): as good as no enhanced code.
    return enhanced_code.split(".")[1] in ("0", "1", "2")
