"""How a command gets what it works with: settings, logs on standard error, and an office that is closed at the end."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from app.emails.office import Office
from app.inbox import with_embedded_inbox
from app.observability.logs import configure_logging
from app.settings import Settings, load_settings
from app.storage.schema import migrate


def opened_settings() -> Settings:
    """The settings of the environment, with logging set up by them; raises SettingsInvalid."""
    settings = load_settings()
    configure_logging(format=settings.log_format, level=settings.log_level)
    return settings


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
