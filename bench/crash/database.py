"""A database of a run's own, which is gone afterwards."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier

_SERVER = "postgresql://127.0.0.1:5432/postgres"


def is_postgresql_there() -> bool:
    """Whether a PostgreSQL server answers on this machine without asking for a password."""
    try:
        psycopg.connect(_SERVER, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


@contextmanager
def database(kind: str, directory: Path) -> Iterator[str]:
    """The URL of an empty one; `kind` is sqlite or postgresql."""
    if kind == "sqlite":
        yield f"sqlite:///{directory / 'letterbox.db'}"
        return
    name = f"letterbox_crash_{uuid.uuid4().hex}"
    with psycopg.connect(_SERVER, autocommit=True, connect_timeout=5) as server:
        server.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        try:
            yield f"postgresql+psycopg://127.0.0.1:5432/{name}"
        finally:
            server.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))
