"""What the senders make of an email connection, field by field and property by property."""

from ipaddress import ip_network
from typing import Any

import pytest
import structlog

from app.connections import manage
from app.connections.drafts import draft_of
from app.connections.fields import Limits
from app.connections.registry import Registry
from app.connections.smtp_configurations import read_smtp_configurations, smtp_configuration, unused_properties
from app.model.access import Caller
from app.model.connection import Connection
from app.model.smtp import Account, Reach, Security, SMTPConfiguration
from app.settings import Settings
from app.storage import connections
from tests.connections.conftest import OpenRegistry, email_body, make_caller, properties
from tests.smtp_server import authority

LIMITS = Limits(ports=(25, 465, 587, 2525), reach=Reach())


def connection(**fields: Any) -> Connection:
    return draft_of(email_body(**fields), project_id=1, path_name="my-email-connection", limits=LIMITS)


def configuration(**fields: Any) -> SMTPConfiguration:
    return smtp_configuration(connection(**fields), reach=Reach())


def test_every_field_has_its_place() -> None:
    account = Account("noreply@example.com", "notifications@example.com", "app-password")
    fields = {"from": "noreply@example.com", "addressToTest": "test@example.com", "defaultEncoding": "ISO-8859-9"}
    reach = Reach(is_limited=True, allowed_networks=(ip_network("10.0.0.0/8"),))
    assert smtp_configuration(connection(**fields), reach=reach) == SMTPConfiguration(
        index=999,
        host="smtp.example.com",
        port=587,
        account=account,
        test_account=account,
        test_email="noreply@example.com",
        test_recipient="test@example.com",
        description="Email connection for sending notifications",
        security=Security.STARTTLS,
        charset="iso8859-9",
        reach=reach,
    )


def test_the_username_is_the_sender_where_no_other_is_given() -> None:
    assert configuration().account.address == "notifications@example.com"


def test_addresses_are_in_the_form_that_servers_take() -> None:
    found = configuration(**{"from": "info@bücher.example", "addressToTest": "Test@BÜCHER.example"})
    assert found.account.address == "info@xn--bcher-kva.example"
    assert found.test_recipient == "Test@xn--bcher-kva.example"


def test_without_auth_nobody_signs_in() -> None:
    assert configuration(auth=False).account.password is None
    assert configuration(auth=False).account.address == "notifications@example.com"


def test_without_an_address_to_test_there_are_no_test_messages() -> None:
    assert configuration().account_for(is_test=True) is None
    assert configuration().test_recipient is None


@pytest.mark.parametrize(
    ("fields", "security"),
    [
        ({"enableStartTls": True}, Security.STARTTLS),
        ({"enableStartTls": True, "port": 25}, Security.STARTTLS),
        ({"enableStartTls": False}, Security.NONE),
        ({"enableStartTls": False, "port": 25}, Security.NONE),
        ({"enableStartTls": False, "port": 465}, Security.TLS),
        ({"enableStartTls": False, "additionalProperties": properties(mail__smtp__ssl__enable="True")}, Security.TLS),
        ({"enableStartTls": False, "port": 465, "additionalProperties": properties(mail__smtp__ssl__enable=False)},
         Security.NONE),
    ],
)  # fmt: skip
def test_security_is_what_was_asked_for_and_never_a_guess(fields: dict[str, Any], security: Security) -> None:
    assert configuration(**fields).security is security


@pytest.mark.parametrize(
    ("milliseconds", "seconds"),
    [("5000", 5.0), (5000, 5.0), ("250", 0.25), ("1", 0.1), ("0", 60.0), ("60000", 60.0), ("999999999", 60.0)],
)
def test_timeouts_are_in_milliseconds_and_bounded(milliseconds: str | int, seconds: float) -> None:
    found = configuration(additionalProperties=properties(mail__smtp__timeout=milliseconds))
    assert (found.timeout_s, found.connect_timeout_s) == (seconds, None)
    found = configuration(additionalProperties=properties(mail__smtp__connectiontimeout=milliseconds))
    assert (found.timeout_s, found.connect_timeout_s) == (10.0, seconds)


def test_the_other_properties_act() -> None:
    found = configuration(
        additionalProperties=properties(
            mail__smtp__localhost="client.example.com",
            mail__smtp__ssl__trust=authority().ca_file,
            mail__smtp__auth__mechanisms="login, PLAIN  xoauth2",
        )
    )
    assert found.local_hostname == "client.example.com"
    assert (found.ca_file, found.is_certificate_checked) == (authority().ca_file, True)
    assert found.mechanisms == ("LOGIN", "PLAIN", "XOAUTH2")


def test_a_star_means_that_no_certificate_is_checked() -> None:
    found = configuration(additionalProperties=properties(mail__smtp__ssl__trust="*"))
    assert (found.ca_file, found.is_certificate_checked) == (None, False)


def test_properties_that_do_not_act_are_named_as_they_were_given() -> None:
    entries = properties(mail__smtp__timeout=1, mail__debug="true", mail__smtp__SSL__enable="true")
    assert unused_properties(connection(additionalProperties=entries)) == ["mail.debug", "mail.smtp.SSL.enable"]
    assert unused_properties(connection()) == []


def read(registry: Registry, caller: Caller) -> tuple[SMTPConfiguration, ...]:
    reach = registry.settings.connection_reach
    return read_smtp_configurations(registry.database, registry.sealer, caller.project_id, reach=reach)


def test_only_enabled_deployed_email_connections_are_read_oldest_first(registry: Registry, caller: Caller) -> None:
    bodies: list[dict[str, Any]] = [
        email_body(name="z-first"),
        email_body(name="disabled", enabled=False),
        email_body(name="kept", deployToWorker=False),
        {"type": "kafka", "name": "kafka"},
        email_body(name="a-last"),
    ]
    created = [manage.create_connection(registry, caller, body["name"], body) for body in bodies]
    manage.create_connection(registry, make_caller(registry, "Other"), "other", email_body(name="other"))
    assert [found.index for found in read(registry, caller)] == [created[0].smtp_index, created[4].smtp_index]
    assert [each.is_sendable for each in created] == [True, False, False, False, True]


def test_a_row_that_cannot_be_opened_is_logged_and_stops_no_other(registry: Registry, caller: Caller) -> None:
    for name in ("good", "altered"):
        manage.create_connection(registry, caller, name, email_body(name=name))
    row = registry.database.read(lambda transaction: connections.find(transaction, caller.project_id, "altered"))
    assert row is not None
    broken = row.sealed[:-8] + "AAAAAAA="
    registry.database.write(lambda each: connections.reseal(each, row.id, old=row.sealed, new=broken))
    with structlog.testing.capture_logs() as logs:
        (found,) = read(registry, caller)
    assert found.index != row.id + 999
    (entry,) = logs
    assert (entry["log_level"], entry["connection"]) == ("error", "altered")


def test_trusting_any_certificate_is_logged(registry: Registry, caller: Caller) -> None:
    body = email_body(name="mail", additionalProperties=properties(mail__smtp__ssl__trust="*"))
    manage.create_connection(registry, caller, "mail", body)
    with structlog.testing.capture_logs() as logs:
        read(registry, caller)
    assert [(entry["log_level"], entry["connection"]) for entry in logs] == [("warning", "mail")]


def test_in_production_a_connection_reaches_only_public_addresses_and_allowed_networks(
    open_registry: OpenRegistry,
) -> None:
    network = ip_network("10.1.0.0/16")
    registry = open_registry(environment="production", connection_allowed_networks=(network,))
    caller = make_caller(registry, "MyProject")
    manage.create_connection(registry, caller, "mail", email_body(name="mail"))
    assert read(registry, caller)[0].reach == Reach(is_limited=True, allowed_networks=(network,))
    assert Settings().connection_reach == Reach()
