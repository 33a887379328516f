"""What must be true of stored connections before a process serves."""

from app.connections.rotation import unreadable_connections
from app.connections.sealing import Sealer
from app.errors import SettingsInvalid
from app.settings import Settings
from app.storage.database import Database

_MOST_NAMES = 5


def demand_readable_connections(settings: Settings, database: Database) -> None:
    """Raises SettingsInvalid when SECRET_KEY does not open every stored connection: mail would silently stay away."""
    unreadable = unreadable_connections(database, Sealer(settings.secret_keys))
    if not unreadable:
        return
    names = ", ".join(unreadable[:_MOST_NAMES]) + (", ..." if len(unreadable) > _MOST_NAMES else "")
    found = "another key than the one" if settings.secret_keys else "no key, and not the one"
    raise SettingsInvalid(
        [
            f"SECRET_KEY: found {found} that {len(unreadable)} stored connections were encrypted with ({names}), "
            "expected that key among the comma-separated ones. Put the old key behind the new one "
            "(SECRET_KEY=new,old), or restore secret_key in VAR_DIR. If it is lost, delete the project with "
            "letterbox projects delete."
        ]
    )
