"""`letterbox projects`, `tokens`, `clients` and `audit`, typed while the service runs on the same database."""

import importlib
import json
import re
import tomllib
from datetime import timedelta

import pytest

from app.cli import main
from app.connections import access
from app.errors import ClientRejected, TokenInvalid
from app.model.access import Permission
from app.settings import PROJECT_ROOT
from tests.cli.conftest import run, running_service

TOKEN = re.compile(r"lbx_[A-Za-z0-9_-]{43}\n")


def test_a_project_is_made_listed_and_deleted() -> None:
    assert run("projects", "create", "Zeta").stdout == "Zeta\n"
    assert run("projects", "create", "Alpha").stdout == "Alpha\n"

    assert [line.split("\t")[0] for line in run("projects", "list").stdout.splitlines()] == ["Alpha", "Zeta"]
    listed = json.loads(run("projects", "list", "--json").stdout)
    assert [project["name"] for project in listed] == ["Alpha", "Zeta"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", listed[0]["createdAt"])

    assert run("projects", "delete", "zeta").stdout == "Zeta\n"
    assert len(json.loads(run("projects", "list", "--json").stdout)) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["projects", "create", "alpha"], "Project 'alpha' already exists"),
        (["projects", "delete", "Beta"], "Project 'Beta' not found"),
        (["tokens", "list", "--project", "Beta"], "Project 'Beta' not found"),
        (["clients", "list", "--project", "Beta"], "Project 'Beta' not found"),
        (["audit", "--project", "Beta"], "Project 'Beta' not found"),
        (["tokens", "revoke", "7"], "There is no token with the id 7."),
        (["clients", "revoke", "lbc_nobody"], "There is no client with that id."),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line_and_exits_with_1(arguments: list[str], said: str) -> None:
    run("projects", "create", "Alpha")
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["projects", "create"],
        ["projects", "create", " "],
        ["projects", "create", "a/b"],
        ["projects", "delete", "\udcff"],
        ["tokens", "create", "--project", "P"],
        ["tokens", "create", "--permission", "EMAILS:SEND"],
        ["tokens", "create", "--project", "P", "--permission", ""],
        ["tokens", "create", "--project", "P", "--permission", "EMAILS:SEND", "--name", "x" * 101],
        ["tokens", "revoke"],
        ["tokens", "revoke", "all"],
        ["tokens", "revoke", "0"],
        ["tokens", "revoke", str(2**31)],
        ["clients", "create", "--project", "P"],
        ["clients", "revoke"],
        ["secrets", "turn"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")


@pytest.mark.parametrize("time", ["0d", "-1d", "30", "d", "1.5h", "30 days", "1y", "999999999w", "1d12h", "٣d", ""])
def test_an_expiry_that_is_none_is_wrong_usage(time: str) -> None:
    result = run("tokens", "create", "--project", "P", "--permission", "EMAILS:SEND", f"--expires-in={time}")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "such as 90m, 12h, 30d or 2w" in result.stderr


@pytest.mark.parametrize("command", ["tokens", "clients"])
def test_a_wrong_permission_is_told_the_right_ones(command: str) -> None:
    result = run(command, "create", "--project", "P", "--permission", "EMAILS:SEND,EMAILS:DELETE")
    assert (result.exit_code, result.stdout) == (2, "")
    said = " ".join(result.stderr.split())
    assert "'EMAILS:DELETE' is not one of: CONNECTIONS:VIEW, CONNECTIONS:MANAGE, EMAILS:SEND, EMAILS:VIEW" in said
    assert run("projects", "list").stdout == ""


def test_a_token_is_made_used_listed_and_revoked_while_the_service_runs() -> None:
    result = run("tokens", "create", "--project", "Monitoring", "--permission", "emails:send, EMAILS:VIEW")
    assert TOKEN.fullmatch(result.stdout)
    token = result.stdout.strip()
    with running_service() as registry:
        caller = registry.live.caller(token)
        assert caller.permissions == {Permission.EMAILS_SEND, Permission.EMAILS_VIEW}
        registry.live.write_uses()

        (entry,) = json.loads(run("tokens", "list", "--json").stdout)
        assert entry["id"] == caller.token_id
        assert entry["project"] == "Monitoring"
        assert entry["name"] == caller.token_name
        assert entry["permissions"] == ["EMAILS:SEND", "EMAILS:VIEW"]
        assert entry["state"] == "valid"
        assert entry["expiresAt"] is None
        assert entry["lastUsedAt"] is not None

        assert run("tokens", "revoke", str(caller.token_id)).stdout == f"{caller.token_id}\n"

        with pytest.raises(TokenInvalid):
            registry.live.caller(token)
    (entry,) = json.loads(run("tokens", "list", "--json").stdout)
    assert entry["state"] == "revoked"


def test_permissions_can_be_repeated() -> None:
    permissions = ("--permission", "CONNECTIONS:MANAGE", "--permission", "EMAILS:SEND,EMAILS:SEND")
    run("tokens", "create", "--project", "P", *permissions, "--name", "both")

    line = run("tokens", "list", "--project", "p").stdout.splitlines()[0].split("\t")
    assert line[1:5] == ["P", "both", "CONNECTIONS:MANAGE,EMAILS:SEND", "valid"]
    assert line[6:] == ["-", "-"], "it never expires and was never used"


@pytest.mark.parametrize(("time", "hours"), [("90m", 1.5), ("12h", 12), ("30D", 720), ("2w", 336)])
def test_a_token_expires_when_it_was_said(time: str, hours: float) -> None:
    token = run(
        "tokens", "create", "--project", "P", "--permission", "EMAILS:SEND", "--expires-in", time
    ).stdout.strip()
    with running_service() as registry:
        assert registry.live.caller(token).project == "P"
        (listed,) = access.list_tokens(registry)
    assert listed.expires_at == listed.created_at + timedelta(hours=hours)


def test_an_expired_token_is_listed_as_such() -> None:
    run("projects", "create", "P")
    with running_service() as registry:
        access.create_token(
            registry, project="P", permissions=[Permission.EMAILS_SEND], expires_in=timedelta(milliseconds=1)
        )
    (entry,) = json.loads(run("tokens", "list", "--json").stdout)
    assert entry["state"] == "expired"


def test_a_client_is_made_used_listed_and_revoked_while_the_service_runs() -> None:
    result = run("clients", "create", "--project", "P", "--permission", "CONNECTIONS:VIEW", "--name", "deploy job")
    made = re.fullmatch(r"client_id=(\S+)\nclient_secret=(\S+)\n", result.stdout)
    assert made is not None
    client_id, client_secret = made.groups()
    with running_service() as registry:
        issued = access.exchange(registry, client_id=client_id, client_secret=client_secret)
        assert registry.live.caller(issued.access_token).token_name == "deploy job"

        (entry,) = json.loads(run("clients", "list", "--json").stdout)
        assert (entry["clientId"], entry["project"], entry["state"]) == (client_id, "P", "valid")
        assert entry["permissions"] == ["CONNECTIONS:VIEW"]

        assert run("clients", "revoke", client_id).stdout == f"{client_id}\n"

        with pytest.raises(TokenInvalid):
            registry.live.caller(issued.access_token)
        with pytest.raises(ClientRejected):
            access.exchange(registry, client_id=client_id, client_secret=client_secret)
    assert run("clients", "list", "--project", "p").stdout.split("\t")[4] == "revoked"


def test_no_command_shows_a_secret_a_second_time() -> None:
    token = run("tokens", "create", "--project", "P", "--permission", "EMAILS:SEND").stdout.strip()
    created = run("clients", "create", "--project", "P", "--permission", "EMAILS:SEND").stdout
    secret = created.split("client_secret=")[1].strip()
    for command in (["tokens", "list"], ["clients", "list"], ["audit"], ["projects", "list"]):
        for arguments in (command, [*command, "--json"]):
            output = run(*arguments).output
            assert "P" in output
            assert token not in output
            assert secret not in output


def test_the_audit_tells_who_did_what() -> None:
    run("tokens", "create", "--project", "P", "--permission", "EMAILS:SEND,EMAILS:VIEW", "--name", "ci")
    run("projects", "create", "Q")

    lines = [line.split("\t")[1:] for line in run("audit", "--project", "p").stdout.splitlines()]
    assert lines == [
        ["P", "command line", "create-project", "P", "-"],
        ["P", "command line", "create-token", "ci", "EMAILS:SEND,EMAILS:VIEW"],
    ]
    entries = json.loads(run("audit", "--json").stdout)
    assert [entry["subject"] for entry in entries] == ["P", "ci", "Q"]
    assert entries[1]["fields"] == ["EMAILS:SEND", "EMAILS:VIEW"]


def test_a_script_that_deletes_a_full_project_is_asked_nothing() -> None:
    run("tokens", "create", "--project", "P", "--permission", "EMAILS:SEND")

    result = run("projects", "delete", "P")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "P\n", "")
    assert run("tokens", "list").stdout == ""


def test_on_a_terminal_deleting_a_full_project_is_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    # The group is named like its module, which hides it from a plain import.
    monkeypatch.setattr(importlib.import_module("app.cli.projects"), "is_at_terminal", lambda: True)
    run("tokens", "create", "--project", "P", "--permission", "EMAILS:SEND")
    run("projects", "create", "Empty")

    refused = run("projects", "delete", "P", typed="n\n")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "Delete P with 1 token?" in refused.stderr
    assert run("tokens", "list").stdout != ""

    assert run("projects", "delete", "Empty").stdout == "Empty\n"
    assert run("projects", "delete", "P", typed="y\n").stdout == "P\n"
    run("tokens", "create", "--project", "P", "--permission", "EMAILS:SEND")
    assert run("projects", "delete", "P", "--yes").stdout == "P\n"


@pytest.mark.parametrize("group", ["projects", "tokens", "clients", "secrets"])
def test_every_command_says_what_it_does(group: str) -> None:
    result = run(group, "--help")
    assert result.exit_code == 0
    for name in main.commands[group].commands:  # type: ignore[attr-defined]
        assert re.search(rf"  {name}  +[A-Z].{{10}}", result.stdout), name


def test_a_bad_setting_exits_with_78(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "http")
    for command in (["projects", "list"], ["tokens", "list"], ["clients", "list"], ["secrets", "rotate"], ["audit"]):
        result = run(*command)
        assert result.exit_code == 78
        assert "PORT" in result.stderr


def test_every_command_is_one_of_flasks_too() -> None:
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    entry_points = project["entry-points"]["flask.commands"]
    assert set(entry_points) == set(main.commands)
    for name, target in entry_points.items():
        module, _, attribute = target.partition(":")
        assert getattr(importlib.import_module(module), attribute) is main.commands[name]
