"""The table of every environment variable: what the README and `.env.example` say is checked against it.

To add one: a line here, a field in `values`, a line in `.env.example` and in the README.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from app.settings import network, readers
from app.settings.readers import choice, environment_name, extensions, flag, rate_limit, seconds, whole_number


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable. `default` is the text that has the same effect as leaving it out; empty when there is no such text.

    `field` says where in `Settings` the value goes (`guards.burst_limit`); it is empty when the variable is read
    together with others. `{INDEX}` in a name stands for a number.
    """

    name: str
    field: str
    read: Callable[[str], object]
    default: str
    meaning: str
    example: str = ""


_COUNT = whole_number(1, 2**31 - 1)
_SECONDS = whole_number(1, 10**9)
_DAYS = whole_number(1, 36500)

VARIABLES = (
    # What is sent, through which servers and to whom.
    Variable("SMTP_CONFIGURATIONS", "", str, "", "JSON array of the SMTP servers to send through"),
    Variable(
        "SMTP_{INDEX}_PASSWORD", "", str, "", 'password of that configuration; needed unless it says "Auth":"none"'
    ),
    Variable("SMTP_{INDEX}_PASSWORD_TEST", "", str, "", "password of its TestEmail; needed only for test=true"),
    Variable(
        "SMTP_RECEPTION_EMAIL",
        "reception_email",
        network.email_address,
        "",
        "who receives the mail; required with SMTP_CONFIGURATIONS",
        "inbox@example.com",
    ),
    Variable(
        "SMTP_CATCHALL_EMAIL",
        "catchall_email",
        network.email_address,
        "",
        "who receives it when that address is refused",
        "catchall@example.com",
    ),
    Variable(
        "SMTP_WARM_SESSIONS",
        "smtp_warm_sessions",
        flag,
        "true",
        "keep a session open at the first server and where mail went lately, so that no mail waits for one",
    ),
    Variable("MONTHLY_TEST_EMAIL", "monthly_test_email", flag, "false", "send a test message every 30 days"),
    Variable(
        "REQUEST_DEADLINE_SECONDS",
        "request_deadline_s",
        seconds(1, 600),
        "60",
        "how long one request may take over all its attempts",
    ),
    # Mail that nobody waits for.
    Variable("QUEUE_LIMIT", "queue_limit", _COUNT, "10000", "emails that may wait for workers; more are refused"),
    Variable("QUEUE_WORKERS", "queue_workers", whole_number(1, 256), "8", "threads of each process that deliver them"),
    Variable(
        "CELERY_BROKER_URL",
        "celery_broker_url",
        network.broker_url,
        "",
        "RabbitMQ or Redis; then letterbox worker delivers them instead, on any number of machines",
        "amqp://guest:guest@localhost:5672//",
    ),
    # The service.
    Variable(
        "CORS_{INDEX}_ORIGIN", "", network.origin, "", "allowed origins, from 1 upward", "https://www.example.com"
    ),
    Variable(
        "ENVIRONMENT", "environment", environment_name, "development", "a name; production has the stricter defaults"
    ),
    Variable("HOST", "host", network.host, "127.0.0.1", "address to listen on"),
    Variable("PORT", "port", whole_number(1, 65535), "8000", "port to listen on"),
    Variable(
        "PUBLIC_URL",
        "public_url",
        network.public_url,
        "",
        "where browsers reach the service, path included; default: what a trusted proxy says, else Host",
        "https://mail.example.com",
    ),
    Variable("WEB_PROCESSES", "web_processes", whole_number(1, 256), "1", "processes that serve"),
    Variable("WEB_THREADS", "web_threads", whole_number(1, 4096), "64", "threads in each process"),
    Variable(
        "BODY_MEMORY_BYTES",
        "body_memory",
        _COUNT,
        "134217728",
        "request bodies that each process holds at a time; more are asked to come again",
    ),
    Variable(
        "KEEP_ALIVE_SECONDS",
        "keep_alive_s",
        whole_number(1, 3600),
        "75",
        "how long a connection without a request is kept; longer than the load balancer in front keeps it",
    ),
    Variable(
        "SECRET_KEY",
        "secret_keys",
        readers.secret_keys,
        "",
        "encrypts stored secrets, at least 32 characters; several, comma separated, while rotating; required in "
        "production, else made and kept in VAR_DIR",
    ),
    Variable(
        "LOG_FORMAT", "log_format", choice("console", "json"), "", "default: console on a terminal, else json", "json"
    ),
    Variable(
        "LOG_LEVEL",
        "log_level",
        choice("debug", "info", "warning", "error", "critical", synonyms={"warn": "warning", "fatal": "critical"}),
        "info",
        "debug, info, warning, error or critical",
    ),
    # Checks that a form may ask its visitors for, besides those that need no account.
    Variable(
        "TURNSTILE_SITE_KEY",
        "turnstile_site_key",
        readers.public_key,
        "",
        "Cloudflare Turnstile as a check of web forms: its public key",
        "0x4AAAAAAAexample",
    ),
    Variable(
        "TURNSTILE_SECRET_KEY", "turnstile_secret_key", readers.secret_text, "", "its secret key, needed with the other"
    ),
    Variable(
        "HCAPTCHA_SITE_KEY",
        "hcaptcha_site_key",
        readers.public_key,
        "",
        "hCaptcha as a check of web forms: its public key",
        "10000000-ffff-ffff-ffff-000000000001",
    ),
    Variable(
        "HCAPTCHA_SECRET_KEY", "hcaptcha_secret_key", readers.secret_text, "", "its secret key, needed with the other"
    ),
    # Connections, which callers with an access token make.
    Variable(
        "CONNECTION_PORTS",
        "connection_ports",
        network.ports,
        "25,465,587,2525",
        "ports that an email connection may lead to",
    ),
    Variable(
        "CONNECTION_ALLOWED_NETWORKS",
        "connection_allowed_networks",
        network.networks,
        "",
        "private networks that connections may lead to although ENVIRONMENT is production",
        "10.20.0.0/16",
    ),
    # What is kept.
    Variable(
        "VAR_DIR",
        "var_dir",
        readers.file_path,
        "var",
        "directory of the database, the embedded inbox and the made secret key",
    ),
    Variable(
        "DATABASE_URL",
        "database_url",
        network.database_url,
        "",
        "SQLAlchemy URL; default: the SQLite file letterbox.db in VAR_DIR",
        "postgresql+psycopg://user:password@localhost/letterbox",
    ),
    Variable(
        "EMAIL_RETENTION_DAYS", "email_retention_days", _DAYS, "90", "how long emails and ended blocks stay on record"
    ),
    Variable("COOLDOWN_RETENTION_DAYS", "cooldown_retention_days", _DAYS, "365", "how long a silent sender is counted"),
    # Abuse protection.
    Variable("RATE_LIMIT_ENABLED", "guards.rate_limit_enabled", flag, "true", "false turns throttle and blocks off"),
    Variable("RATE_LIMIT", "guards.rate_limit", rate_limit, "10 per minute", "throttle per client address"),
    Variable("BURST_LIMIT", "guards.burst_limit", _COUNT, "20", "requests in the burst window that block"),
    Variable("BURST_WINDOW_SECONDS", "guards.burst_window_s", _SECONDS, "5", "length of the burst window"),
    Variable("BURST_BLOCK_SECONDS", "guards.burst_block_s", _SECONDS, "3600", "how long a burst blocks"),
    Variable("EXCESS_LIMIT", "guards.excess_limit", _COUNT, "100", "more requests than this block"),
    Variable("EXCESS_WINDOW_SECONDS", "guards.excess_window_s", _SECONDS, "600", "length of the excess window"),
    Variable("EXCESS_BLOCK_SECONDS", "guards.excess_block_s", _SECONDS, "21600", "how long an excess blocks"),
    Variable("COOLDOWN_ENABLED", "guards.cooldown_enabled", flag, "true", "make a sender wait between messages"),
    Variable("COOLDOWN_STEP_SECONDS", "guards.cooldown_step_s", _SECONDS, "3600", "wait added by each message"),
    Variable(
        "PAGE_RATE_LIMIT",
        "guards.page_rate_limit",
        rate_limit,
        "60 per minute",
        "pages, form tokens and the like per client address",
    ),
    Variable("TOKEN_RATE_LIMIT", "guards.token_rate_limit", rate_limit, "600 per minute", "throttle per access token"),
    Variable(
        "TRUSTED_PROXIES",
        "guards.trusted_proxies",
        network.networks,
        "",
        "addresses and networks whose X-Forwarded-For, -Host, -Proto, -Prefix and Forwarded are believed",
        "127.0.0.1,10.0.0.0/8",
    ),
    Variable(
        "RATE_LIMIT_STORAGE_URI",
        "guards.storage_uri",
        network.storage_uri,
        "memory://",
        "where the counters are: memory of one process, or Redis",
        "redis://localhost:6379/0",
    ),
    # How large a request may be. Sizes in bytes, lengths in characters.
    Variable("MAX_REQUEST_BYTES", "limits.request_body", _COUNT, "10485760", "request body"),
    Variable("MAX_ATTACHMENTS", "limits.attachments", whole_number(0, 1000), "20", "attachments"),
    Variable("MAX_RECIPIENTS", "limits.recipients", whole_number(1, 1000), "50", "To, Cc and Bcc together"),
    Variable("MAX_CUSTOM_FIELDS", "limits.custom_fields", whole_number(0, 100_000), "100", "custom fields"),
    Variable("MAX_CUSTOM_FIELD_NAME_LENGTH", "limits.custom_field_name", _COUNT, "100", "name of a custom field"),
    Variable("MAX_MESSAGE_LENGTH", "limits.message", _COUNT, "200000", "Message"),
    Variable("MAX_EMAIL_TEMPLATE_LENGTH", "limits.body_template", _COUNT, "200000", "EmailTemplate"),
    Variable("MAX_SUBJECT_TEMPLATE_LENGTH", "limits.subject_template", _COUNT, "998", "SubjectTemplate"),
    Variable("MAX_USERNAME_LENGTH", "limits.username", _COUNT, "200", "Username"),
    Variable("MAX_FILE_NAME_LENGTH", "limits.file_name", _COUNT, "255", "FileName of an attachment"),
    Variable(
        "MAX_RENDERED_BODY_BYTES", "limits.rendered_body", _COUNT, "1048576", "body after filling its placeholders"
    ),
    Variable(
        "ATTACHMENT_DENIED_EXTENSIONS",
        "limits.denied_extensions",
        extensions,
        "exe,scr,js,vbs,bat,cmd,com,msi,ps1,hta,jar,lnk",
        "attachments that are refused; none refuses nothing",
    ),
)

_NAMES = re.compile("|".join(variable.name.replace("{INDEX}", "[0-9]+") for variable in VARIABLES))


def is_ours(name: str) -> bool:
    """Whether the table knows the name, with a number in place of `{INDEX}`."""
    return _NAMES.fullmatch(name) is not None
