"""What the command line's tests share: a machine on which nothing is set, and a way to type a command."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from app.connections.registry import Registry
from app.emails.office import Office
from app.settings import load_settings


@pytest.fixture(autouse=True)
def _machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is set but where the files are."""
    monkeypatch.chdir(tmp_path)
    for variable in ("SMTP_CONFIGURATIONS", "ENVIRONMENT", "DATABASE_URL", "SECRET_KEY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("VAR_DIR", str(tmp_path / "var"))


def run(*arguments: str, typed: str | None = None) -> Result:
    """What a command prints and how it exits; `typed` is what somebody answers to its questions."""
    result = CliRunner().invoke(main, arguments, input=typed)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@contextmanager
def running_service() -> Iterator[Registry]:
    """The registry of a process that serves, on the database that the commands use."""
    office = Office.open(load_settings())
    try:
        yield office.registry
    finally:
        office.close()
