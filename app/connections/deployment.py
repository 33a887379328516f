"""Deploying a connection: whether the senders can use it, said to its owner. Used by `/apiops` after each change."""

import structlog

from app.connections.examination import sign_in_fault
from app.connections.registry import Registry
from app.connections.smtp_configurations import smtp_configuration, unused_properties
from app.errors import Overloaded
from app.model.connection import Connection, Deployment

log = structlog.get_logger(__name__)

SIGN_IN_LIMIT_S = 5.0


def deploy(registry: Registry, connection: Connection) -> Deployment:
    """The connection is stored, and selectable already; for one that mail may leave through a sign-in is tried."""
    environment = registry.settings.environment
    if not connection.enabled:
        return Deployment(environment, True, "Deployment successful. It is disabled, so it is kept and not used.")
    if not connection.is_sendable:
        message = f"Deployment successful. Letterbox keeps connections of type {connection.type} and does not use them."
        return Deployment(environment, True, message)
    configuration = smtp_configuration(connection, reach=registry.settings.connection_reach)
    try:
        with registry.check_limit.place(connection.project_id):
            fault = sign_in_fault(configuration, limit_s=SIGN_IN_LIMIT_S)
    except Overloaded as error:
        message = f"The connection is saved. The sign-in was not tried: {error}"
        return Deployment(environment, False, message)
    if fault is not None:
        log.warning("deployed connection does not work", connection=connection.name, smtp_id=connection.smtp_index)
    message = "Deployment successful" if fault is None else f"The connection is saved. {fault}"
    unused = unused_properties(connection)
    return Deployment(environment, fault is None, f"{message}{_not_used(unused, message)}")


def withdraw(registry: Registry, connection: Connection) -> Deployment:
    """The connection is deleted: no new mail goes through it, what is under way finishes."""
    sentence = "Deployment successful. It is no longer selectable; mail under way through it finishes."
    message = sentence if connection.is_sendable else "Deployment successful"
    return Deployment(registry.settings.environment, True, message)


def _not_used(names: list[str], message: str) -> str:
    if not names:
        return ""
    return f"{'' if message.endswith('.') else '.'} Not used: {', '.join(names)}."
