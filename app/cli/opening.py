"""How a command begins and ends: settings, logs on standard error, an office that is closed, errors in a line each."""

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
from app.settings import Settings, load_settings
from app.storage.schema import migrate

EXIT_FAILURE = 1
EXIT_CONFIGURATION = 78
"""EX_CONFIG of sysexits.h: a service manager need not try again."""


class LetterboxCommand(click.Command):
    """A command that says what went wrong in a line each, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
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
