"""What requests ask all the time, kept in memory: who shows this token, what may this project send through.

Whoever changes a token, a client, a project or a connection writes a new version in the same transaction
(`mark_changed`). Every process compares the version before it believes what it remembers, so a change counts from the
next request on, everywhere.
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_hex

from sqlalchemy import Connection

from app.errors import RecordUnavailable, TokenInvalid
from app.model.access import Caller
from app.model.clock import Clock
from app.model.smtp import SMTPConfiguration
from app.storage import access_tokens, service_state
from app.storage.database import Database
from app.storage.times import to_ms

_VERSION = "connections_version"
_MOST_CALLERS = 4096
_LONGEST_TOKEN = 512


def mark_changed(connection: Connection) -> None:
    """Make every process forget what it remembers, once this transaction is committed."""
    service_state.put(connection, _VERSION, token_hex(8))


def digest_of(secret: str) -> str:
    """What is stored of a token or a client's secret. They are 256 random bits, so nothing slower is needed."""
    return sha256(secret.encode("utf-8", "replace")).hexdigest()


@dataclass(slots=True)
class _Memory:
    version: str | None
    callers: dict[str, Caller] = field(default_factory=dict)
    groups: dict[int, tuple[SMTPConfiguration, ...]] = field(default_factory=dict)


class Live:
    """One per process; its methods may be called from any thread. They raise RecordUnavailable."""

    def __init__(
        self,
        database: Database,
        *,
        configurations_of: Callable[[int], tuple[SMTPConfiguration, ...]],
        retire: Callable[[Iterable[SMTPConfiguration]], None],
        clock: Clock,
    ) -> None:
        """`configurations_of` reads a project's; `retire` is told of those that are no longer in use."""
        self._database = database
        self._configurations_of = configurations_of
        self._retire = retire
        self._clock = clock
        self._memory = _Memory(version=None)
        self._forgetting = threading.Lock()
        self._used: dict[int, int] = {}

    def caller(self, token: str) -> Caller:
        """Who shows this access token. Raises TokenInvalid."""
        memory = self._current()
        digest = digest_of(token[:_LONGEST_TOKEN])
        caller = memory.callers.get(digest)
        if caller is None:
            caller = self._database.read(lambda connection: access_tokens.find_caller(connection, digest))
            if caller is None:
                raise TokenInvalid
            if len(memory.callers) < _MOST_CALLERS:
                memory.callers[digest] = caller
        now = self._clock()
        if caller.expires_at is not None and caller.expires_at <= now:
            raise TokenInvalid
        self._used[caller.token_id] = to_ms(now)
        return caller

    def remembers(self, token: str) -> bool:
        """Whether this token was good a while ago; the database is not asked."""
        return digest_of(token[:_LONGEST_TOKEN]) in self._memory.callers

    def smtp_configurations(self, project_id: int) -> tuple[SMTPConfiguration, ...]:
        """What the project's mail may leave through, in the order of its making."""
        memory = self._current()
        group = memory.groups.get(project_id)
        if group is None:
            group = memory.groups[project_id] = self._configurations_of(project_id)
        return group

    def refresh(self) -> None:
        """Notice what other processes changed: sessions of a removed connection end without waiting for mail."""
        self._current()

    def write_uses(self) -> None:
        """Record when tokens were last used."""
        used, self._used = self._used, {}
        if not used:
            return
        try:
            self._database.write(lambda connection: access_tokens.note_use(connection, used))
        except RecordUnavailable:
            self._used = used | self._used
            raise

    def _current(self) -> _Memory:
        """What is remembered, if it is still true; else the beginning of a new memory."""
        version = service_state.glance(self._database, _VERSION)
        memory = self._memory
        if version == memory.version:
            return memory
        with self._forgetting:
            if version != self._memory.version:
                # Read before it is published: a group that changed must not lend its old sessions once more.
                groups = {project_id: self._configurations_of(project_id) for project_id in list(self._memory.groups)}
                gone = {each for group in self._memory.groups.values() for each in group}
                self._memory = _Memory(version=version, groups=groups)
                self._retire(gone.difference(*groups.values()))
            return self._memory
