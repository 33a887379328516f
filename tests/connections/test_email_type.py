"""The rules among the fields of an email connection: sender, encryption, host, JavaMail properties, charset."""

import os
from ipaddress import ip_network
from typing import Any

import pytest

from app.connections.charsets import charset_fault, codec_name
from app.connections.fields import Limits
from app.connections.types import public_fields
from app.model.smtp import Reach
from tests.connections.conftest import email_body, properties
from tests.connections.drafting import ANYWHERE, PUBLIC, draft, faults
from tests.smtp_server import authority


def test_without_from_the_username_is_the_sender_when_it_is_an_address() -> None:
    assert public_fields(draft(email_body()))["from"] is None
    assert list(faults(email_body(username="apikey"))) == ["from"]
    assert list(faults(email_body(auth=False, username=None, password=None))) == ["from"]
    assert public_fields(draft(email_body(username="apikey", **{"from": "a@example.com"})))["from"] == "a@example.com"


@pytest.mark.parametrize(
    "body",
    [
        email_body(port=465),
        email_body(additionalProperties=properties(mail__smtp__ssl__enable="true")),
        email_body(additionalProperties=properties(mail__smtp__ssl__enable=True)),
    ],
)
def test_starttls_and_implicit_tls_exclude_each_other(body: dict[str, Any]) -> None:
    assert "port 587" in faults(body)["enableStartTls"][0]
    assert draft(body | {"enableStartTls": False})


def test_port_465_without_implicit_tls_may_have_starttls() -> None:
    assert draft(email_body(port=465, additionalProperties=properties(mail__smtp__ssl__enable="false")))


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "::1", "10.1.2.3", "169.254.169.254", "::ffff:127.0.0.1", "fe80::1", "0.0.0.0", "fd00:ec2::254"],
)
def test_in_production_an_address_inside_is_refused_as_host(host: str) -> None:
    assert "may not connect to" in faults(email_body(host=host), limits=PUBLIC)["host"][0]
    assert draft(email_body(host=host), limits=ANYWHERE)


def test_an_allowed_network_may_be_a_host_in_production() -> None:
    limits = Limits(ports=(587,), reach=Reach(is_limited=True, allowed_networks=(ip_network("10.1.0.0/16"),)))
    assert draft(email_body(host="10.1.2.3"), limits=limits)
    assert list(faults(email_body(host="10.2.2.3"), limits=limits)) == ["host"]


@pytest.mark.parametrize("host", ["smtp.example.com", "localhost", "8.8.8.8", "2001:4860:4860::8888", "bücher.example"])
def test_hosts_that_are_taken(host: str) -> None:
    assert public_fields(draft(email_body(host=host)))["host"] == host


def test_values_of_additional_properties_become_texts() -> None:
    given = properties(a="x", b=5000, c=True, d=False, e=1.5)
    shown = public_fields(draft(email_body(additionalProperties=given)))["additionalProperties"]
    assert [each["value"] for each in shown] == ["x", "5000", "true", "false", "1.5"]


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        (["x"], "additionalProperties[0] entry must be an object"),
        ([{"name": "x"}], "additionalProperties[0] entry must be an object"),
        ([{"name": "x", "value": "y", "more": 1}], "additionalProperties[0] entry must be an object"),
        ([{"name": "", "value": "y"}], "additionalProperties[0] entry must be an object"),
        ([{"name": 5, "value": "y"}], "additionalProperties[0] entry must be an object"),
        ([{"name": "x", "value": None}], "additionalProperties[0] entry must have a string"),
        ([{"name": "x", "value": {}}], "additionalProperties[0] entry must have a string"),
        ([{"name": "x", "value": "a\r\nb"}], "additionalProperties[0] entry must not have control characters"),
        ([{"name": "x", "value": "a"}, {"name": "x", "value": "b"}], "additionalProperties[1] entry gives x a second"),
        (properties(mail__smtp__ssl__enable="yes"), "must have true or false as its value"),
        (properties(mail__smtp__timeout="10s"), "must have a number of milliseconds as its value"),
        (properties(mail__smtp__timeout=-1), "must have a number of milliseconds as its value"),
        (properties(mail__smtp__connectiontimeout=1.5), "must have a number of milliseconds as its value"),
        (properties(mail__smtp__localhost="mail example"), "must have a host name or an address literal"),
        (properties(mail__smtp__localhost="[300.1.1.1]"), "must have a host name or an address literal"),
        (properties(mail__smtp__localhost="[IPv6:1.2.3.4]"), "must have a host name or an address literal"),
        (properties(mail__smtp__ssl__trust="/etc/passwd"), "must have * or the absolute path of a readable file"),
        (properties(mail__smtp__ssl__trust="/no/such/file"), "must have * or the absolute path of a readable file"),
        (
            properties(mail__smtp__ssl__trust=os.path.relpath(authority().ca_file)),
            "must have * or the absolute path of a readable file",
        ),
        (properties(mail__smtp__ssl__trust="/" + "x" * 5000), "must have * or the absolute path of a readable file"),
        (
            properties(mail__smtp__auth__mechanisms="XOAUTH2 NTLM"),
            "must have a list with one of PLAIN, LOGIN, CRAM-MD5",
        ),
        (properties(mail__smtp__auth__mechanisms=""), "must have a list with one of PLAIN, LOGIN"),
        (properties(**{f"x{number}": "y" for number in range(101)}), "must have at most 100 entries"),
    ],
)
def test_a_wrong_additional_property_is_named(entries: list[Any], sentence: str) -> None:
    errors = faults(email_body(additionalProperties=entries))
    assert list(errors) == ["additionalProperties"]
    assert sentence in errors["additionalProperties"][0]


def test_every_wrong_additional_property_is_named() -> None:
    entries = properties(mail__smtp__ssl__enable="yes", mail__smtp__timeout="x", mail__smtp__localhost="localhost")
    assert len(faults(email_body(additionalProperties=entries))["additionalProperties"]) == 2


def test_every_acting_property_is_taken_with_a_right_value() -> None:
    entries = properties(
        mail__smtp__ssl__enable="FALSE",
        mail__smtp__connectiontimeout="3000",
        mail__smtp__timeout=3000,
        mail__smtp__localhost="[IPv6:2001:db8::1]",
        mail__smtp__ssl__trust=authority().ca_file,
        mail__smtp__auth__mechanisms="LOGIN,XOAUTH2",
    )
    assert draft(email_body(additionalProperties=entries))


@pytest.mark.parametrize("name", ["UTF-8", "utf8", "ISO-8859-9", "latin1", "windows-1254", "US-ASCII", "ISO-2022-JP"])
def test_charsets_of_mail_are_taken(name: str) -> None:
    assert charset_fault(name) is None
    "x".encode(codec_name(name))


@pytest.mark.parametrize(
    "name",
    [
        *("utf-16", "utf-32", "utf-7", "utf-8-sig", "cp037"),
        *("rot13", "base64", "hex", "zlib", "idna", "punycode", "unicode_escape", "raw_unicode_escape"),
        *("charmap", "undefined", "aliases", "no-such-charset", "../x", "UTF-8\0", "ü", " ", "x" * 1000),
    ],
)
def test_what_is_no_charset_for_mail_is_refused(name: str) -> None:
    assert charset_fault(name) is not None
