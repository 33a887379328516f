"""The tree of what can go wrong. No HTTP in it: `web` and the surfaces decide what each one looks like to a caller.

LetterboxError
 ├─ SettingsInvalid            the environment cannot be used; carries every problem at once
 ├─ SelfTestFailed             the composer let a hostile value through on this Python
 ├─ RequestInvalid             a request breaks the contract; carries property -> sentences
 ├─ SMTPConfigurationNotFound  no such smtpId for this caller
 ├─ NoServerLeft               a queued email has no SMTP configuration any more that could carry it
 ├─ TestAccountMissing         test=true where no test password is configured
 ├─ CooldownActive             the sender has to wait
 ├─ Overloaded                 too much is waiting already; nothing was accepted
 ├─ KeyTaken                   the caller has used its idempotency key for another request that is on record
 ├─ KeyMismatch                the idempotency key was used for a request that asked for something else
 ├─ KeyInUse                   the first request with the idempotency key is still under way
 ├─ KeyRecordGone              the record of the request that the idempotency key was used for was deleted
 ├─ EmailNotFound
 ├─ TokenInvalid               an access token that is unknown, malformed, expired or revoked
 ├─ ClientRejected             client credentials that are wrong
 ├─ PermissionMissing          the access token is good, and not for this
 ├─ ProjectNotFound, ProjectExists
 ├─ ConnectionNotFound, ConnectionExists, ConnectionUnreadable
 ├─ ConnectionInvalid          what was given for a connection breaks its type's rules; carries field -> sentences
 ├─ FormNotFound, FormExists
 ├─ FormInvalid                what was given for a form breaks its rules; carries field -> sentences
 ├─ SubmissionInvalid          a visitor's submission lacks something; carries field -> faults
 ├─ OriginRefused              a submission came from a page that may not submit
 ├─ CheckFailed                a submission did not look like a human's; carries the reason
 ├─ SubmissionLimitReached     the form had enough for this hour
 ├─ DatabaseUnusable           the database cannot be opened or migrated at the start
 ├─ RecordUnavailable          the database does not answer, or did not take what must come before sending
 │   └─ HandOverUnrecorded     it failed between two servers; carries the attempts until then
 ├─ RecordRefused              the database answers and does not take these values; asking again does not help
 │   └─ RecordConflict         because of what is stored already, or is not there any more
 └─ DeliveryError              an email was recorded and not delivered; carries it
     ├─ DeliveryFailed
     └─ DeliveryUncertain
"""

import json
from collections.abc import Mapping, Sequence

from app.model.access import Permission
from app.model.connection import FIRST_SMTP_INDEX
from app.model.email import Email
from app.model.form import CheckFailure, Fault
from app.model.outcome import Attempt

_ROOM_FOR_ERRORS = 24 * 1024
_LONGEST_NAME, _LONGEST_SENTENCE = 300, 1000


def listed(errors: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """As many of the errors as one answer has room for, whatever their names are, and at least the first."""
    found: dict[str, list[str]] = {}
    room = _ROOM_FOR_ERRORS
    for name, sentences in errors.items():
        name = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"
        sentences = [sentence[:_LONGEST_SENTENCE] for sentence in sentences[:10]]
        # A page has the name several times and each sentence twice, with some markup around.
        room -= 200 + 3 * len(json.dumps(name)) + 2 * sum(map(len, sentences))
        if room < 0 and found:
            break
        found[name] = sentences
    return found


class LetterboxError(Exception):
    """Whatever this service raises on purpose."""


class SettingsInvalid(LetterboxError):
    """The settings cannot be used. Each problem is a whole message; none holds a secret."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class SelfTestFailed(LetterboxError):
    """A hostile value reached the finished bytes: sending would be unsafe."""


class RequestInvalid(LetterboxError):
    """The request breaks the contract; `errors` maps a property, as documented, to its sentences."""

    def __init__(self, errors: Mapping[str, Sequence[str]]) -> None:
        self.errors = listed(errors)
        if len(self.errors) < len(errors):
            self.errors["$"] = [*self.errors.get("$", ()), "More is wrong than is listed here."]
        super().__init__("; ".join(sentence for sentences in self.errors.values() for sentence in sentences))


class SMTPConfigurationNotFound(LetterboxError):
    def __init__(self, smtp_id: int) -> None:
        self.smtp_id = smtp_id
        super().__init__(f"SMTP_{smtp_id} configuration not found")


class NoServerLeft(LetterboxError):
    """Of what could carry a queued email when it was accepted nothing is left; the text says why, for an operator."""


class TestAccountMissing(LetterboxError):
    """The configuration has no test password, or the connection no address to test."""

    __test__ = False

    def __init__(self, smtp_id: int) -> None:
        self.smtp_id = smtp_id
        missing = "test password configured" if smtp_id < FIRST_SMTP_INDEX else "addressToTest"
        super().__init__(f"SMTP_{smtp_id} has no {missing}")


class CooldownActive(LetterboxError):
    """The sender has to wait `wait_s` seconds, having sent `usage` messages."""

    def __init__(self, *, wait_s: float, usage: int) -> None:
        self.wait_s = wait_s
        self.usage = usage
        super().__init__(f"sender has to wait {wait_s:.0f} s after {usage} messages")


class Overloaded(LetterboxError):
    """Too much is waiting; the text is for a caller, who may come again in `retry_after_s` seconds."""

    def __init__(self, text: str, *, retry_after_s: int = 5) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(text)


class KeyTaken(LetterboxError):
    """Another request with the same idempotency key was recorded first."""


class KeyMismatch(LetterboxError):
    def __init__(self) -> None:
        super().__init__("The Idempotency-Key was used for another request. Use a new key for a new request.")


class KeyInUse(LetterboxError):
    def __init__(self) -> None:
        super().__init__("The first request with this Idempotency-Key is still under way.")


class KeyRecordGone(LetterboxError):
    """What became of the first request cannot be said any more, and it must not be sent a second time."""

    def __init__(self) -> None:
        super().__init__(
            "The request with this Idempotency-Key was taken before, and its record was deleted since then. It is not "
            "sent again; use a new key for a new request."
        )


class EmailNotFound(LetterboxError):
    def __init__(self, email_id: str) -> None:
        self.email_id = email_id
        super().__init__(f"Email {email_id!r} was not found")


class TokenInvalid(LetterboxError):
    """Which of the reasons it was is told to nobody."""

    def __init__(self) -> None:
        super().__init__("Invalid token")


class ClientRejected(LetterboxError):
    """No such client, or another secret."""

    def __init__(self) -> None:
        super().__init__("Bad credentials")


class PermissionMissing(LetterboxError):
    """The caller's token lacks every one of `permissions` in its project."""

    def __init__(self, *permissions: Permission) -> None:
        self.permissions = permissions
        super().__init__(f"The access token needs the permission {' or '.join(permissions)}.")


class ProjectNotFound(LetterboxError):
    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"Project '{name}' not found")


class ProjectExists(LetterboxError):
    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"Project '{name}' already exists")


class ConnectionNotFound(LetterboxError):
    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"Connection (name: {name}) was not found!")


class ConnectionExists(LetterboxError):
    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"Connection (name: {name}) already exists!")


class ConnectionUnreadable(LetterboxError):
    """It was stored with a key that this process does not have, or altered."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"Connection (name: {name}) cannot be decrypted: SECRET_KEY lacks the key it was stored with.")


class ConnectionInvalid(LetterboxError):
    """`errors` maps each field, as it is named on the wire, to its sentences; none holds a secret."""

    def __init__(self, errors: Mapping[str, Sequence[str]]) -> None:
        self.errors = listed(errors)
        super().__init__(" ".join(f"{name}: {' '.join(sentences)}" for name, sentences in self.errors.items()))


class FormNotFound(LetterboxError):
    """No form has the key, or the project no form of the name."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"Form '{name}' not found")


class FormExists(LetterboxError):
    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"Form '{name}' already exists")


class FormInvalid(LetterboxError):
    """`errors` maps each field of the form's definition, as it is named on the wire, to its sentences."""

    def __init__(self, errors: Mapping[str, Sequence[str]]) -> None:
        self.errors = listed(errors)
        super().__init__(" ".join(f"{name}: {' '.join(sentences)}" for name, sentences in self.errors.items()))


class SubmissionInvalid(LetterboxError):
    """`errors` maps fields, as the visitor's form names them, to what is wrong; "" stands for the whole of it."""

    def __init__(self, errors: Mapping[str, Sequence[Fault]]) -> None:
        self.errors = {name: tuple(faults) for name, faults in errors.items()}
        super().__init__("; ".join(f"{name}: {', '.join(faults)}" for name, faults in self.errors.items()))


class OriginRefused(LetterboxError):
    """The form does not stand on pages of that origin."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        super().__init__(f"the form does not take submissions from {origin}")


class OriginUnknown(LetterboxError):
    """The browser does not say which page it is: `Origin: null`, or neither Origin nor Referer."""


class CheckFailed(LetterboxError):
    def __init__(self, failure: CheckFailure) -> None:
        self.failure = failure
        super().__init__(failure)


class SubmissionLimitReached(LetterboxError):
    """The form takes more in `retry_after_s` seconds."""

    def __init__(self, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(f"again in {retry_after_s} s")


class SubmissionShareUsed(SubmissionLimitReached):
    """It takes more from others; from this visitor's address in `retry_after_s` seconds."""


class DatabaseUnusable(LetterboxError):
    """The database cannot be opened, or not brought to the newest schema."""


class RecordUnavailable(LetterboxError):
    """The database did not answer, or did not take a write that must come before sending. The text is for a caller."""


class HandOverUnrecorded(RecordUnavailable):
    """The database did not take the mark that comes before a hand-over, so the message was not sent.

    `attempts` are those before it; none of them delivered the message.
    """

    def __init__(self, attempts: tuple[Attempt, ...]) -> None:
        self.attempts = attempts
        super().__init__("The request could not be recorded, so nothing was sent.")


class RecordRefused(LetterboxError):
    """The database answers, and does not take these values, however often it is asked."""


class RecordConflict(RecordRefused):
    """The values contradict what is stored: a name is taken, or what they belong to is gone."""


class DeliveryError(LetterboxError):
    """The email is recorded with its attempts, and was not delivered for certain."""

    def __init__(self, email: Email) -> None:
        self.email = email
        super().__init__(f"email {email.id} is {email.status}")


class DeliveryFailed(DeliveryError):
    """No configuration delivered it."""


class DeliveryUncertain(DeliveryError):
    """It was handed over and no reply came."""
