"""`load_settings`: walk the table, then settle what several variables decide together. Used at every start."""

import os
import sys
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

from app.errors import SettingsInvalid
from app.settings import network
from app.settings.lookalikes import warn_of_lookalikes
from app.settings.readers import MAKE_A_KEY
from app.settings.reading import Reading
from app.settings.secret_key import kept_secret_key
from app.settings.smtp import EXAMPLE, read_smtp_configurations
from app.settings.sources import read_sources
from app.settings.values import GuardSettings, MessageLimits, Settings
from app.settings.variables import VARIABLES

EMBEDDED_INBOX_ADDRESS = "inbox@letterbox.localhost"


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read `.env` (see `find_env_file`), then the environment, which wins; a variable without text is not set.

    Raises SettingsInvalid with every problem at once. In development it makes the secret key when there is none: its
    only write, made after everything else was found good.
    """
    reading = read_sources(os.environ if environ is None else environ)
    values = _read_table(reading)
    values["smtp_configurations"] = read_smtp_configurations(reading)
    values["cors_origins"] = _read_origins(reading)
    _settle_recipient(reading, values)
    _settle_production(reading, values)
    _settle_captchas(reading)
    values.setdefault("log_format", "console" if sys.stderr.isatty() else "json")
    _settle_paths(reading, values)
    if not reading.problems and "secret_keys" not in values:
        values["secret_keys"] = _keep_secret_key(reading, values["var_dir"] / "secret_key")
    if reading.problems:
        raise SettingsInvalid(list(dict.fromkeys(reading.problems)))
    _warn_of_slips(reading, values)
    warn_of_lookalikes(reading)
    return _assembled(values, warnings=tuple(reading.warnings))


def _read_table(reading: Reading) -> dict[str, Any]:
    """The value of each variable with a field, by field; missing where there is neither a text nor a default."""
    values: dict[str, Any] = {}
    for variable in VARIABLES:
        if variable.field and (text := reading.text(variable.name) or variable.default):
            example = (
                f"{variable.name}={variable.example or variable.default}" if variable.default + variable.example else ""
            )
            value = reading.value(variable.name, text, variable.read, example=example)
            if value is not None:
                values[variable.field] = value
    return values


def _read_origins(reading: Reading) -> tuple[str, ...]:
    origins: dict[str, None] = {}
    number = 1
    while text := reading.text(f"CORS_{number}_ORIGIN"):
        example = f"CORS_{number}_ORIGIN=https://www.example.com"
        if origin := reading.value(f"CORS_{number}_ORIGIN", text, network.origin, example=example):
            origins[origin] = None
        number += 1
    return tuple(origins)


def _settle_recipient(reading: Reading, values: dict[str, Any]) -> None:
    if not reading.text("SMTP_RECEPTION_EMAIL"):
        if reading.text("SMTP_CONFIGURATIONS"):
            reading.refuse(
                "SMTP_RECEPTION_EMAIL",
                found="nothing",
                expected="the address that receives the mail, because SMTP_CONFIGURATIONS is set",
                remedy="Write for example SMTP_RECEPTION_EMAIL=inbox@example.com.",
            )
        else:
            values["reception_email"] = EMBEDDED_INBOX_ADDRESS


def _settle_production(reading: Reading, values: dict[str, Any]) -> None:
    if values.get("environment") != "production":
        return
    if not reading.text("SMTP_CONFIGURATIONS"):
        remedy = f"Write for example SMTP_CONFIGURATIONS='{EXAMPLE}', or set ENVIRONMENT to another name."
        expected = "a server to send through, because ENVIRONMENT is production"
        reading.refuse("SMTP_CONFIGURATIONS", found="nothing", expected=expected, remedy=remedy)
    if not reading.text("SECRET_KEY"):
        expected = "a key of at least 32 characters, because ENVIRONMENT is production"
        reading.refuse("SECRET_KEY", found="nothing", expected=expected, remedy=MAKE_A_KEY)


def _settle_paths(reading: Reading, values: dict[str, Any]) -> None:
    """Every command finds the same files, wherever it is started."""
    values["var_dir"] = reading.directory / values.get("var_dir", "var")
    values.setdefault("database_url", f"sqlite:///{values['var_dir'] / 'letterbox.db'}")
    values["database_url"] = network.database_url_from(reading.directory, values["database_url"])


def _settle_captchas(reading: Reading) -> None:
    for name in ("TURNSTILE", "HCAPTCHA"):
        keys = (f"{name}_SITE_KEY", f"{name}_SECRET_KEY")
        for missing, other in (keys, keys[::-1]):
            if reading.text(other) and not reading.text(missing):
                remedy = f"Copy it from the same page as the other, or remove {other}."
                reading.refuse(missing, found="nothing", expected=f"the key that belongs to {other}", remedy=remedy)


def _keep_secret_key(reading: Reading, path: Path) -> tuple[str, ...]:
    expected = f"a key, or a directory to keep one in ({path})"
    try:
        key = kept_secret_key(path)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        remedy = f"Set SECRET_KEY, or mend that place: {why}."
        reading.refuse("SECRET_KEY", found="nothing", expected=expected, remedy=remedy)
        return ()
    if len(key) < 32:
        remedy = f"Remove {path}, or set SECRET_KEY."
        reading.refuse("SECRET_KEY", found="a kept key that is too short", expected=expected, remedy=remedy)
    return (key,)


def _warn_of_slips(reading: Reading, values: dict[str, Any]) -> None:
    """What is allowed, and seldom meant."""
    if values["web_processes"] > 1 and values["guards.storage_uri"] == "memory://":
        reading.warn(
            f"WEB_PROCESSES is {values['web_processes']} and RATE_LIMIT_STORAGE_URI is memory://: each process counts "
            "for itself, so a client may send that many times RATE_LIMIT. Use Redis."
        )
    if values["environment"] == "production" and values.get("public_url") is None:
        reading.warn(
            "PUBLIC_URL is not set, so the name that a client writes into Host counts as this service's own. Write for "
            "example PUBLIC_URL=https://mail.example.com."
        )
    if values["environment"].lower() in ("prod", "prd", "live"):
        reading.warn("ENVIRONMENT is not production, so the defaults of development hold. Did you mean production?")
    everybody = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))
    if any(proxy in everybody for proxy in values.get("guards.trusted_proxies", ())):
        reading.warn("TRUSTED_PROXIES trusts everybody, so a client can choose its own address.")


def _assembled(values: dict[str, Any], *, warnings: tuple[str, ...]) -> Settings:
    def part(prefix: str) -> dict[str, Any]:
        return {field.removeprefix(prefix): value for field, value in values.items() if field.startswith(prefix)}

    top = {field: value for field, value in values.items() if "." not in field}
    guards, limits = GuardSettings(**part("guards.")), MessageLimits(**part("limits."))
    return Settings(**top, guards=guards, limits=limits, warnings=warnings)
