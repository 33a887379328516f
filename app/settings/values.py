"""What can be configured, as frozen values: `Settings` and its two parts. Every room reads them."""

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from app.model.smtp import Reach, SMTPConfiguration

_PACKAGE = Path(__file__).resolve().parents[1]
PROJECT_ROOT = _PACKAGE.parent
"""The directory of a checkout; where the package was installed from a wheel, that of all packages."""
IS_INSTALLED = (_PACKAGE / "templates").is_dir()
"""Whether this was installed from a wheel, which carries the templates inside the package."""
TEMPLATES_DIR = (_PACKAGE if IS_INSTALLED else PROJECT_ROOT) / "templates"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardSettings:
    """The numbers of the abuse protection; see the README's settings table."""

    rate_limit: str = "10 per minute"
    rate_limit_enabled: bool = True
    burst_limit: int = 20
    burst_window_s: int = 5
    burst_block_s: int = 3600
    excess_limit: int = 100
    excess_window_s: int = 600
    excess_block_s: int = 21600
    cooldown_enabled: bool = True
    cooldown_step_s: int = 3600
    page_rate_limit: str = "60 per minute"
    token_rate_limit: str = "600 per minute"  # noqa: S105 - a limit, not a token
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    storage_uri: str = field(default="memory://", repr=False)
    """May hold a password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageLimits:
    """How large one request may be. Sizes in bytes, lengths in characters."""

    request_body: int = 10 * 1024 * 1024
    attachments: int = 20
    recipients: int = 50
    custom_fields: int = 100
    custom_field_name: int = 100
    message: int = 200_000
    body_template: int = 200_000
    subject_template: int = 998
    username: int = 200
    file_name: int = 255
    rendered_body: int = 1024 * 1024
    denied_extensions: frozenset[str] = frozenset(
        {"exe", "scr", "js", "vbs", "bat", "cmd", "com", "msi", "ps1", "hta", "jar", "lnk"}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be configured, validated once at start-up. `warnings` are whole sentences without secrets."""

    environment: str = "development"
    host: str = "127.0.0.1"
    port: int = 8000
    public_url: str | None = None
    """Where browsers reach the service: scheme, host and path in normal form, without a slash at the end."""
    web_processes: int = 1
    web_threads: int = 64
    keep_alive_s: int = 75
    body_memory: int = 128 * 1024 * 1024
    """Octets of all request bodies that a process holds at a time."""
    secret_keys: tuple[str, ...] = field(default=(), repr=False)
    smtp_configurations: tuple[SMTPConfiguration, ...] = ()
    reception_email: str = ""
    catchall_email: str | None = None
    cors_origins: tuple[str, ...] = ()
    log_format: str = "json"
    log_level: str = "info"
    database_url: str = field(default=f"sqlite:///{PROJECT_ROOT / 'var' / 'letterbox.db'}", repr=False)
    """May hold a password."""
    var_dir: Path = PROJECT_ROOT / "var"
    templates_dir: Path = TEMPLATES_DIR
    request_deadline_s: float = 60.0
    smtp_warm_sessions: bool = True
    monthly_test_email: bool = False
    queue_limit: int = 10_000
    queue_workers: int = 8
    celery_broker_url: str | None = field(default=None, repr=False)
    """May hold a password."""
    turnstile_site_key: str = ""
    turnstile_secret_key: str = field(default="", repr=False)
    turnstile_verify_url: str = "https://challenges.cloudflare.com/turnstile/v0/siteverify"
    """Only tests have another one, on this machine."""
    hcaptcha_site_key: str = ""
    hcaptcha_secret_key: str = field(default="", repr=False)
    hcaptcha_verify_url: str = "https://api.hcaptcha.com/siteverify"
    """Only tests have another one, on this machine."""
    connection_ports: tuple[int, ...] = (25, 465, 587, 2525)
    connection_allowed_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    email_retention_days: int = 90
    cooldown_retention_days: int = 365
    guards: GuardSettings = field(default_factory=GuardSettings)
    limits: MessageLimits = field(default_factory=MessageLimits)
    warnings: tuple[str, ...] = ()

    @property
    def is_production(self) -> bool:
        return self.environment == "production"

    @property
    def connection_reach(self) -> Reach:
        """Where connections may lead: whoever has a token must not get behind a production service's firewall."""
        return Reach(is_limited=self.is_production, allowed_networks=self.connection_allowed_networks)

    @property
    def runs_embedded_inbox(self) -> bool:
        """Nothing to send through, outside production: the service receives its own mail and shows it."""
        return not self.smtp_configurations and not self.is_production
