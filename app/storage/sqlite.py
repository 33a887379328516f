"""What only SQLite needs: its connections, and a look at whether its files are still those that were opened."""

import os
import sqlite3
import threading
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote

import structlog
from sqlalchemy import URL, Connection

from app.errors import DatabaseUnusable, RecordUnavailable
from app.storage.prepared import run

log = structlog.get_logger(__name__)

_SEEN_FOR_S = 0.02
"""How long a look at the files is believed where nothing is promised: it takes 5 us."""
_SIDE_FILES = ("-wal", "-shm")

_REMOVED = "The database file was removed or moved away. Put it back, or restart the service to begin with a new one."
_REPLACED = "Another file stands where the database file was. Restart the service to use it, or put the old one back."
_LOG_GONE = (
    "A file beside the database ({name}) was removed or replaced. Restart the service: as it stops, what it has "
    "recorded is written into the database file."
)


class DatabaseFile:
    """The file of one database, and those that SQLite keeps beside it while it is open.

    A process that has opened a file goes on writing to it after it was removed or replaced, and what it records is gone
    once it ends. So `demand_unmoved` has to be called before each COMMIT.
    """

    def __init__(self, url: URL) -> None:
        """Makes the directory. Raises DatabaseUnusable."""
        name = url.database or ":memory:"
        self._is_file = name != ":memory:" and not name.startswith("file:")
        self._name = os.path.abspath(name) if self._is_file else name  # noqa: PTH100 - a link must stay one
        # As SQLite does, which keeps the others beside the file that a symbolic link leads to.
        self._path = os.path.realpath(self._name)
        self._opened: dict[str, tuple[int, int]] = {}
        self._opening = threading.Lock()
        self._unmoved_until = 0.0
        self._told: str | None = None
        if self._is_file:
            _make_directory(Path(self._name).parent)

    def connect(self, timeout_s: float) -> sqlite3.Connection:
        """A connection that begins no transaction of its own. Only the first one may make the file.

        Raises sqlite3.Error, also where the file is not the one that the others have open.
        """
        with self._opening:
            if (trouble := self.trouble()) is not None:
                raise sqlite3.OperationalError(trouble)
            connection = sqlite3.connect(
                self._uri(), uri=True, timeout=timeout_s, isolation_level=None, check_same_thread=False
            )
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                # Waiting for the disk on every commit would cost more than all the rest of a request; see `write`.
                connection.execute("PRAGMA synchronous=NORMAL")
                connection.execute("PRAGMA foreign_keys=ON")
                self._remember()
            except BaseException:
                connection.close()
                raise
        return connection

    def trouble(self) -> str | None:
        """What happened to the files, as a sentence for an operator; None while they are those that were opened."""
        found = self._look()
        if found != self._told:
            self._told = found
            if found is None:
                log.info("the database file is back")
            else:
                log.error("the database file is gone", trouble=found)
        return found

    def demand_unmoved(self, *, at_once: bool) -> None:
        """Raises RecordUnavailable where there is trouble; with `at_once` a moment ago is not good enough."""
        if not at_once and monotonic() < self._unmoved_until:
            return
        if (trouble := self.trouble()) is not None:
            raise RecordUnavailable("The request could not be recorded, so nothing was sent.") from OSError(trouble)
        if self._is_file and len(self._opened) <= len(_SIDE_FILES):
            # They are there once something was read or written.
            self._remember()
        self._unmoved_until = monotonic() + _SEEN_FOR_S

    def forget(self) -> None:
        """All connections are closed, and whoever opens the first one may find other files."""
        self._opened.clear()
        self._unmoved_until = 0.0

    def _look(self) -> str | None:
        for suffix, identity in self._opened.items():
            # The name as it was given: where it is a link, that may lead somewhere else by now.
            found = _identity(self._path + suffix if suffix else self._name)
            if found == identity:
                continue
            if suffix:
                return _LOG_GONE.format(name=Path(self._path + suffix).name)
            return _REMOVED if found is None else _REPLACED
        return None

    def _remember(self) -> None:
        if not self._is_file:
            return
        for suffix in ("", *_SIDE_FILES):
            if suffix not in self._opened and (found := _identity(self._path + suffix)) is not None:
                self._opened[suffix] = found

    def _uri(self) -> str:
        if not self._is_file:
            return self._name
        return f"file:{quote(self._path)}?mode={'rw' if self._opened else 'rwc'}"


def begin(connection: Connection) -> None:
    """Take the write lock at once, so that a second process waits for it.

    A transaction that reads first and writes later would fail at once instead (SQLITE_BUSY_SNAPSHOT).
    """
    run(connection, "BEGIN IMMEDIATE")


def is_in_transaction(connection: Connection) -> bool:
    driver: Any = connection.connection.dbapi_connection
    return bool(driver.in_transaction)


def _identity(path: str) -> tuple[int, int] | None:
    """Device and inode; None where there is no file, or none that can be looked at."""
    try:
        status = os.stat(path)  # noqa: PTH116 - twice as fast as pathlib, and part of every commit
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _make_directory(directory: Path) -> None:
    try:
        # Its owner's alone: the file holds addresses, and messages that wait.
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnusable(f"the directory {directory} of the database cannot be made") from error
