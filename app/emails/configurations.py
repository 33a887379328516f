"""Which SMTP configurations may carry an email, and in which order they are tried (spec: email-api, section 6)."""

from collections.abc import Sequence

from app.errors import SMTPConfigurationNotFound, TestAccountMissing
from app.model.smtp import SMTPConfiguration


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
