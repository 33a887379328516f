"""How a command begins and ends: settings, logs on standard error, an office that is closed, errors in a line each."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import click

from app.emails.office import Office
from app.errors import LetterboxError, SettingsInvalid
from app.inbox import with_embedded_inbox
from app.observability.logs import configure_logging
from app.settings import EnvFile, Settings, find_env_file, load_settings
from app.storage.schema import migrate

EXIT_FAILURE = 1
EXIT_CONFIGURATION = 78
"""EX_CONFIG of sysexits.h: a service manager need not try again."""


_VERBOSE = "letterbox.verbose"


def _remember_verbose(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[_VERBOSE] = True


def verbose_option() -> click.Option:
    """--verbose, of the group and of each command."""
    return click.Option(
        ["--verbose"],
        is_flag=True,
        expose_value=False,
        callback=_remember_verbose,
        help="Say on standard error which .env is read; on a terminal it is said anyway.",
    )


class LetterboxCommand(click.Command):
    """A command that says which `.env` it reads, and what went wrong in a line each, without a traceback."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(verbose_option())

    def invoke(self, ctx: click.Context) -> Any:
        try:
            if sys.stderr.isatty() or ctx.meta.get(_VERBOSE):
                click.echo(_told(find_env_file(os.environ)), err=True)
            return super().invoke(ctx)
        except SettingsInvalid as error:
            click.echo("Letterbox cannot start with these settings:", err=True)
            for problem in error.problems:
                click.echo(f"  - {problem}", err=True)
            sys.exit(EXIT_CONFIGURATION)
        except LetterboxError as error:
            cause = getattr(error.__cause__, "orig", None) or error.__cause__
            click.echo(f"letterbox: {error}{f' ({cause})' if cause else ''}", err=True)
            sys.exit(EXIT_FAILURE)


def _told(env_file: EnvFile) -> str:
    unread = f", not {env_file.unread}" if env_file.unread else ""
    if env_file.path is None:
        return f"letterbox: settings from the environment alone{unread}; paths count from {env_file.directory}"
    return f"letterbox: settings from {env_file.path}{unread}"


def opened_settings() -> Settings:
    """The settings of the environment, with logging set up by them; raises SettingsInvalid."""
    settings = load_settings()
    configure_logging(format=settings.log_format, level=settings.log_level)
    return settings


def keep_warm(office: Office) -> None:
    """Open sessions ahead, in a process that lives as long as the service does; of its servers the first stands by."""
    if office.settings.smtp_warm_sessions:
        office.deliverer.keep_warm(office.settings.smtp_configurations[:1])


@contextmanager
def opened_office(*, is_sending: bool = False) -> Iterator[Office]:
    """An office on the database of the settings. With `is_sending` mail can leave it, if need be into the inbox.

    The operator who types a command is nobody to guard against, so there is no cooldown.
    """
    settings = opened_settings()
    if is_sending and settings.runs_embedded_inbox:
        settings, _ = with_embedded_inbox(settings)
    office = Office.open(replace(settings, guards=replace(settings.guards, cooldown_enabled=False)))
    try:
        migrate(office.database)
        yield office
    finally:
        office.close()
