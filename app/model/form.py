"""A form on somebody's web site: its public key stands in the page, everything else is decided by its owner."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

DEFAULT_KEY = "default"
"""The key of the form that the settings make; it belongs to no project."""


class HumanCheck(StrEnum):
    """What a visitor's browser has to show besides the honeypot and its origin."""

    NONE = "none"
    ALTCHA = "altcha"
    """Proof of work, served from here: nobody else learns of the visitor."""
    TURNSTILE = "turnstile"
    HCAPTCHA = "hcaptcha"


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """Where a form's messages go, and what is asked of a submission.

    `project_id` is None for the default form alone. `smtp_id` None is the first SMTP configuration; `template` None
    the built-in letter with a table of all fields; `subject` None what the visitor wrote, else a sentence of ours.
    `allowed_origins` are exact origins (`https://www.example.com`); this machine's own pages are always among them.
    `redirect_targets` are addresses a visitor may be sent to besides pages of the allowed origins.
    """

    key: str
    name: str
    recipients: tuple[str, ...]
    project_id: int | None = None
    smtp_id: int | None = None
    template: str | None = None
    subject: str | None = None
    required_fields: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    redirect_targets: tuple[str, ...] = ()
    submissions_per_hour: int = 100
    accepts_files: bool = True
    check: HumanCheck = HumanCheck.NONE
    needs_token: bool = False
    """Whether the page has to fetch a form token, so that what was not loaded in a browser is refused."""
    min_age_s: int = 3
    """How long after a form token was issued a human may have filled the form in."""
    confirms: bool = False
    """Whether the visitor gets a confirmation, once a day for each address."""
    is_enabled: bool = True
    created_at: datetime | None = None
    updated_at: datetime | None = None


class Fault(StrEnum):
    """What can be wrong with a field of a submission, or with all of it; pages say it in the visitor's language."""

    REQUIRED = "required"
    NOT_AN_ADDRESS = "not-an-address"
    TOO_LONG = "too-long"
    TOO_MANY_FIELDS = "too-many-fields"
    TOO_MANY_FILES = "too-many-files"
    FILES_NOT_ACCEPTED = "files-not-accepted"
    FILE_NAME_REFUSED = "file-name-refused"
    FILE_TYPE_REFUSED = "file-type-refused"
    EMPTY = "empty"
    """Nothing was filled in."""
    UNREADABLE = "unreadable"
    """The body is not what its content type says."""


class CheckFailure(StrEnum):
    """Why a submission did not look like a human's."""

    TOKEN_MISSING = "token-missing"  # noqa: S105 - a reason, not a token
    TOKEN_INVALID = "token-invalid"  # noqa: S105
    TOKEN_EXPIRED = "token-expired"  # noqa: S105
    TOKEN_USED = "token-used"  # noqa: S105
    TOO_FAST = "too-fast"
    PROOF_MISSING = "proof-missing"
    PROOF_INVALID = "proof-invalid"
    PROOF_EXPIRED = "proof-expired"
    PROOF_USED = "proof-used"
    CAPTCHA_MISSING = "captcha-missing"
    CAPTCHA_REFUSED = "captcha-refused"
    CAPTCHA_UNAVAILABLE = "captcha-unavailable"
