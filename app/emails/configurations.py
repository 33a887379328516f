"""Which SMTP configurations may carry an email, and in which order they are tried (spec: email-api, section 6).

The configured ones are one group, each project's connections are another: failover never leaves a group, so that one
project's mail never leaves through another's server.
"""

from collections.abc import Sequence

from app.emails.office import Office
from app.errors import SMTPConfigurationNotFound, TestAccountMissing
from app.model.access import Caller
from app.model.connection import FIRST_SMTP_INDEX
from app.model.smtp import SMTPConfiguration


def selectable(office: Office, caller: Caller | None) -> tuple[SMTPConfiguration, ...]:
    """What `smtpId` can pick for this caller: the configured ones, and behind them those of its project."""
    if caller is None:
        return office.settings.smtp_configurations
    return (*office.settings.smtp_configurations, *office.registry.live.smtp_configurations(caller.project_id))


def group_of(office: Office, project_id: int | None, smtp_id: int | None) -> tuple[SMTPConfiguration, ...]:
    """The group that `smtpId` picks from; `project_id` is None for an anonymous caller. Raises RecordUnavailable."""
    if project_id is None or smtp_id is None or smtp_id < FIRST_SMTP_INDEX:
        return office.settings.smtp_configurations
    return office.registry.live.smtp_configurations(project_id)


def failover_order(
    configurations: Sequence[SMTPConfiguration], *, smtp_id: int | None, is_test: bool
) -> tuple[SMTPConfiguration, ...]:
    """The requested configuration (None: the first), then the others in list order, wrapping round.

    Raises SMTPConfigurationNotFound, and TestAccountMissing when the requested one cannot send test messages.
    """
    position = 0
    if smtp_id is not None:
        indexes = [configuration.index for configuration in configurations]
        if smtp_id not in indexes:
            raise SMTPConfigurationNotFound(smtp_id)
        position = indexes.index(smtp_id)
    requested = configurations[position]
    if requested.account_for(is_test=is_test) is None:
        raise TestAccountMissing(requested.index)
    return (*configurations[position:], *configurations[:position])
