"""What a visitor typed, as a form that can be sent again when something is wrong. Used by `answers`."""

from dataclasses import dataclass

from app.emails.office import Office
from app.forms import names, page_proofs, tokens
from app.forms.recognition import CHECK_FIELDS, PAGE_FIELD, shown_names
from app.intake.reading import Typed
from app.intake.refusals import Refusal
from app.model.form import CheckFailure, Form

_LONGEST_LINE = 80
_BROKEN = 500
"""From this status on something is wrong here, and that may be the making of tokens."""
_MADE_ANEW = CHECK_FIELDS | {PAGE_FIELD}

_TOKEN_SPENT = (
    CheckFailure.TOKEN_MISSING,
    CheckFailure.TOKEN_INVALID,
    CheckFailure.TOKEN_EXPIRED,
    CheckFailure.TOKEN_USED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One field of the page. `sentences` say what is wrong with it."""

    name: str
    value: str = ""
    is_address: bool = False
    is_long: bool = False
    is_file: bool = False
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FormAgain:
    """The fields that the visitor sees, in the order of the form, and those that go along unseen."""

    inputs: tuple[Input, ...]
    hidden: tuple[tuple[str, str], ...]
    is_whole: bool

    @property
    def has_files(self) -> bool:
        return any(each.is_file for each in self.inputs)


def form_again(
    office: Office, form: Form, typed: Typed, refusal: Refusal, *, back: str | None, client: str
) -> FormAgain:
    """The form with everything that was typed and fits on a page; fields that are missing come at its end.

    `back` is the page that the visitor came from, `client` the visitor's address. Raises SettingsInvalid where a token
    is needed without a secret key.
    """
    errors = {name: tuple(sentences) for name, sentences in refusal.errors.items()}
    fields, file_fields = typed.fields, typed.file_fields
    shown = shown_names(name for name, _ in fields)
    inputs = []
    for name, value in fields:
        if name in shown:
            # Of a repeated name, the first field says what is wrong.
            inputs.append(_input(name, value, errors.pop(name, ())))
    for name in sorted(file_fields):
        inputs.append(Input(name=name, is_file=True, sentences=errors.pop(name, ())))
    inputs += [_input(name, "", sentences) for name, sentences in errors.items()]
    hidden = [(name, value) for name, value in fields if name not in shown and name.casefold() not in _MADE_ANEW]
    if back is not None:
        hidden.append((PAGE_FIELD, back))
    if proof := page_proofs.issue(office, form, client=client):
        hidden.append((page_proofs.FIELD, proof))
    if token := _token(office, form, typed, refusal):
        hidden.append((tokens.FIELD, token))
    return FormAgain(inputs=tuple(inputs), hidden=tuple(hidden), is_whole=typed.is_whole)


def texts(typed: Typed) -> list[tuple[str, str]]:
    """What was typed and fits on a page, to be read and copied."""
    shown = shown_names(name for name, _ in typed.fields)
    return [(name, value) for name, value in typed.fields if name in shown and value.strip()]


def _token(office: Office, form: Form, typed: Typed, refusal: Refusal) -> str:
    """The one that was sent, which says how long the visitor has been writing; a new one where that is not accepted."""
    sent = next((value for name, value in typed.fields if name == tokens.FIELD), "")
    if refusal.failure in _TOKEN_SPENT or (form.needs_token and not sent and refusal.status < _BROKEN):
        return tokens.issue(office, form)
    return sent


def _input(name: str, value: str, sentences: tuple[str, ...]) -> Input:
    plain = names.last_name(name)[0]
    is_long = len(value) > _LONGEST_LINE or "\n" in value or "\r" in value or plain in names.MESSAGE
    is_address = not is_long and plain in (*names.EMAIL, *names.REPLY_TO)
    return Input(name=name, value=value, is_address=is_address, is_long=is_long, sentences=sentences)
