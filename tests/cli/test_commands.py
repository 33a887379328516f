"""The command line as an operator uses it: results on standard output, everything else on standard error."""

import json
import os
import pty
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from app.cli import main
from app.emails.office import Office
from app.inbox import InboxStore
from app.settings import PROJECT_ROOT, load_settings
from app.storage import blocks
from app.storage.blocks import BlockRow
from app.storage.schema import migrate
from tests.smtp_server import SMTPServer, authority


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nothing is set but where the files are."""
    monkeypatch.chdir(tmp_path)
    for variable in ("SMTP_CONFIGURATIONS", "ENVIRONMENT", "DATABASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("VAR_DIR", str(tmp_path / "var"))


def _run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def _use(monkeypatch: pytest.MonkeyPatch, server: SMTPServer, password: str) -> None:
    configuration = {
        "Index": 1,
        "Host": "127.0.0.1",
        "Port": server.port,
        "Email": "sender@example.com",
        "CAFile": authority().ca_file,
    }
    monkeypatch.setenv("SMTP_CONFIGURATIONS", json.dumps([configuration]))
    monkeypatch.setenv("SMTP_1_PASSWORD", password)
    monkeypatch.setenv("SMTP_RECEPTION_EMAIL", "office@example.com")


def test_send_goes_through_the_configured_server(monkeypatch: pytest.MonkeyPatch) -> None:
    with SMTPServer(starttls=True, credentials=("sender@example.com", "secret")) as server:
        _use(monkeypatch, server, "secret")
        arguments = ["--message", "Hello", "--template", "modern", "--to", "x@example.com", "--field", "Company=Äcme"]
        result = _run("send", *arguments)
    assert result.exit_code == 0
    email_id, status = result.stdout.split()
    assert status == "Sent"
    (message,) = server.messages
    assert message.parsed["X-Email-Id"] == email_id
    assert list(message.recipients) == ["x@example.com"]


def test_send_without_a_server_goes_to_the_embedded_inbox(tmp_path: Path) -> None:
    for _ in range(2):  # an operator is nobody to guard against
        assert _run("send", "--message", "Hello").stdout.split()[1] == "Sent"
    assert len(InboxStore(tmp_path / "var" / "inbox").list()) == 2


def test_send_says_why_it_failed_and_exits_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    with SMTPServer(faults={"MAIL": "550 5.7.1 not you"}) as server:
        _use(monkeypatch, server, "secret")
        result = _run("send", "--message", "Hello")
    assert result.exit_code == 1
    assert result.stdout.split()[1] == "Failed"
    assert "SMTP_1: server-at-fault" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["send"],
        ["send", "--message", "x", "--to", "nobody"],
        ["send", "--message", "x", "--template", "fancy"],
        ["send", "--message", "x", "--field", "novalue"],
        ["blocks", "remove", "nonsense"],
        ["check-smtp", "--index", "9"],
        ["unknown"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    result = _run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""


@pytest.mark.parametrize(("password", "exit_code", "said"), [("secret", 0, "auth ok"), ("mistyped", 1, "remedy:")])
def test_check_smtp_signs_in(monkeypatch: pytest.MonkeyPatch, password: str, exit_code: int, said: str) -> None:
    with SMTPServer(starttls=True, credentials=("sender@example.com", "secret")) as server:
        _use(monkeypatch, server, password)
        result = _run("check-smtp")
    assert result.exit_code == exit_code
    assert said in result.stdout
    assert "SMTP_1" in result.stdout
    assert password not in result.output


def test_a_bad_setting_is_named_and_exits_with_78(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("PORT", "http")
    for command in (["serve"], ["check-smtp"], ["send", "--message", "x"], ["prune"]):
        result = _run(*command)
        assert result.exit_code == 78
        assert "PORT" in result.stderr
        assert "SECRET_KEY" in result.stderr
        assert "Traceback" not in result.stderr


@pytest.mark.parametrize("arguments", [["--verbose", "blocks", "list"], ["blocks", "list", "--verbose"]])
def test_a_command_says_which_file_it_reads_when_it_is_asked(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=http")
    result = CliRunner(env={"LETTERBOX_ENV_FILE": ""}).invoke(main, arguments)
    told, *problems = result.stderr.splitlines()
    assert told == f"letterbox: settings from {tmp_path}/.env"
    assert "PORT" in problems[-1]
    assert result.stdout == ""


def test_it_says_so_on_a_terminal_and_is_quiet_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _run("blocks", "list").stderr == ""
    output, terminal = pty.openpty()
    with os.fdopen(terminal, "w") as stderr, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stderr)
        main.main(["blocks", "list"], standalone_mode=False)
    told = os.read(output, 1000).decode()
    os.close(output)
    assert told.strip() == f"letterbox: settings from the environment alone; paths count from {PROJECT_ROOT}"


def test_every_command_knows_verbose() -> None:
    def commands(group: click.Group) -> Iterator[click.Command]:
        for command in group.commands.values():
            yield from commands(command) if isinstance(command, click.Group) else [command]

    for command in commands(main):
        assert "--verbose" in [name for option in command.params for name in option.opts], command.name


def test_check_smtp_without_a_server_fails() -> None:
    assert _run("check-smtp").exit_code == 1


def test_check_smtp_speaks_json_for_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    with SMTPServer(starttls=True, credentials=("sender@example.com", "secret")) as server:
        _use(monkeypatch, server, "secret")
        (entry,) = json.loads(_run("check-smtp", "--json").stdout)
    assert entry["success"] is True
    assert [step["name"] for step in entry["steps"]] == ["dns", "tcp", "tls", "ehlo", "auth"]


def test_a_database_that_cannot_be_used_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for url in (f"sqlite:///{tmp_path}/file/x.db", "postgresql+psycopg://someone:secret@127.0.0.1:1/x"):
        monkeypatch.setenv("DATABASE_URL", url)
        for command in (["serve"], ["prune"]):
            result = _run(*command)
            assert result.exit_code == 1
            assert result.stderr.startswith("letterbox: the d")
            assert "Traceback" not in result.stderr
            assert "secret" not in result.stderr


def test_blocks_are_listed_and_lifted() -> None:
    office = Office.open(load_settings())
    migrate(office.database)
    row = BlockRow(client="203.0.113.7", reason="burst", blocked_at=1_700_000_000_000, blocked_until=4_000_000_000_000)
    office.database.write(lambda connection: blocks.add(connection, [row]))
    office.close()
    assert "203.0.113.7\tburst\tuntil 2096" in _run("blocks", "list").stdout
    (entry,) = json.loads(_run("blocks", "list", "--json").stdout)
    assert entry["client"] == "203.0.113.7"
    assert _run("blocks", "remove", "203.0.113.7").exit_code == 0
    assert json.loads(_run("blocks", "list", "--json").stdout) == []
    assert _run("blocks", "remove", "203.0.113.7").exit_code == 1


def test_prune_says_what_it_deleted() -> None:
    assert (
        _run("prune").stdout
        == "emails 0\ncooldowns 0\nblocks 0\naccess tokens 0\naudit entries 0\nidempotency keys 0\n"
        "form marks 0\nsubmission shares 0\n"
    )
