"""From an HTTP request to a `Submission`: what arrives is bounded, and refused as a whole or not at all."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from time import monotonic

from flask import Request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from app.errors import Overloaded, SubmissionInvalid
from app.forms.recognition import recognise
from app.forms.submission import Submission
from app.intake.bodies import LONGEST_VALUE, Contents, File, contents_of
from app.messages.attachments import attachment_faults, attachment_of
from app.model.attachment import Attachment
from app.model.form import Fault, Form
from app.settings import MessageLimits
from app.web.body_reads import read_body
from app.web.media_types import media_type

LONGEST_NAME = 200

_MOST_GIVEN_BACK = 1024 * 1024
_ROOM_ON_A_PAGE = 32 * 1024
_MARKUP = 200
"""Octets around one field of a page that gives back what was typed; a page has some 2,000 beside them."""

_MOST_DRAINED = 64 * 1024 * 1024
_LONGEST_DRAINING_S = 20.0
_BLOCK = 64 * 1024

_NOT_IN_FILE_NAMES = str.maketrans(dict.fromkeys('"<>|:*?;', "_"))
"""They mean something on some machine, and are nothing that a visitor should have to think of."""


@dataclass(frozen=True, slots=True)
class Typed:
    """What the visitor filled in, for a page that gives it back; `file_fields` are the names of file inputs.

    `is_whole`: nothing was left out, because it would make the page far larger than what was sent.
    """

    fields: tuple[tuple[str, str], ...] = ()
    file_fields: frozenset[str] = frozenset()
    is_whole: bool = True


def read_contents(request: Request) -> Contents:
    """The fields and files of the body, not judged yet.

    Raises SubmissionInvalid for what cannot be read or is made of too many pieces, RequestEntityTooLarge for more than
    the service takes, and UnsupportedMediaType.
    """
    try:
        body = read_body(request)
    except RequestEntityTooLarge:
        _drain(request)
        raise
    return replace(contents_of(body, request.mimetype, request.mimetype_params), length=len(body))


def typed(contents: Contents) -> Typed:
    """Without the names of files, which a page cannot choose for its visitor.

    Nothing, where a name is none that a page's author wrote: each stands in the page several times, escaped.
    """
    if any(len(name) > LONGEST_NAME for name, _ in contents.fields):
        return Typed()
    file_fields = frozenset(file.name for file in contents.files)
    room = min(2 * contents.length, _MOST_GIVEN_BACK) + _ROOM_ON_A_PAGE
    fields: list[tuple[str, str]] = []
    is_whole = True
    for name, value in contents.fields:
        if name in file_fields:
            continue
        size = _MARKUP + 3 * _size_on_a_page(name) + _size_on_a_page(value)
        if size > room:
            is_whole = False
            continue
        room -= size
        fields.append((name, value))
    return Typed(tuple(fields), file_fields, is_whole)


def _size_on_a_page(text: str) -> int:
    """Octets of UTF-8, with the characters escaped that HTML has a meaning for."""
    return len(text.encode()) + sum(4 * text.count(character) for character in "&<>\"'")


def submission_of(contents: Contents, form: Form, limits: MessageLimits) -> Submission:
    """The contents as they may go into a message; raises SubmissionInvalid with everything that may not."""
    errors: dict[str, Sequence[Fault]] = {}
    for name, value in contents.fields:
        if len(name) > LONGEST_NAME or len(value) > LONGEST_VALUE:
            errors[name] = [Fault.TOO_LONG]
    if contents.files and not form.accepts_files:
        errors |= {file.name: [Fault.FILES_NOT_ACCEPTED] for file in contents.files}
    elif len(contents.files) > limits.attachments:
        errors[contents.files[-1].name] = [Fault.TOO_MANY_FILES]
    else:
        for file in contents.files:
            if (fault := _file_fault(file, limits)) is not None:
                errors[file.name] = (*errors.get(file.name, ()), fault)
    if errors:
        raise SubmissionInvalid(_faults_of_fields(contents, form) | errors)
    return Submission(fields=contents.fields, files=tuple(map(_attachment, contents.files)))


def _faults_of_fields(contents: Contents, form: Form) -> dict[str, Sequence[Fault]]:
    """What would be found wrong next, so that the visitor is told all of it at once."""
    try:
        recognise(Submission(fields=contents.fields), form)
    except SubmissionInvalid as error:
        return dict(error.errors)
    return {}


def _drain(request: Request) -> None:
    """Take in what the browser is still sending, within a bound: it looks for an answer only after that.

    The server closes the connection on what nobody read, and then the browser shows a broken connection instead.
    """
    if (request.content_length or 0) > _MOST_DRAINED:
        return
    stream, until_s, drained = request.environ["wsgi.input"], monotonic() + _LONGEST_DRAINING_S, 0
    # The browser may have gone away; there is nobody left to answer then.
    with suppress(OSError, HTTPException, Overloaded):
        while drained <= _MOST_DRAINED and monotonic() < until_s and (block := stream.read(_BLOCK)):
            drained += len(block)


def _file_fault(file: File, limits: MessageLimits) -> Fault | None:
    name = _file_name(file)
    if _name_faults(name, replace(limits, denied_extensions=frozenset())):
        return Fault.FILE_NAME_REFUSED
    return Fault.FILE_TYPE_REFUSED if _name_faults(name, limits) else None


def _name_faults(name: str, limits: MessageLimits) -> Mapping[str, str]:
    return attachment_faults(file_name=name, base64_content=None, content_type=None, limits=limits)


def _file_name(file: File) -> str:
    """The last part of what some browsers send as a path."""
    return file.file_name.replace("\\", "/").rpartition("/")[2].translate(_NOT_IN_FILE_NAMES)


def _attachment(file: File) -> Attachment:
    base64_content = b64encode(file.content).decode("ascii")
    name = _file_name(file)
    return attachment_of(
        file_name=name, base64_content=base64_content, content_type=_readable_type(file.content_type or "")
    )


def _readable_type(content_type: str) -> str | None:
    """What a browser makes of a file that it does not know is not the visitor's fault; its parameters may be odd."""
    for readable in (content_type, media_type(content_type)):
        if not attachment_faults(file_name=None, base64_content=None, content_type=readable, limits=MessageLimits()):
            return readable
    return None
