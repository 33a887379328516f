"""An SMTP configuration: a server, and the accounts that sign in to it."""

from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network


class Security(StrEnum):
    """How the dialogue is protected. `AUTO`: TLS on 465, required STARTTLS on 587, STARTTLS when offered elsewhere."""

    AUTO = "auto"
    TLS = "tls"
    STARTTLS = "starttls"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Account:
    """Who signs in and whose address is in `From` and MAIL FROM. `password` is None where the server asks for none."""

    address: str
    username: str
    password: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a configuration may lead. Limited, its host's address must be public or in one of the networks."""

    is_limited: bool = False
    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SMTPConfiguration:
    """One entry of SMTP_CONFIGURATIONS, or an email connection of a project; `smtpId` picks it by `index`.

    `timeout_s` is the deadline of each phase, `connect_timeout_s` that of look-up and connecting where it differs.
    `mechanisms` limits the ways to sign in, in capitals; empty means any. `charset` is for the text parts.
    `test_recipient` receives what is sent with test=true; None means the configured recipient.
    """

    index: int
    host: str
    port: int
    account: Account
    test_account: Account | None = None
    test_email: str = ""
    description: str = ""
    security: Security = Security.AUTO
    timeout_s: float = 10.0
    max_connections: int = 20
    ca_file: str | None = None
    local_hostname: str | None = None
    connect_timeout_s: float | None = None
    is_certificate_checked: bool = True
    mechanisms: tuple[str, ...] = ()
    charset: str = "utf-8"
    test_recipient: str | None = None
    reach: Reach = Reach()

    def account_for(self, *, is_test: bool) -> Account | None:
        """The account that sends; None when a test account is asked for and its password was not configured."""
        return self.test_account if is_test else self.account
