"""Which `.env` is read, and where relative paths count from: the same wherever a command is started."""

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import dotenv
import pytest

from app.errors import SettingsInvalid
from app.settings import PROJECT_ROOT, load_settings, sources
from tests.settings.environment import ENTRY, KEY, SECRET, smtp
from tests.smtp_server import SMTPServer, authority


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project's own directory, which a command is not started in."""
    directory = tmp_path / "project"
    directory.mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr(sources, "PROJECT_ROOT", directory)
    monkeypatch.chdir(tmp_path / "elsewhere")
    return directory


def port(**environ: str) -> int:
    return load_settings({"SECRET_KEY": KEY, **environ}).port


def test_a_named_file_comes_before_the_working_directory_and_that_before_the_project(project: Path) -> None:
    named = project.parent / "named"
    assert port() == 8000
    for number, path in enumerate((project / ".env", Path(".env"), named), 8001):
        path.write_text(f"PORT={number}")
        environ = {"LETTERBOX_ENV_FILE": str(named)} if path == named else {}
        assert port(**environ) == number
    assert port(LETTERBOX_ENV_FILE=" ") == 8002
    assert port(LETTERBOX_ENV_FILE="../named") == 8003
    assert port(LETTERBOX_ENV_FILE=os.devnull) == 8000


def test_a_directory_called_env_is_not_the_file(project: Path) -> None:
    Path(".env").mkdir()
    (project / ".env").write_text("PORT=8001")

    assert port() == 8001


def test_a_working_directory_that_is_gone_is_not_looked_into(project: Path) -> None:
    (project / ".env").write_text("PORT=8001")
    Path.cwd().rmdir()

    assert port() == 8001


def test_a_working_directory_without_permission_is_not_looked_into(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / ".env").write_text("PORT=8001")
    elsewhere, is_file = Path.cwd() / ".env", Path.is_file

    def refused(path: Path) -> bool:
        # Tests run as root, too, who may look everywhere.
        if path == elsewhere:
            raise PermissionError
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", refused)
    assert port() == 8001


@pytest.mark.parametrize(
    ("named", "found"), [("nowhere", "where there is no file"), ("..", "which is no file"), ("~nobody-/x", "home")]
)
def test_a_named_file_that_is_none_stops_the_start(project: Path, named: str, found: str) -> None:
    (project / ".env").write_text("PORT=8001")

    with pytest.raises(SettingsInvalid) as caught:
        port(LETTERBOX_ENV_FILE=named)
    (problem,) = caught.value.problems
    assert problem.startswith(f"LETTERBOX_ENV_FILE: found '{named}', ")
    assert found in problem
    assert "leave LETTERBOX_ENV_FILE out" in problem


def test_a_file_cannot_name_another_one(project: Path) -> None:
    (project / ".env").write_text("LETTERBOX_ENV_FILE=/etc/other\nPORT=8001")

    settings = load_settings({"SECRET_KEY": KEY})

    assert settings.port == 8001
    (warning,) = settings.warnings
    assert "LETTERBOX_ENV_FILE has no effect" in warning


@pytest.mark.parametrize("has_file", [True, False])
def test_relative_paths_count_from_the_directory_of_the_file_else_from_the_project(
    project: Path, has_file: bool
) -> None:
    home = project
    environ = smtp(ENTRY | {"CAFile": "ca.pem"}, SECRET_KEY=KEY)
    if has_file:
        home = project.parent / "home"
        home.mkdir()
        (home / ".env").touch()
        environ["LETTERBOX_ENV_FILE"] = "../home/.env"
    shutil.copy(authority().ca_file, home / "ca.pem")

    settings = load_settings(environ)
    assert settings.var_dir == home / "var"
    assert settings.database_url == f"sqlite:///{home}/var/letterbox.db"
    assert settings.smtp_configurations[0].ca_file == str(home / "ca.pem")
    settings = load_settings(environ | {"VAR_DIR": "data", "DATABASE_URL": "sqlite:///data/mail.db"})
    assert (settings.var_dir, settings.database_url) == (home / "data", f"sqlite:///{home}/data/mail.db")


def test_an_installed_package_takes_the_working_directory_or_that_of_its_virtual_environment(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "IS_INSTALLED", True)
    monkeypatch.setattr(sys, "prefix", str(project / ".venv"))

    assert load_settings({"SECRET_KEY": KEY}).var_dir == Path.cwd() / "var"
    (project / ".env").write_text("PORT=8001")
    settings = load_settings({"SECRET_KEY": KEY})
    assert (settings.port, settings.var_dir) == (8001, project / "var")


def test_what_flask_has_read_from_the_file_is_taken_as_it_stands_there(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = smtp(ENTRY, SMTP_1_PASSWORD="${HOME}$x")
    Path(".env").write_text("".join(f"{name}='{text}'\n" for name, text in variables.items()))
    loaded = {name: text or "" for name, text in dotenv.dotenv_values(".env").items()}
    assert loaded["SMTP_1_PASSWORD"] != "${HOME}$x"

    (configuration,) = load_settings({"SECRET_KEY": KEY, "FLASK_RUN_FROM_CLI": "true"} | loaded).smtp_configurations
    assert configuration.account.password == "${HOME}$x"


def test_a_checkout_is_the_same_from_everywhere(tmp_path: Path) -> None:
    for name in ("app", "templates"):
        shutil.copytree(PROJECT_ROOT / name, tmp_path / name)
    with SMTPServer() as server:
        entry = ENTRY | {"Host": "127.0.0.1", "Port": server.port, "Auth": "none", "Security": "none"}
        variables = smtp(entry)
        del variables["SMTP_1_PASSWORD"]
        (tmp_path / ".env").write_text("".join(f"{name}='{text}'\n" for name, text in variables.items()))
        environ = {name: text for name, text in os.environ.items() if name not in ("LETTERBOX_ENV_FILE", "VAR_DIR")}
        command = [sys.executable, "-m", "app", "send", "--verbose", "--message", "Hello"]
        ended = subprocess.run(
            command, env=environ | {"PYTHONPATH": str(tmp_path)}, cwd="/", capture_output=True, text=True, check=False
        )
    assert ended.returncode == 0, ended.stderr
    assert f"letterbox: settings from {tmp_path}/.env" in ended.stderr
    assert SECRET not in ended.stderr
    assert len(server.messages) == 1
    (count,) = sqlite3.connect(tmp_path / "var" / "letterbox.db").execute("SELECT count(*) FROM emails").fetchone()
    assert count == 1
