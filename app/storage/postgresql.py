"""What only PostgreSQL needs: a silent server is not waited for, and a COMMIT without an answer is looked up."""

import time
from functools import cache
from typing import Any

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import SQLAlchemyError

from app.storage.prepared import run

BUSY_TIMEOUT_S = 5
"""How long the server waits for a lock or a statement, and a client for a connection."""
SILENCE_S = BUSY_TIMEOUT_S + 2
"""How long a client waits for the server's answer: longer than the server waits itself, so that it can say why."""

ARGUMENTS = {
    "connect_timeout": BUSY_TIMEOUT_S,
    # A server that has gone away, or a row that another session holds, must not hold every request.
    "tcp_user_timeout": BUSY_TIMEOUT_S * 1000,
    "keepalives_idle": BUSY_TIMEOUT_S,
    "options": f"-c statement_timeout={BUSY_TIMEOUT_S}s -c lock_timeout={BUSY_TIMEOUT_S}s",
}

# Not `now()`, which stands still in a transaction: one that waits for a lock would write leases that have ended.
_NOW = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"

TOOK_TOO_LONG = ("55P03", "57014")
"""A lock was not available, a statement was cancelled."""
OF_ONE_JOB = ("40001", "40P01", *TOOK_TOO_LONG)
"""Serialization failure and deadlock, too: the database serves others, and whoever was met by it has to try alone."""


def bound_silence(engine: Engine) -> None:
    """Let every connection of `engine` give up where the server does not answer for `SILENCE_S`."""

    def connect(_dialect: Any, _record: Any, arguments: list[Any], options: dict[str, Any]) -> Any:
        connection = _impatient_connection().connect(*arguments, **options)
        connection.silence_s = SILENCE_S
        return connection

    event.listen(engine, "do_connect", connect)


def wait_without_end(connection: Connection) -> None:
    """Give this connection, which goes to no pool any more, all the time that it needs."""
    connection.detach()
    driver: Any = connection.connection.dbapi_connection
    driver.silence_s = None


def now_ms(connection: Connection) -> int:
    """The server's clock, in milliseconds since 1970."""
    now: int = run(connection, _NOW).fetchone()[0]
    return now


def transaction_id(connection: Connection) -> int | None:
    """Of the transaction that has written something; None where nothing was written."""
    number: int | None = connection.execute(text("SELECT txid_current_if_assigned()")).scalar()
    return number


def was_committed(engine: Engine, number: int) -> bool | None:
    """What became of a transaction whose COMMIT got no answer; None when nobody could say within `BUSY_TIMEOUT_S`."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            with engine.connect() as connection:
                status = connection.execute(text("SELECT txid_status(:number)"), {"number": number}).scalar()
        except SQLAlchemyError:
            status = None
        if status in ("committed", "aborted"):
            return bool(status == "committed")
        if time.monotonic() > deadline:
            return None
        # The server may be about to notice that its client has gone, or be starting.
        time.sleep(0.1)


@cache
def _impatient_connection() -> Any:
    """The class; made here because the driver is an extra."""
    import psycopg

    class ImpatientConnection(psycopg.Connection[Any]):
        # The kernel of a server that hangs, and a proxy in front of it, go on confirming what they receive.
        silence_s: float | None = None

        def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
            """Raises OperationalError, with the connection closed, where the server does not answer."""
            try:
                return super().wait(gen, interval, self.silence_s if timeout is None else timeout)
            except psycopg.OperationalError:
                if self.pgconn.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                    # An answer that comes after all must not be taken for the one to the next question.
                    self.close()
                raise

    return ImpatientConnection
