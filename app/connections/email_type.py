"""The connection type `email`, a row of `types`: its fields, and the rules among them (connections-api, section 2)."""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from app.connections.charsets import charset_fault
from app.connections.fields import ConnectionType, Field, Fields, Limits, port_field
from app.connections.javamail import ACTING_PROPERTIES, as_text, is_implicit_tls, properties_of, property_faults
from app.settings import network
from app.settings.reading import Unusable
from app.smtp.reach import may_reach

_DEFAULT_PORT = 587
_NUMBER_AT_THE_END = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?")


def address_of_sender(fields: Fields) -> str:
    """The address that mail through it is from."""
    sender: str = fields.get("from") or fields["username"]
    return sender


def _tidy(fields: Fields) -> dict[str, Any]:
    """Without empty texts, which mean the same as none; the values of additionalProperties as texts."""
    tidy = {name: value for name, value in fields.items() if value != ""}
    if "additionalProperties" in tidy:
        tidy["additionalProperties"] = [
            {"name": each["name"], "value": as_text(each["value"])} for each in tidy["additionalProperties"]
        ]
    return tidy


def _faults(fields: Fields, limits: Limits) -> Iterator[tuple[str, str]]:
    """What is wrong among fields that have the right JSON types; one that has not is not there, but for its name."""
    given = {name: value for name, value in fields.items() if value not in (None, "")}
    if "host" in given and (sentence := _host_fault(given["host"], limits)):
        yield "host", sentence
    if given.get("port", _DEFAULT_PORT) not in limits.ports:
        yield "port", f"The port field must be one of {', '.join(map(str, limits.ports))} on this service."
    if given.get("auth"):
        for name in ("username", "password"):
            if not str(given.get(name, "")).strip():
                yield name, f"The {name} field is required when auth is true."
    for name in ("addressToTest", "from"):
        if name in given and not _is_address(given[name]):
            yield name, f"The {name} field must be an e-mail address such as info@example.com."
    if "from" not in given and not _is_address(given.get("username", "")):
        yield "from", "The from field is required when username is not an e-mail address: mail needs a sender."
    if "defaultEncoding" in given and (sentence := charset_fault(given["defaultEncoding"])):
        yield "defaultEncoding", sentence
    properties = list(property_faults(given.get("additionalProperties", [])))
    yield from (("additionalProperties", sentence) for sentence in properties)
    if not properties and given.get("enableStartTls") and is_implicit_tls(given, properties_of(_tidy(given))):
        yield (
            "enableStartTls",
            "The enableStartTls field must be false when TLS comes first (port 465 or mail.smtp.ssl.enable). "
            "Set it to false, or use port 587 without mail.smtp.ssl.enable.",
        )


def _host_fault(host: str, limits: Limits) -> str | None:
    expected = "The host field must be a host name or an IP address, without a scheme, port or path."
    try:
        network.host(host)
    except Unusable:
        return expected
    try:
        ip_address(host)
    except ValueError:
        # Resolvers read 2130706433 and 0x7f.1 as addresses, people do not.
        return expected if _NUMBER_AT_THE_END.fullmatch(host) else None
    if not may_reach(host, limits.reach):
        return "The host field must not be an address that this service may not connect to."
    return None


def _is_address(text: str) -> bool:
    try:
        network.email_address(text)
    except Unusable:
        return False
    return True


EMAIL = ConnectionType(
    name="email",
    description="An SMTP server that mail is sent through.",
    is_open=False,
    faults=_faults,
    tidy=_tidy,
    fields=(
        Field(
            name="host",
            type="string",
            description="The host name of the SMTP server, or its IP address.",
            is_required=True,
            example="smtp.example.com",
        ),
        port_field(
            default=_DEFAULT_PORT, example=587, description="The port of the SMTP server; 465 means TLS from the start."
        ),
        Field(
            name="username",
            type="string",
            description="Who signs in; required when auth is true.",
            example="notifications@example.com",
        ),
        Field(
            name="password",
            type="string",
            format="password",
            description="The password to sign in with; required when auth is true. A secret.",
            example="YOUR_PASSWORD",
        ),
        Field(
            name="enableStartTls",
            type="boolean",
            default=False,
            description="Whether STARTTLS is required. Without it and without implicit TLS nothing is encrypted.",
            example=True,
        ),
        Field(name="auth", type="boolean", default=False, description="Whether to sign in.", example=True),
        Field(
            name="defaultEncoding",
            type="string",
            default="UTF-8",
            description="The charset of the text parts, where the text fits it; else they are in UTF-8.",
            example="UTF-8",
        ),
        Field(
            name="addressToTest",
            type="string",
            format="email",
            description="Who receives test messages through this connection.",
            example="test@example.com",
        ),
        Field(
            name="from",
            type="string",
            format="email",
            description="The sender's address; without it username, which must then be an address.",
            example="notifications@example.com",
        ),
        Field(
            name="additionalProperties",
            type="array",
            default=(),
            description="JavaMail properties as name and value. These act: "
            + ", ".join(ACTING_PROPERTIES)
            + ". Others are kept and named in the deployment message.",
            example=[{"name": "mail.smtp.timeout", "value": "10000"}],
        ),
    ),
    example={
        "type": "email",
        "name": "my-email-connection",
        "description": "Email connection for notifications",
        "deployToWorker": True,
        "enabled": True,
        "host": "smtp.example.com",
        "port": 587,
        "username": "notifications@example.com",
        "password": "YOUR_PASSWORD",
        "enableStartTls": True,
        "auth": True,
        "defaultEncoding": "UTF-8",
        "addressToTest": "test@example.com",
        "from": "notifications@example.com",
        "additionalProperties": [],
    },
)
