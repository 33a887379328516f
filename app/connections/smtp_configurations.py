"""From an email connection to what the senders use. Used by `live`, through `registry`, and by `deployment`."""

from pathlib import Path

import structlog

from app.connections.charsets import codec_name
from app.connections.email_type import address_of_sender
from app.connections.javamail import (
    ACTING_PROPERTIES,
    TRUST_ALL,
    is_implicit_tls,
    properties_of,
    seconds_in,
)
from app.connections.rows import from_row
from app.connections.sealing import SealBroken, Sealer
from app.connections.types import public_fields
from app.model.connection import FIRST_SMTP_INDEX, Connection
from app.model.smtp import Account, Reach, Security, SMTPConfiguration
from app.settings.network import email_address
from app.settings.smtp import mechanisms_in
from app.storage import connections
from app.storage.database import Database

log = structlog.get_logger(__name__)

_DEFAULT_TIMEOUT_S = 10.0


def smtp_configuration(connection: Connection, *, reach: Reach) -> SMTPConfiguration:
    """What the senders use of a connection of type email whose fields are valid."""
    fields = public_fields(connection)
    properties = properties_of(fields)
    sender = email_address(address_of_sender(fields))
    address_to_test = fields["addressToTest"]
    trust = properties.get("mail.smtp.ssl.trust")
    account = Account(sender, fields["username"] or sender, fields["password"] if fields["auth"] else None)
    return SMTPConfiguration(
        index=connection.smtp_index,
        host=fields["host"],
        port=fields["port"],
        account=account,
        # Without an address to test there is nobody to send a test message to.
        test_account=account if address_to_test else None,
        test_email=sender,
        test_recipient=email_address(address_to_test) if address_to_test else None,
        description=connection.description or "",
        security=_security(fields, properties),
        timeout_s=seconds_in(properties.get("mail.smtp.timeout")) or _DEFAULT_TIMEOUT_S,
        connect_timeout_s=seconds_in(properties.get("mail.smtp.connectiontimeout")),
        local_hostname=properties.get("mail.smtp.localhost"),
        ca_file=str(Path(trust).expanduser()) if trust and trust != TRUST_ALL else None,
        is_certificate_checked=trust != TRUST_ALL,
        mechanisms=mechanisms_in(properties.get("mail.smtp.auth.mechanisms", "")),
        charset=codec_name(fields["defaultEncoding"]),
        reach=reach,
    )


def read_smtp_configurations(
    database: Database, sealer: Sealer, project_id: int, *, reach: Reach
) -> tuple[SMTPConfiguration, ...]:
    """A project's, oldest first. A connection that cannot be opened is left out: the others must not suffer from it."""
    found = []
    for row in database.read(lambda connection: connections.sendable(connection, project_id)):
        try:
            configuration = smtp_configuration(from_row(sealer, row), reach=reach)
        except SealBroken as error:
            log.error("connection is not used for sending", connection=row.name, project_id=project_id, cause=error)
            continue
        if not configuration.is_certificate_checked:
            log.warning("connection trusts any certificate", connection=row.name, project_id=project_id)
        found.append(configuration)
    return tuple(found)


def reason_not_sendable(database: Database, project_id: int, smtp_index: int) -> str:
    """Why no mail leaves through a connection that it could leave through once. Raises RecordUnavailable."""
    rows = database.read(lambda connection: connections.of_project(connection, project_id))
    row = next((row for row in rows if row.id == smtp_index - FIRST_SMTP_INDEX + 1), None)
    if row is None:
        return "the connection was deleted"
    if not row.enabled:
        return "the connection is disabled"
    if row.type != "email" or not row.deploy_to_worker:
        return "the connection is not deployed for sending"
    return "the connection cannot be decrypted: SECRET_KEY lacks the key that it was stored with"


def unused_properties(connection: Connection) -> list[str]:
    """The names in additionalProperties that are kept and change nothing."""
    return [name for name in properties_of(connection.fields) if name not in ACTING_PROPERTIES]


def _security(fields: dict[str, object], properties: dict[str, str]) -> Security:
    """As JavaMail does it: what asks for no encryption gets none, even where the server offers it."""
    if is_implicit_tls(fields, properties):
        return Security.TLS
    return Security.STARTTLS if fields["enableStartTls"] else Security.NONE
