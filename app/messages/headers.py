"""Header fields (RFC 5322) that no value can break out of. Used by `messages.compose` and `messages.mime`.

Every value is cleaned, then encoded once, and never parsed again: the rule of `message-safety`. A function here returns
a whole field or parameter with its line ends, folded at 78 columns where it can be folded at all.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from urllib.parse import quote

import idna

from app.messages.encoded_words import encoded_words
from app.model.email import Priority

LONGEST_LINE = 78
_LONGEST_LINE_AT_ALL = 998
_LAST_COLUMN_FOR_WORDS = 40

_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0, DEL, C1 (NEL among them)
    "\u2028\u2029"  # line and paragraph separator
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidi controls
    "\ud800-\udfff]"  # lone surrogates
)

_ATOM = r"[^\x00-\x20\x7f-\xa0()<>\[\]:;@\\,.\"\s]+"
_DOMAIN_LABEL = r"[^\x00-,./:-@\[-`{-\xa0\s]+"
_ADDRESS = re.compile(rf"({_ATOM}(?:\.{_ATOM})*)@({_DOMAIN_LABEL}(?:\.{_DOMAIN_LABEL})*)")

_SPACES_AND_WORD = re.compile(" +[^ ]+")

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

PRIORITY_FIELDS = {
    Priority.LOW: "X-Priority: 5\r\nImportance: low\r\n",
    Priority.NORMAL: "",
    Priority.HIGH: "X-Priority: 2\r\nImportance: high\r\n",
    Priority.URGENT: "X-Priority: 1\r\nImportance: high\r\nX-MSMail-Priority: High\r\nPriority: urgent\r\n",
}
"""The fields that mail clients act on, for each priority (spec: email-api, section 3)."""


def cleaned(value: str) -> str:
    """`value` as it may stand in a header: line breaks, controls, bidi controls and lone surrogates become spaces.

    `=?` becomes `= ?`, so nothing in it reads as an encoded word; this comes last, because a control that becomes a
    space cannot bring the two together, and no later step takes anything away.
    """
    # Nothing printable is unsafe, so most values are done after one look.
    if not value.isprintable():
        value = _UNSAFE.sub(" ", value)
    return value.replace("=?", "= ?") if "=?" in value else value


def unstructured_field(name: str, value: str) -> str:
    """One field of free text, such as Subject, from a value that is cleaned here."""
    value = cleaned(value).strip()
    if value.isascii():
        if len(name) + 2 + len(value) <= LONGEST_LINE:
            return f"{name}: {value}\r\n"
        # Folding must not leave a line of white space alone, so only single spaces are folded at.
        if "  " not in value and max(map(len, value.split(" "))) <= LONGEST_LINE - len(name) - 2:
            return f"{name}: {_folded_at_spaces(value, len(name) + 2)}\r\n"
    if len(name) + 2 > _LAST_COLUMN_FOR_WORDS:
        return f"{name}:\r\n {encoded_words(value, column=1)}\r\n"
    return f"{name}: {encoded_words(value, column=len(name) + 2)}\r\n"


def structured_field(name: str, value: str) -> str:
    """One field whose value means something to mail programs, such as References: as given, folded at its spaces.

    Raises ValueError for what is not printable ASCII, for `=?`, and for what `breaks_line_limit`.
    """
    value = value.strip()
    if not value or not value.isascii() or cleaned(value) != value or breaks_line_limit(value):
        raise ValueError("not a value that can stand in a header as it is")
    return _folded(name, _SPACES_AND_WORD.findall(" " + value))


def breaks_line_limit(value: str) -> bool:
    """Whether `value` has a stretch without a space to fold at that no line can hold (RFC 5322 section 2.1.1)."""
    return any(len(stretch) > _LONGEST_LINE_AT_ALL for stretch in _SPACES_AND_WORD.findall(" " + value.strip()))


def address_list_field(name: str, addresses: Sequence[str]) -> str:
    """One field with an address or more, such as To, folded behind the commas.

    Addresses are written as `address_field` writes them. Raises ValueError for what is none, and for no address at all.
    """
    if len(addresses) == 1:
        return address_field(name, addresses[0])
    if not addresses:
        raise ValueError("no address for a field that needs one")
    *others, last = map(ascii_address, addresses)
    return _folded(name, [*(f" {address}," for address in others), f" {last}"])


def address_field(name: str, address: str, display_name: str = "") -> str:
    """One field with exactly one address, such as Reply-To.

    The display name is quoted or encoded before anything is folded. A domain in any script becomes punycode; an address
    that still is not ASCII stays as it is, and the message then needs SMTPUTF8. Raises ValueError for what is no
    `dot-atom@domain`: the request's validation has refused it long before.
    """
    address = ascii_address(address)
    display_name = cleaned(display_name).strip()
    if not display_name:
        return f"{name}: {address}\r\n"
    column = len(name) + 2
    escaped = display_name.replace("\\", "\\\\").replace('"', '\\"')
    if escaped.isascii() and column + len(escaped) + 2 <= LONGEST_LINE:
        phrase = f'"{escaped}"'
    else:
        phrase = encoded_words(display_name, column=column)
    last_line = column + len(phrase) if "\r\n" not in phrase else len(phrase) - phrase.rindex("\n") - 1
    gap = " " if last_line + len(address) + 3 <= LONGEST_LINE else "\r\n "
    return f"{name}: {phrase}{gap}<{address}>\r\n"


@lru_cache(maxsize=4096)
def ascii_address(address: str) -> str:
    """`address` with its domain in ASCII (RFC 5891, UTS 46). Raises ValueError for what is no `dot-atom@domain`."""
    match = _ADDRESS.fullmatch(address)
    if match is None or len(address) > 254 or cleaned(address) != address:
        raise ValueError("not an address that can stand in a header")
    local_part, domain = match.groups()
    return f"{local_part}@{ascii_domain(domain)}"


@lru_cache(maxsize=4096)
def ascii_domain(domain: str) -> str:
    """`domain` in ASCII; as it is when IDNA does not know it. Raises ValueError for what is no domain."""
    if domain.isascii():
        return domain
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise ValueError("not a domain that can be written in ASCII") from error


def parameter(name: str, value: str) -> str:
    """One parameter of Content-Type or Content-Disposition on a line of its own, with the `;` that goes before it.

    A short ASCII value is a quoted string; any other is percent-encoded UTF-8, continued over lines where it is long
    (RFC 2231 sections 3 and 4), which is what current mail clients read.
    """
    value = cleaned(value)
    if value.isascii() and '"' not in value and "\\" not in value and len(name) + len(value) + 5 <= LONGEST_LINE:
        return f';\r\n {name}="{value}"'
    characters = [quote(character, safe="!#$&+-.^_`|~") for character in value]
    encoded = "".join(characters)
    if len(name) + len(encoded) + len(" *=utf-8'';") <= LONGEST_LINE:
        return f";\r\n {name}*=utf-8''{encoded}"
    return _continued(name, characters)


def date_field(moment: datetime) -> str:
    """`moment`, which is in UTC, as Date (RFC 5322 section 3.3); English whatever the machine's locale is."""
    return (
        f"Date: {_DAYS[moment.weekday()]}, {moment.day:02} {_MONTHS[moment.month - 1]} {moment.year}"
        f" {moment.hour:02}:{moment.minute:02}:{moment.second:02} +0000\r\n"
    )


def _folded(name: str, stretches: Sequence[str]) -> str:
    """The field with its value in `stretches`, which begin with a space and hold no other place to fold at."""
    lines = [f"{name}:"]
    for stretch in stretches:
        if len(lines[-1]) + len(stretch) <= LONGEST_LINE:
            lines[-1] += stretch
        else:
            lines.append(stretch)
    return "\r\n".join(lines) + "\r\n"


def _folded_at_spaces(value: str, column: int) -> str:
    lines = []
    start = 0
    room = LONGEST_LINE - column
    while len(value) - start > room:
        # No word is longer than the room, so there is a space to find.
        space = value.rindex(" ", start + 1, start + room + 1)
        lines.append(value[start:space])
        start = space
        room = LONGEST_LINE
    lines.append(value[start:])
    return "\r\n".join(lines)


def _continued(name: str, characters: list[str]) -> str:
    sections = []
    section = f"{name}*0*=utf-8''"
    for character in characters:
        # One column for the leading space, one for the `;` of the next section.
        if len(section) + len(character) + 2 > LONGEST_LINE:
            sections.append(section)
            section = f"{name}*{len(sections)}*="
        section += character
    sections.append(section)
    return "".join(f";\r\n {section}" for section in sections)
