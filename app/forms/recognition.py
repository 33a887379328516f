"""The fields of a form by what they mean: who writes what, what is asked of this service, and everything else.

Nothing that was typed is lost: each role is taken by one field at most, and all others are the message's table, in the
order of the form. Used by `submit`, and by `intake`, which keeps control fields out of sight.
"""

from collections.abc import Iterable, Mapping, Sequence

from app.errors import SubmissionInvalid
from app.forms import names
from app.forms.honeypot import HONEYPOTS
from app.forms.redirects import CONTROLS as REDIRECTS
from app.forms.submission import Recognised, Submission
from app.messages.mailboxes import mailbox
from app.model.form import Fault, Form
from app.settings import MessageLimits

CHECK_FIELDS = frozenset(
    {
        "letterbox-token",
        "letterbox-own-page",
        "altcha",
        "cf-turnstile-response",
        "h-captcha-response",
        "g-recaptcha-response",
    }
)
"""What shows that a human sent the form."""
PAGE_FIELD = "letterbox-page"
"""The page that a visitor came from, handed on by a page of ours."""
_OF_OTHER_SERVICES = frozenset(
    {"access_key", "_cc", "_bcc", "ccemail", "_captcha", "_template", "_autoresponse", "_webhook", "_blacklist", "_url"}
)
"""Recipients, templates and the like are the owner's to decide; pages that come from elsewhere still have them."""
_CONTROL_FIELDS = frozenset(
    {*HONEYPOTS, *CHECK_FIELDS, *_OF_OTHER_SERVICES, *REDIRECTS, PAGE_FIELD, "_format", "_charset_", "_language"}
)
"""In lower case. They are for this service or for another one like it, and nothing that a visitor wrote."""
_SUBJECT = "_subject"

_LONGEST_IN_A_LINE = 100
"""Characters of a value that is listed with others in one line."""

_LIMITS = MessageLimits()


def is_control(name: str) -> bool:
    """Whether a field with this name is a page's own and not part of what its visitor is asked."""
    return name.casefold() in _CONTROL_FIELDS or _is_address_or_subject(name)


def shown_names(all_names: Iterable[str]) -> set[str]:
    """Those of a form's names that its visitor is asked for, as far as names tell."""
    given = set(all_names)
    shown = {name for name in given if not is_control(name)}
    return shown if _have_address(given) else shown | {name for name in given if _asks_for_reply_to(name)}


def recognise(submission: Submission, form: Form) -> Recognised:
    """Who writes what. Raises SubmissionInvalid with everything that is missing or no address."""
    fields = _grouped(submission.fields)
    errors = _missing(form, fields, has_files=bool(submission.files))
    table = _Table(fields)
    email = table.take_address(names.EMAIL, errors)
    reply_to = table.take_address(names.REPLY_TO, {} if _have_address(fields) else errors)
    if not email:
        email, reply_to = reply_to, ""
    recognised = Recognised(
        email=email,
        username=table.take_name(),
        message=table.take(names.MESSAGE, longest=_LIMITS.message),
        subject=table.take(names.SUBJECT, longest=_LIMITS.subject_template),
        reply_to="" if reply_to == email else reply_to,
        custom_fields=table.rest(),
    )
    if errors:
        raise SubmissionInvalid(errors)
    return recognised


class _Table:
    """The fields that have no role yet: names in the order of the form, with all their values."""

    def __init__(self, fields: Mapping[str, list[str]]) -> None:
        self._fields = {
            name: values
            for name, values in fields.items()
            if not is_control(name) or (_is_address_or_subject(name) and _filled(values))
        }

    def take_address(self, plain_names: Sequence[str], errors: dict[str, list[Fault]]) -> str:
        """An address in its normal form; where none is valid, the fault is noted at the likeliest field."""
        candidates = [(name, value) for name in self._called(plain_names) for value in _filled(self._fields[name])]
        for name, value in candidates:
            if (address := mailbox(value)) is not None:
                self._spend(name, value)
                for other, same in candidates:
                    # Typed twice, as some forms ask for it.
                    if same == value and other != name:
                        self._spend(other, same)
                return address
        # Some pages name another field there, as `%email`, which is then found by its own name.
        if candidates and not candidates[0][1].startswith(("%", "{")):
            errors.setdefault(candidates[0][0], []).append(Fault.NOT_AN_ADDRESS)
        return ""

    def take_name(self) -> str:
        """The full name, put together where a form asks for its parts, as `nom` and `prénom`."""
        full, given, family = map(self._single, (names.FULL_NAME, names.GIVEN_NAME, names.FAMILY_NAME))
        parts = [part for part in (given, full or family) if part]
        if full and family:
            # With all three the full name is the whole of it.
            parts = [full] if given else [full, family]
        if full and any(part[1].casefold() in full[1].casefold() for part in parts if part is not full):
            parts = [full]
        whole = " ".join(value.strip() for _, value in parts)
        if not whole or len(whole) > _LIMITS.username:
            return ""
        for name, value in parts:
            self._spend(name, value)
        return whole

    def take(self, plain_names: Sequence[str], *, longest: int) -> str:
        """The joined values of the likeliest field; nothing, where that is too long for its place."""
        for name in self._called(plain_names):
            if (whole := joined(self._fields[name])) and len(whole) <= longest:
                del self._fields[name]
                return whole
        return ""

    def rest(self) -> dict[str, str]:
        """What was left blank says nothing, and an owner's table is short without it."""
        return {name: text for name, values in self._fields.items() if (text := joined(values))}

    def _called(self, plain_names: Sequence[str]) -> list[str]:
        """The fields with one of these names and something in them, the likeliest first.

        Of `_subject` and `subject` the page's own comes first, and what its visitor wrote stays in the table.
        """
        ranks = {plain: rank for rank, plain in enumerate(plain_names)}
        found = [name for name in self._fields if names.plain_name(name) in ranks and _filled(self._fields[name])]
        return sorted(found, key=lambda name: (ranks[names.plain_name(name)], not name.startswith("_")))

    def _single(self, plain_names: Sequence[str]) -> tuple[str, str] | None:
        return next(((name, _filled(self._fields[name])[0]) for name in self._called(plain_names)), None)

    def _spend(self, name: str, value: str) -> None:
        """Take one value out of a field, and the field with its last one."""
        left = [other for other in _filled(self._fields.get(name, [])) if other != value]
        if left:
            self._fields[name] = left
        else:
            self._fields.pop(name, None)


def _is_address_or_subject(name: str) -> bool:
    """Page owners and visitors fill these in, so what cannot be used as such is part of the message."""
    return name.casefold() == _SUBJECT or _asks_for_reply_to(name)


def _asks_for_reply_to(name: str) -> bool:
    return names.plain_name(name) in names.REPLY_TO


def _have_address(all_names: Iterable[str]) -> bool:
    """Whether there is a field for the visitor's address; without one, some pages ask for it in `_replyto`."""
    return any(names.plain_name(name) in names.EMAIL for name in all_names)


def joined(values: Iterable[str]) -> str:
    """The values that are not blank: short ones in one line, others below each other."""
    filled = _filled(values)
    is_one_line = all(len(value) <= _LONGEST_IN_A_LINE and len(value.splitlines()) < 2 for value in filled)
    return (", " if is_one_line else "\n").join(filled)


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


def _filled(values: Iterable[str]) -> list[str]:
    return [value for value in values if value.strip()]


def _missing(form: Form, fields: Mapping[str, list[str]], *, has_files: bool) -> dict[str, list[Fault]]:
    """What is required and blank or absent, under the name that the form itself uses; and whether there is nothing."""
    sent: dict[str, str] = {}
    filled: set[str] = set()
    for name, values in fields.items():
        plain = names.plain_name(name)
        sent.setdefault(plain, name)
        if _filled(values):
            filled.add(plain)
    errors: dict[str, list[Fault]] = {}
    if not has_files and not any(_filled(fields[name]) for name in shown_names(fields)):
        errors[""] = [Fault.EMPTY]
    for required in form.required_fields:
        plain = names.plain_name(required)
        if plain not in filled:
            errors[sent.get(plain, required)] = [Fault.REQUIRED]
    return errors
