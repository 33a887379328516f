"""`{Email}`, `{Username}`, `{Message}` and `{key}` in a client's subject and body templates. Used by `rendering`.

A template is data and is read once, from left to right: what is put in is never looked at again. Names match in exact
case, as they are written between the braces; a custom field whose name holds a brace cannot be named. The built-in
names win over custom fields. Whatever names nothing stays as it was typed: `{7*7}`, `{Email.__class__}`, `%(Email)s`.
"""

import re
from collections import Counter
from collections.abc import Mapping
from html import escape

from app.model.email import EmailRequest

_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
_LINE_BREAK = re.compile(r"\r\n|\r|\n")


def text_values(request: EmailRequest) -> dict[str, str]:
    """What each placeholder stands for in plain text and in subjects."""
    return {
        **request.custom_fields,
        "Email": request.email,
        "Username": request.username,
        "Message": request.message,
    }


def html_values(request: EmailRequest) -> dict[str, str]:
    """What each placeholder stands for in an HTML body: everything escaped, then the message's line breaks as `<br>`.

    The quotes are escaped too, so a value stays inside an attribute of the template that is quoted.
    """
    values = {name: escape(value) for name, value in text_values(request).items()}
    values["Message"] = _LINE_BREAK.sub("<br>", values["Message"])
    return values


def substitute(template: str, values: Mapping[str, str]) -> str:
    """`template` with each placeholder that `values` knows filled, in one pass."""

    def fill(match: re.Match[str]) -> str:
        return values.get(match[1], match[0])

    return _PLACEHOLDER.sub(fill, template)


def substituted_size(template: str, values: Mapping[str, str]) -> int:
    """How many UTF-8 bytes `substitute` would return, counted without building them."""
    size = _utf8_size(template)
    for name, count in Counter(_PLACEHOLDER.findall(template)).items():
        value = values.get(name)
        if value is not None:
            size += count * (_utf8_size(value) - _utf8_size(name) - 2)
    return size


def _utf8_size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
