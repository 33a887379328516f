"""Text -> value, for what names something on a network: hosts, addresses, origins, proxies, databases.

URLs may hold a password, so their problems never show them.
"""

import re
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

import idna
from email_validator import EmailNotValidError, validate_email
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from app.settings.reading import Unusable

_LABEL = r"(?!-)[\w-]{1,63}(?<!-)"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*\.?")
_ASCII_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EHLO_NAME = re.compile(rf"(?=.{{1,253}}\Z){_ASCII_LABEL}(?:\.{_ASCII_LABEL})*")
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[^/?#@:\[\]\\\s]+)(?::([0-9]{1,5}))?/?", re.IGNORECASE)
_AT_HOME = ("localhost", ".local", ".test")
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_DATABASE_DRIVERS = ("sqlite", "sqlite+pysqlite", "postgresql+psycopg")
_BROKER_SCHEMES = ("amqp", "amqps", "redis", "rediss")
_REDIS_SCHEMES = ("redis", "rediss", "redis+unix")


def host(text: str) -> str:
    """A host name or an IP address, without a scheme, a port or brackets."""
    try:
        return str(ip_address(text))
    except ValueError:
        if not _HOST_NAME.fullmatch(text):
            raise Unusable("a host name or an IP address, without a scheme, port or path") from None
        return text


def ehlo_name(text: str) -> str:
    """What a client may call itself in EHLO (RFC 5321 section 4.1.3): a host name, or an address literal."""
    if _EHLO_NAME.fullmatch(text):
        return text
    literal = re.fullmatch(r"\[(IPv6:)?([0-9A-Fa-f:.]+)\]", text)
    try:
        is_literal = literal is not None and ip_address(literal[2]).version == (6 if literal[1] else 4)
    except ValueError:
        is_literal = False
    if not is_literal:
        raise Unusable("a host name or an address literal such as [192.0.2.1]")
    return text


def email_address(text: str) -> str:
    """An address in normal form, also one that only exists at home (`root@localhost`, `it@corp.local`).

    email-validator refuses those domains, so there it sees the local part alone.
    """
    local, _, domain = text.rpartition("@")
    is_at_home = domain.lower().endswith(_AT_HOME) and _HOST_NAME.fullmatch(domain) is not None
    try:
        address = validate_email(
            f"{local}@example.com" if is_at_home else text, check_deliverability=False, globally_deliverable=False
        )
    except EmailNotValidError as error:
        raise Unusable("an e-mail address such as info@example.com, without a name or brackets") from error
    if "=?" in text:
        raise Unusable("an e-mail address without =?, which begins an encoded word in a header")
    # In punycode, so that a server needs no SMTPUTF8 for it.
    return f"{address.local_part}@{domain.lower() if is_at_home else address.ascii_domain}"


def origin(text: str) -> str:
    """An origin as a browser sends it (RFC 6454, section 6.1): lower case, punycode, no default port."""
    match = _ORIGIN.fullmatch(text)
    expected = "an origin: scheme://host or scheme://host:port, without a path"
    if match is None:
        parts = re.match(r"(https?://[^/?#@\s*]+)[/?#]", text, re.IGNORECASE)
        raise Unusable(expected, remedy=f"Write {parts[1]}." if parts and _ORIGIN.fullmatch(parts[1]) else "")
    scheme, name, port = match[1].lower(), match[2].lower(), match[3]
    if port and not 1 <= int(port) <= 65535:
        raise Unusable(f"{expected}, with a port from 1 to 65535")
    try:
        written = _host_in_origin(name)
    except (ValueError, idna.IDNAError) as error:
        raise Unusable(f"{expected}; its host is none (it is compared exactly, so * cannot stand in it)") from error
    is_default = not port or str(int(port)) == _DEFAULT_PORTS.get(scheme)
    return f"{scheme}://{written}" if is_default else f"{scheme}://{written}:{int(port)}"


def _host_in_origin(name: str) -> str:
    if name.startswith("["):
        return f"[{IPv6Address(name[1:-1]).compressed}]"
    ascii_name = name if name.isascii() else idna.encode(name, uts46=True).decode("ascii")
    if not _HOST_NAME.fullmatch(ascii_name):
        raise ValueError(name)
    return ascii_name


def public_url(text: str) -> str:
    """The address of this service in a browser, in the form in which origins are compared, and its path."""
    expected = "an URL such as https://mail.example.com or https://www.example.com/mail, without a query or a password"
    match = re.fullmatch(r"(https?://[^/?#@\\\s]+)(/[^?#]*)?", text, re.IGNORECASE)
    if match is None:
        raise Unusable(expected)
    path = (match[2] or "").rstrip("/")
    # It is repeated in pages, in shells and in headers.
    if not re.fullmatch(r"(/(?!\.{1,2}(/|\Z))[A-Za-z0-9._~-]+){0,20}", path):
        raise Unusable(f"{expected}; its path has letters, digits, dots, dashes, underscores and tildes alone")
    try:
        return f"{origin(match[1])}{path}"
    except Unusable as error:
        raise Unusable(f"{expected}; its host is none") from error


def networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """IP addresses and networks in CIDR notation, separated by commas."""
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            found.append(ip_network(part))
        except ValueError as error:
            # A network with host bits is more often a slip than a wish: 10.1.2.3/8 would trust 16 million addresses.
            raise Unusable("IP addresses and networks such as 10.0.0.0/8, separated by commas") from error
    return tuple(found)


def broker_url(text: str) -> str:
    """The broker of Celery (https://docs.celeryq.dev, "Backends and Brokers")."""
    expected = "amqp://user:password@host:5672// or redis://:password@host:6379/0 (also amqps:// and rediss://)"
    try:
        parts = urlsplit(text)
        has_place = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise Unusable(expected, found="something that is no URL") from error
    if parts.scheme not in _BROKER_SCHEMES or not has_place:
        raise Unusable(expected, found="an URL of another form")
    if find_spec("celery") is None:
        raise Unusable("Celery to be installed", found="a broker", remedy="Run: pip install 'letterbox[celery]'.")
    return text


def ports(text: str) -> tuple[int, ...]:
    """Port numbers, separated by commas."""
    found = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch(r"[0-9]{1,5}", part) and 1 <= int(part) <= 65535 for part in found):
        raise Unusable("port numbers from 1 to 65535, separated by commas")
    return tuple(sorted({int(part) for part in found}))


def database_url(text: str) -> str:
    """A SQLAlchemy URL. The file of SQLite stays as it was written: see `database_url_from`."""
    expected = "sqlite:///path/to/file.db or postgresql+psycopg://user:password@host/database"
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise Unusable(expected, found="something that is no database URL") from error
    scheme = repr(url.drivername[:30])
    if url.drivername not in _DATABASE_DRIVERS or (url.port is not None and not 1 <= url.port <= 65535):
        is_postgresql = url.drivername.startswith("postgres")
        remedy = "Begin it with postgresql+psycopg://." if is_postgresql else ""
        raise Unusable(expected, found=f"an URL with {scheme}", remedy=remedy)
    if url.drivername.startswith("postgresql"):
        if find_spec("psycopg") is None:
            raise Unusable(
                "its driver to be installed", found=scheme, remedy="Run: pip install 'letterbox[postgresql]'."
            )
        return text
    if not url.database or url.database == ":memory:" or url.host:
        # Each connection would see a memory of its own, and a restart would forget what was sent.
        raise Unusable("sqlite:/// and the path of a file", found="an SQLite URL without a file")
    if url.database.startswith("file:"):
        raise Unusable("sqlite:/// and the path of a file", found="an SQLite URI")
    return text


def database_url_from(directory: Path, text: str) -> str:
    """The same URL, with the file of SQLite counted from the directory, so that every command finds the same one."""
    url = make_url(text)
    if not url.drivername.startswith("sqlite"):
        return text
    return url.set(database=str(directory / str(url.database))).render_as_string(hide_password=False)


def storage_uri(text: str) -> str:
    """Where the guards count: memory of one process, or Redis for several (`limits` names its storages so)."""
    expected = "memory:// or redis://:password@host:6379/0 (also rediss:// and redis+unix://)"
    if text == "memory://":
        return text
    try:
        parts = urlsplit(text)
        has_place = bool(parts.hostname and parts.port != 0) or (parts.scheme == "redis+unix" and bool(parts.path))
    except ValueError as error:
        raise Unusable(expected, found="something that is no URL") from error
    if parts.scheme not in _REDIS_SCHEMES or not has_place:
        raise Unusable(expected, found="an URL of another form")
    if find_spec("redis") is None:
        raise Unusable("its driver to be installed", found="a Redis URL", remedy="Run: pip install 'letterbox[redis]'.")
    return text
