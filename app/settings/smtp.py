"""SMTP_CONFIGURATIONS and the passwords that belong to it -> `SMTPConfiguration`s, in their order."""

import difflib
import re
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from app.model.smtp import Account, Security, SMTPConfiguration
from app.settings import network
from app.settings.lenient_json import Pairs, Unreadable, read_objects
from app.settings.readers import choice, file_path, line, seconds, whole_number
from app.settings.reading import Reading, Unusable

NAME = "SMTP_CONFIGURATIONS"
_CA_FILE = "CAFile"
MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5")
"""What `smtp` can sign in with."""
EXAMPLE = '[{"Index":1,"Host":"smtp.example.com","Port":465,"Email":"info@example.com"}]'


def certificate_file(text: str, directory: Path) -> str:
    """A file of certificates in PEM, relative to the directory; tried here, because the first mail is too late."""
    path = directory / file_path(text)
    expected = "a readable file with certificates in PEM"
    if not path.is_file():
        raise Unusable(expected)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except OSError as error:  # an SSLError is one
        raise Unusable(expected) from error
    return str(path)


def mechanisms_in(text: str) -> tuple[str, ...]:
    """The names of a list that is separated by spaces or commas, in capitals."""
    return tuple(re.findall(r"[^\s,]+", text.upper()))


def auth_mechanisms(text: str) -> tuple[str, ...]:
    """The ways to sign in that may be used, in their order."""
    names = mechanisms_in(text)
    if not names or not set(names) <= set(MECHANISMS):
        raise Unusable(f"a list of {', '.join(MECHANISMS)}, the best first")
    return tuple(dict.fromkeys(names))


@dataclass(frozen=True, slots=True)
class Property:
    """One property of a configuration. Names are matched without case."""

    name: str
    read: Callable[[str], object]
    example: str
    is_required: bool = False


PROPERTIES = (
    Property("Index", whole_number(0, 999), "1", is_required=True),
    Property("Host", network.host, '"smtp.example.com"', is_required=True),
    Property("Port", whole_number(1, 65535), "465", is_required=True),
    Property("Email", network.email_address, '"info@example.com"', is_required=True),
    Property("TestEmail", network.email_address, '"test@example.com"'),
    Property("Description", line(500), '"The main account"'),
    Property("Username", line(500), '"info@example.com"'),
    Property("Security", choice(*Security, synonyms={"ssl": "tls", "smtps": "tls", "plain": "none"}), '"auto"'),
    Property("Auth", choice("password", "none"), '"password"'),
    Property("Timeout", seconds(0.1, 300), "10"),
    Property("MaxConnections", whole_number(1, 1000), "20"),
    Property("EhloName", network.ehlo_name, '"www.example.com"'),
    Property("AuthMechanisms", auth_mechanisms, '["LOGIN","PLAIN"]'),
    Property(_CA_FILE, file_path, '"/etc/ssl/certs/company.pem"'),
)
_SWALLOWED = re.compile(r"""["']\s*[:,]\s*["']""")
_BY_NAME = {known.name.lower(): known for known in PROPERTIES}
_PASSWORD_NAMES = ("password", "passwordtest", "password_test", "testpassword", "pass", "passwd", "pwd", "secret")


def read_smtp_configurations(reading: Reading) -> tuple[SMTPConfiguration, ...]:
    """Notes every problem in `reading`; what is returned is complete only when there is none."""
    text = reading.text(NAME)
    if not text:
        return ()
    try:
        entries = read_objects(text, known_names=_BY_NAME)
    except Unreadable as error:
        reading.refuse(NAME, found=error.found, expected=error.expected, remedy=f"A whole one is {EXAMPLE}.")
        return ()
    if not entries:
        remedy = f"Write for example {EXAMPLE}, or leave the variable out."
        reading.refuse(NAME, found="an empty array", expected="at least one configuration", remedy=remedy)
    read = [_read_entry(reading, number, pairs) for number, pairs in enumerate(entries, 1)]
    for index, count in Counter(values["Index"] for values in read if "Index" in values).items():
        if count > 1:
            remedy = "Give each configuration an Index of its own."
            reading.refuse(NAME, found=f"Index {index} {count} times", expected="each Index once", remedy=remedy)
    passwords = [_read_passwords(reading, values) for values in read]
    if reading.problems:
        return ()
    return tuple(_configuration(*parts) for parts in zip(read, passwords, strict=True))


def _read_entry(reading: Reading, number: int, pairs: Pairs) -> dict[str, Any]:
    """The values by property name; one that is missing or cannot be used is left out, with its problem noted."""
    values: dict[str, Any] = {}
    seen: set[str] = set()
    for name, text in pairs:
        known = _BY_NAME.get(name.lower())
        if known is None:
            _refuse_unknown(reading, number, name, pairs)
            continue
        if not text.strip():
            continue  # null and an empty text leave the default
        label = f"{NAME}, entry {number}, {known.name}"
        if known.name in seen:
            reading.refuse(label, found="it twice", expected="each property once", remedy="Remove one of them.")
        seen.add(known.name)
        read = partial(certificate_file, directory=reading.directory) if known.name == _CA_FILE else known.read
        if _SWALLOWED.search(text):
            read = _refuse_swallowed
        value = reading.value(label, text.strip(), read, example=f'"{known.name}":{known.example}')
        if value is not None:
            values[known.name] = value
    for known in PROPERTIES:
        if known.is_required and known.name not in seen:
            remedy = f'Write for example "{known.name}":{known.example}.'
            reading.refuse(f"{NAME}, entry {number}, {known.name}", found="nothing", expected="a value", remedy=remedy)
    return values


def _refuse_swallowed(_text: str) -> object:
    # A description that has swallowed a password would be shown to everybody.
    raise Unusable(
        "the value of one property", found="a text that goes on into the next property, by a misplaced quote"
    )


def _refuse_unknown(reading: Reading, number: int, name: str, pairs: Pairs) -> None:
    lowered = name.lower()
    label = f"{NAME}, entry {number}"
    meant = difflib.get_close_matches(lowered, [*_BY_NAME, *_PASSWORD_NAMES], n=1, cutoff=0.7)
    # What is no plain word may be a piece of a password with a quote in it.
    found = f"the property {name!r}" if name.isidentifier() and len(name) <= 40 else "a property without a plain name"
    if meant and meant[0] in _PASSWORD_NAMES:
        index = next((text for known, text in pairs if known.lower() == "index" and text.isdecimal()), "{Index}")
        remedy = f"Move the password to SMTP_{index}_PASSWORD (of TestEmail: SMTP_{index}_PASSWORD_TEST)."
        reading.refuse(label, found=found, expected="no password in this variable", remedy=remedy)
        return
    names = ", ".join(known.name for known in PROPERTIES)
    remedy = f"Did you mean {_BY_NAME[meant[0]].name}?" if meant else "Remove it."
    reading.refuse(label, found=found, expected=f"only {names}", remedy=remedy)


def _read_passwords(reading: Reading, values: dict[str, Any]) -> tuple[str, str]:
    if "Index" not in values:
        return "", ""
    index = values["Index"]
    name, test_name = f"SMTP_{index}_PASSWORD", f"SMTP_{index}_PASSWORD_TEST"
    password, test_password = reading.text(name), reading.text(test_name)
    needs_password = values.get("Auth", "password") == "password"
    if needs_password and not password:
        remedy = f'Set it, or write "Auth":"none" in the configuration with Index {index} if its server asks for none.'
        reading.refuse(name, found="nothing", expected="the password of that SMTP configuration", remedy=remedy)
    if not needs_password and (password or test_password):
        reading.warn(f'{name} is not used, because the configuration with Index {index} says "Auth":"none".')
    if test_password and "TestEmail" not in values:
        reading.warn(f"{test_name} is not used, because the configuration with Index {index} has no TestEmail.")
    for variable, text in ((name, password), (test_name, test_password)):
        if text != text.strip() or (len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"):
            reading.warn(f"{variable} stands in quotes or white space. They are taken as part of the password.")
    return password, test_password


def _configuration(values: dict[str, Any], passwords: tuple[str, str]) -> SMTPConfiguration:
    password, test_password = passwords
    signs_in = values.get("Auth", "password") == "password"
    # A user name that is not an address, such as "apikey", holds for both accounts.
    username = values.get("Username") if values.get("Username") != values["Email"] else None
    test_email = values.get("TestEmail", "")
    has_test_account = test_email and (test_password or not signs_in)
    optional = {
        "timeout_s": "Timeout",
        "max_connections": "MaxConnections",
        "ca_file": _CA_FILE,
        "local_hostname": "EhloName",
        "mechanisms": "AuthMechanisms",
    }
    return SMTPConfiguration(
        index=values["Index"],
        host=values["Host"],
        port=values["Port"],
        account=Account(values["Email"], username or values["Email"], password if signs_in else None),
        test_account=Account(test_email, username or test_email, test_password if signs_in else None)
        if has_test_account
        else None,
        test_email=test_email,
        description=values.get("Description", ""),
        security=Security(values.get("Security", Security.AUTO)),
        **{field: values[name] for field, name in optional.items() if name in values},
    )
