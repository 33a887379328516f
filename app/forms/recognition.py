"""The fields of a form by what they mean: who writes what, what is asked of this service, and everything else.

Nothing that was typed is lost: each role is taken by one field at most, and all others are the message's table, in the
order of the form. Used by `submit`, and by `intake`, which keeps control fields out of sight.
"""

import re
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

MOST_ADDRESSES = 5
"""In one field."""
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
    emails = table.take_addresses(names.EMAIL, errors)
    reply_to = table.take_addresses(names.REPLY_TO, {} if _have_address(fields) else errors)
    if not emails:
        emails, reply_to = reply_to, ()
    recognised = Recognised(
        email=emails[0] if emails else "",
        username=table.take_name(),
        message=table.take(names.MESSAGE, longest=_LIMITS.message),
        subject=table.take(names.SUBJECT, longest=_LIMITS.subject_template),
        reply_to=reply_to if reply_to and reply_to != emails else emails if len(emails) > 1 else (),
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

    def take_addresses(self, plain_names: Sequence[str], errors: dict[str, list[Fault]]) -> tuple[str, ...]:
        """The addresses of one field in their normal form; where none is valid, the fault is noted at the likeliest.

        Several addresses stay in the table, too, because a message shows only the first one as the visitor's.
        """
        candidates = [(name, value) for name in self._called(plain_names) for value in _filled(self._fields[name])]
        for name, value in candidates:
            if addresses := _addresses(value):
                if len(addresses) > 1:
                    return addresses
                self._spend(name, value)
                for other, same in candidates:
                    # Typed twice, as some forms ask for it.
                    if same == value and other != name:
                        self._spend(other, same)
                return addresses
        # Some pages name another field there, as `%email`, which is then found by its own name.
        if candidates and not candidates[0][1].startswith(("%", "{")):
            errors.setdefault(candidates[0][0], []).append(Fault.NOT_AN_ADDRESS)
        return ()

    def take_name(self) -> str:
        """The full name, put together where a form asks for its parts, as `nom` and `prénom`."""
        found = [self._single(each) for each in (names.FULL_NAME, names.GIVEN_NAME, names.FAMILY_NAME)]
        # A whole name and a part of it may be those of two people where they are in two containers.
        shallowest = min((names.last_name(each[0])[1] for each in found if each), default=0)
        full, given, family = (each if each and names.last_name(each[0])[1] == shallowest else None for each in found)
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
        """The fields with one of these names and something in them: the shallowest first, and then the likeliest.

        Of `_subject` and `subject` the page's own comes first, and what its visitor wrote stays in the table.
        """
        ranks = {plain: rank for rank, plain in enumerate(plain_names)}

        def likelihood(name: str) -> tuple[int, int, bool]:
            plain, depth = names.last_name(name)
            return depth, ranks[plain], not name.startswith("_")

        found = [name for name in self._fields if names.last_name(name)[0] in ranks and _filled(self._fields[name])]
        return sorted(found, key=likelihood)

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
    return names.last_name(name)[0] in names.REPLY_TO


def _have_address(all_names: Iterable[str]) -> bool:
    """Whether there is a field for the visitor's address; without one, some pages ask for it in `_replyto`."""
    return any(names.last_name(name)[0] in names.EMAIL for name in all_names)


def _addresses(text: str) -> tuple[str, ...]:
    """The addresses of `<input type=email multiple>`, each once; nothing where one of them is none, or too many."""
    pieces = [piece for piece in re.split("[,;]", text, maxsplit=2 * MOST_ADDRESSES) if piece.strip()]
    addresses = tuple(dict.fromkeys(map(mailbox, pieces[: MOST_ADDRESSES + 1])))
    found = tuple(address for address in addresses if address is not None)
    return found if len(found) == len(addresses) and len(pieces) <= MOST_ADDRESSES else ()


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
        for plain in names.required_names(name):
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
