"""What `letterbox worker` and `letterbox beat` share: a broker that is set, and an office with its housekeeping."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.cli.opening import opened_settings
from app.connections.start import demand_readable_connections
from app.emails.housekeeping import Housekeeper
from app.emails.office import Office
from app.errors import SettingsInvalid
from app.inbox import with_embedded_inbox
from app.settings import Settings
from app.storage.schema import migrate


@contextmanager
def working_office() -> Iterator[tuple[Office, str]]:
    """An office that keeps house, and the URL of the broker. Raises SettingsInvalid when no broker is set."""
    settings = opened_settings()
    url = _demand_broker(settings)
    if settings.runs_embedded_inbox:
        settings, _ = with_embedded_inbox(settings)
    office = Office.open(settings)
    try:
        migrate(office.database)
        demand_readable_connections(settings, office.database)
        housekeeper = Housekeeper(office)
        housekeeper.start()
        try:
            yield office, url
        finally:
            housekeeper.stop()
    finally:
        office.close()


def _demand_broker(settings: Settings) -> str:
    if settings.celery_broker_url is None:
        problem = (
            "CELERY_BROKER_URL: found nothing, expected the broker that rings for workers, the same as of letterbox "
            "serve. Without one letterbox serve delivers everything itself, and nothing else has to run."
        )
        raise SettingsInvalid([problem])
    return settings.celery_broker_url
