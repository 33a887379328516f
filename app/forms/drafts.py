"""A body -> the form that it describes, or everything that is wrong with it. Used by `manage`."""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from app.connections.fields import CONTROL_CHARACTERS
from app.errors import FormInvalid
from app.forms.fields import FIELDS, GIVEN_BY_US, FormField
from app.messages.mailboxes import mailbox
from app.model.form import Form, HumanCheck
from app.model.names import name_fault, name_key
from app.settings import network
from app.settings.reading import Unusable, shown

_MOST_UNKNOWN = 20
"""So many unknown fields are named; whoever sends more has sent something else."""
_URL = re.compile(r"(https?://[^/?#@\\\s]+)([/?#].*)?", re.IGNORECASE)
_STAYS_IN_URL = "%/?#[]@!$&'()*+,;=:-._~"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What a form of one project can choose from. `unavailable` says of a check, in a sentence, why it cannot be."""

    smtp_ids: tuple[int, ...]
    templates: tuple[str, ...]
    most_recipients: int
    longest_subject: int
    unavailable: Mapping[HumanCheck, str] = field(default_factory=dict)


class _Wrong(Exception):
    """A value that cannot stand in its field; the text is a sentence."""


class _Faults(dict[str, list[str]]):
    """Field -> sentences."""

    def note(self, name: str, sentence: str) -> None:
        self.setdefault(name, []).append(sentence)


def draft_of(
    body: Mapping[str, Any], *, project_id: int, key: str, path_name: str, is_update: bool, choices: Choices
) -> Form:
    """The form that a body describes. Of an update `path_name` is the form's name as it is stored.

    null counts as not given, nothing is coerced; origins and addresses are kept in the form in which they are compared.
    Raises FormInvalid with every field that is wrong.
    """
    faults = _Faults()
    name = _name(body.get("name"), faults, path_name=path_name, is_update=is_update)
    values = dict(_values(body, faults, choices))
    _note_strange(body, faults, key=key, is_update=is_update)
    if faults:
        raise FormInvalid(faults)
    return Form(key=key, name=name, project_id=project_id, **values)


def _name(given: object, faults: _Faults, *, path_name: str, is_update: bool) -> str:
    name = path_name if given is None or given == "" else given
    if not isinstance(name, str):
        faults.note("name", "The name field must be a string.")
        return path_name
    if not is_update and name_key(name) != name_key(path_name):
        faults.note("name", "The name field must be the name in the path.")
    elif fault := name_fault(name):
        faults.note("name", fault)
    return name


def _values(body: Mapping[str, Any], faults: _Faults, choices: Choices) -> Iterator[tuple[str, Any]]:
    """The attributes of those fields that are given and right; the others are noted."""
    for each in FIELDS:
        value = body.get(each.name)
        if value is None and not each.is_required:
            continue
        # What has to be given are arrays of at least one: an empty one is told so in its own words.
        value = [] if value is None else value
        if sentence := each.fault(value):
            faults.note(each.name, sentence)
            continue
        try:
            yield each.attribute, _READERS.get(each.name, _as_given)(each, value, choices)
        except _Wrong as error:
            faults.note(each.name, str(error))


def _note_strange(body: Mapping[str, Any], faults: _Faults, *, key: str, is_update: bool) -> None:
    """A typo must be told: allowedOrigin, left out quietly, would be a form that takes nothing."""
    if body.get("key") not in (None, key):
        faults.note("key", "The key of a form cannot be chosen or changed.")
    known = ("name", *(each.name for each in FIELDS))
    # What a form is shown with comes back from whoever reads it, changes one field and writes it.
    strange = [
        name for name in body if name not in known and not (name in GIVEN_BY_US and (is_update or name == "key"))
    ]
    for name in strange[:_MOST_UNKNOWN]:
        said = name[:100] if name.isprintable() else ascii(name[:100])
        lower = {each.lower(): each for each in known}
        meant = difflib.get_close_matches(said.lower(), lower, n=1, cutoff=0.7)
        hint = f" Did you mean {lower[meant[0]]}?" if meant else ""
        faults.note(said, f"The {said} field is not known for a form.{hint}")


def _as_given(_: FormField, value: Any, __: Choices) -> Any:
    return value


def _texts(field: FormField, values: list[Any]) -> list[str]:
    """The texts of an array, each once. Raises _Wrong unless all of them are texts that can be kept."""
    texts = [text.strip(" ") for text in values if isinstance(text, str)]
    fit = [text for text in texts if 0 < len(text) <= (field.longest or 0) and not CONTROL_CHARACTERS.search(text)]
    if len(fit) < len(values) or len(values) > (field.most or 0):
        raise _Wrong(
            f"The {field.name} field must be an array of at most {field.most} texts, each of 1 to {field.longest} "
            "characters without control characters."
        )
    return list(dict.fromkeys(fit))


def _recipients(field: FormField, values: list[Any], choices: Choices) -> tuple[str, ...]:
    texts = _texts(field, values)
    most = min(field.most or 0, choices.most_recipients)
    if not 1 <= len(texts) <= most:
        raise _Wrong(f"The recipients field must hold 1 to {most} addresses.")
    addresses = []
    for text in texts:
        address = mailbox(text)
        if address is None:
            raise _Wrong(f"The recipients field must hold addresses such as office@example.com; {text!r} is none.")
        addresses.append(address)
    return tuple(dict.fromkeys(addresses))


def _smtp_id(_: FormField, value: int, choices: Choices) -> int:
    if value not in choices.smtp_ids:
        offered = ", ".join(map(str, choices.smtp_ids)) or "none, because there is no SMTP configuration"
        raise _Wrong(f"The smtpId field must be one that the project can choose: {offered}.")
    return value


def _template(_: FormField, value: str, choices: Choices) -> str:
    named = {name.lower(): name for name in choices.templates}
    if value.lower() not in named:
        raise _Wrong(f"The template field must be one of {', '.join(choices.templates)}.")
    return named[value.lower()]


def _subject(_: FormField, value: str, choices: Choices) -> str | None:
    if len(value) > choices.longest_subject:
        raise _Wrong(f"The subject field must have at most {choices.longest_subject} characters.")
    return value.strip() or None


def _required_fields(field: FormField, values: list[Any], _: Choices) -> tuple[str, ...]:
    return tuple(_texts(field, values))


def _origins(field: FormField, values: list[Any], _: Choices) -> tuple[str, ...]:
    texts = _texts(field, values)
    if not texts:
        raise _Wrong(
            "The allowedOrigins field must hold at least one origin such as https://www.example.com: without one no "
            "page could submit the form."
        )
    return tuple(dict.fromkeys(_origin(text) for text in texts))


def _origin(text: str) -> str:
    try:
        origin = network.origin(text)
    except Unusable as error:
        hint = f" {error.remedy}" if error.remedy else ""
        if text == "null":
            hint = " null is what any sandboxed page says, so it cannot be allowed."
        raise _Wrong(
            "The allowedOrigins field must hold origins such as https://www.example.com, without a path and compared "
            f"exactly; {shown(text)} is none.{hint}"
        ) from error
    if not origin.startswith(("http://", "https://")):
        raise _Wrong(
            f"The allowedOrigins field must hold origins with http or https; {shown(text)} has another scheme."
        )
    return origin


def _redirect_targets(field: FormField, values: list[Any], _: Choices) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_redirect_target(text) for text in _texts(field, values)))


def _redirect_target(text: str) -> str:
    """As a browser would write it. A backslash and white space are refused: browsers read them as something else."""
    match = _URL.fullmatch(text)
    sentence = (
        "The redirectTargets field must hold absolute addresses such as https://www.example.com/thanks, without a user "
        f"name, backslashes and spaces; {shown(text)} is none."
    )
    if match is None or re.search(r"[\\\s]", text):
        raise _Wrong(sentence)
    try:
        origin = network.origin(match[1])
    except Unusable as error:
        raise _Wrong(sentence) from error
    return origin + quote(match[2] or "", safe=_STAYS_IN_URL)


def _check(field: FormField, value: str, choices: Choices) -> HumanCheck:
    if value not in field.choices:
        raise _Wrong(f"The check field must be one of {', '.join(field.choices)}.")
    check = HumanCheck(value)
    if check in choices.unavailable:
        raise _Wrong(choices.unavailable[check])
    return check


_READERS: dict[str, Callable[[FormField, Any, Choices], Any]] = {
    "recipients": _recipients,
    "smtpId": _smtp_id,
    "template": _template,
    "subject": _subject,
    "requiredFields": _required_fields,
    "allowedOrigins": _origins,
    "redirectTargets": _redirect_targets,
    "check": _check,
}
"""For the fields of which more is asked than their type and range; each raises _Wrong."""
