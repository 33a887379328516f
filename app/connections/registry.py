"""What the use cases of this room work with, put together once per process."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Self

from app.connections.check_limit import CheckLimit
from app.connections.live import Live
from app.connections.sealing import Sealer
from app.connections.smtp_configurations import read_smtp_configurations
from app.model.clock import Clock
from app.model.smtp import SMTPConfiguration
from app.settings import Settings
from app.storage.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """The tools of one process."""

    settings: Settings
    database: Database
    sealer: Sealer
    live: Live
    clock: Clock
    check_limit: CheckLimit = field(default_factory=CheckLimit)

    @classmethod
    def open(
        cls,
        settings: Settings,
        *,
        database: Database,
        clock: Clock,
        retire: Callable[[Iterable[SMTPConfiguration]], None],
    ) -> Self:
        """`retire` is told of SMTP configurations that are no longer in use."""
        sealer = Sealer(settings.secret_keys)
        live = Live(
            database,
            configurations_of=lambda project_id: read_smtp_configurations(
                database, sealer, project_id, reach=settings.connection_reach
            ),
            retire=retire,
            clock=clock,
        )
        return cls(settings=settings, database=database, sealer=sealer, live=live, clock=clock)
