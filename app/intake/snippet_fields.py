"""The fields that a form's ready code has: those that its owner requires, and what nearly every form asks for.

Used by `snippet`, whose templates write them as HTML and as JSX.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.forms import names
from app.model.form import Form

FILE_FIELD = "file"
HONEYPOT = "_gotcha"

_ORDER = (names.FULL_NAME, names.GIVEN_NAME, names.FAMILY_NAME, names.EMAIL)
"""These come first, in this order; a message comes last."""
_AUTOCOMPLETE = (
    (names.FULL_NAME, "name"),
    (names.GIVEN_NAME, "given-name"),
    (names.FAMILY_NAME, "family-name"),
    (names.EMAIL, "email"),
    (("phone", "phonenumber", "tel", "telephone", "mobile", "telefon", "telefono", "telefone"), "tel"),
    (("company", "organization", "organisation", "firma", "empresa", "entreprise", "azienda"), "organization"),
)
_TYPES = {"email": "email", "tel": "tel"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeField:
    """One field of the code. `type` is that of an <input>; "textarea" stands for a <textarea>."""

    name: str
    label: str
    type: str = "text"
    autocomplete: str = ""
    is_required: bool = False


def code_fields(form: Form) -> list[CodeField]:
    """In the order in which a visitor fills them in; each name once."""
    required: dict[str, str] = {}
    for name in form.required_fields:
        required.setdefault(names.plain_name(name), name)
    wanted = [_field(name, is_required=True) for name in required.values()]
    wanted += [
        _field(name, is_required=False) for name in _usual([names.last_name(name)[0] for name in required.values()])
    ]
    return sorted(wanted, key=lambda field: _rank(names.last_name(field.name)[0]))


def _usual(required: Sequence[str]) -> Iterator[str]:
    """What is not required under any of its names."""
    if not _has(required, (*names.FULL_NAME, *names.GIVEN_NAME, *names.FAMILY_NAME)):
        yield "name"
    if not _has(required, (*names.EMAIL, *names.REPLY_TO)):
        yield "email"
    if not _has(required, names.MESSAGE):
        yield "message"


def _has(plain_names: Sequence[str], wanted: Sequence[str]) -> bool:
    return not set(plain_names).isdisjoint(wanted)


def _field(name: str, *, is_required: bool) -> CodeField:
    plain, _ = names.last_name(name)
    autocomplete = next((token for called, token in _AUTOCOMPLETE if plain in called), "")
    return CodeField(
        name=name,
        label=_label(name),
        type="textarea" if plain in names.MESSAGE else _TYPES.get(autocomplete, "text"),
        autocomplete=autocomplete,
        is_required=is_required,
    )


def _label(name: str) -> str:
    """`first_name` as `First name`; a name that people can read stays as it is."""
    plain = name.removesuffix("[]").replace("_", " ")
    # The hyphen of first-name stands for a space, that of E-Mail does not.
    words = " ".join((plain.replace("-", " ") if plain.islower() else plain).split()) or name
    return words[:1].upper() + words[1:]


def _rank(plain: str) -> int:
    if plain in names.MESSAGE:
        return len(_ORDER) + 1
    return next((rank for rank, called in enumerate(_ORDER) if plain in called), len(_ORDER))
