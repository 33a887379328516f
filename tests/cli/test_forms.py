"""`letterbox forms`, as an operator types it: the key on standard output, everything wrong in a line."""

import importlib
import json
import re
import tomllib

import pytest

from app.cli import main
from app.cli.opening import opened_office
from app.emails import record
from app.emails.queue import enqueue
from app.forms.find import find_form
from app.model.email import EmailRequest, Status
from app.settings import PROJECT_ROOT
from tests.cli.conftest import run

KEY = re.compile(r"[a-z][a-z0-9]{19}\n")
NEEDED = ("--recipient", "office@example.com", "--origin", "https://www.example.com")


def create(name: str = "contact", *arguments: str, project: str = "Shop") -> str:
    result = run("forms", "create", name, "--project", project, *NEEDED, *arguments)
    assert result.exit_code == 0, result.output
    assert KEY.fullmatch(result.stdout)
    return result.stdout.strip()


def shown(key: str) -> dict[str, object]:
    form: dict[str, object] = json.loads(run("forms", "show", key, "--json").stdout)
    return form


def test_a_form_is_made_with_a_project_and_prints_its_key_alone() -> None:
    key = create()
    form = shown(key)
    assert (form["key"], form["name"], form["action"]) == (key, "contact", f"/forms/{key}")
    assert form["recipients"] == ["office@example.com"]
    assert form["allowedOrigins"] == ["https://www.example.com"]
    assert run("projects", "list").stdout.startswith("Shop\t")


def test_every_option_decides_its_field() -> None:
    options = [
        *("--recipient", "boss@example.com", "--origin", "http://localhost:3000", "--template", "professional"),
        *("--redirect-target", "https://shop.example.com/thanks", "--required", "email", "--required", "message"),
        *("--subject", "Hello", "--smtp-id", "1", "--check", "altcha", "--needs-token", "--min-age", "0"),
        *("--per-hour", "7", "--no-files", "--confirm", "--disable"),
    ]
    form = shown(create("contact", *options))
    given = {name: form[name] for name in form if name not in ("key", "name", "createdAt", "updatedAt", "action")}
    assert given == {
        "recipients": ["office@example.com", "boss@example.com"],
        "smtpId": 1,
        "template": "Professional",
        "subject": "Hello",
        "requiredFields": ["email", "message"],
        "allowedOrigins": ["https://www.example.com", "http://localhost:3000"],
        "redirectTargets": ["https://shop.example.com/thanks"],
        "submissionsPerHour": 7,
        "acceptsFiles": False,
        "check": "altcha",
        "needsToken": True,
        "minAgeSeconds": 0,
        "confirmation": True,
        "enabled": False,
    }


def test_forms_of_all_projects_are_listed_behind_the_default_form() -> None:
    first, second = create("beta"), create("Alpha", project="Office")
    lines = [line.split("\t") for line in run("forms", "list").stdout.splitlines()]
    assert [line[:3] for line in lines] == [
        ["default", "-", "Contact form"],
        [second, "Office", "Alpha"],
        [first, "Shop", "beta"],
    ]
    assert lines[1][3:7] == ["office@example.com", "https://www.example.com", "none", "on"]
    (entry,) = json.loads(run("forms", "list", "--project", "shop", "--json").stdout)
    assert (entry["key"], entry["project"], entry["recipients"]) == (first, "Shop", ["office@example.com"])


def test_a_form_is_shown_a_field_in_a_line() -> None:
    key = create()
    lines = dict(line.split("\t") for line in run("forms", "show", key).stdout.splitlines())
    assert lines["key"] == key
    assert lines["subject"] == "-"
    assert list(lines) == list(shown(key))


def test_the_default_form_is_shown_and_cannot_be_changed() -> None:
    assert shown("default")["recipients"] == ["inbox@letterbox.localhost"]
    for arguments in (["update", "default", "--confirm"], ["delete", "default"]):
        result = run("forms", *arguments)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "SMTP_RECEPTION_EMAIL" in result.stderr


def test_an_update_changes_what_is_typed_and_nothing_else() -> None:
    key = create("contact", "--required", "email", "--subject", "Hello", "--no-files", "--smtp-id", "1")
    before = shown(key)
    assert run("forms", "update", key, "--name", "Kontakt", "--needs-token").stdout == f"{key}\n"
    changed = shown(key)
    assert {name for name in before if before[name] != changed[name]} == {"name", "needsToken", "updatedAt"}
    run("forms", "update", key, "--required", "", "--subject", "", "--smtp-id", "", "--files", "--no-needs-token")
    taken_away = shown(key)
    assert (taken_away["requiredFields"], taken_away["subject"], taken_away["smtpId"]) == ([], None, None)
    assert (taken_away["acceptsFiles"], taken_away["needsToken"]) == (True, False)
    run("forms", "update", key, "--recipient", "new@example.com")
    assert shown(key)["recipients"] == ["new@example.com"]


def test_a_deleted_form_is_gone() -> None:
    key = create()
    assert run("forms", "delete", key).stdout == f"{key}\n"
    assert len(run("forms", "list").stdout.splitlines()) == 1
    for command in ("show", "update", "delete"):
        result = run("forms", command, key)
        assert (result.exit_code, result.stdout) == (1, "")
        assert f"Form '{key}' not found" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--recipient", "nobody", "--origin", "https://a.example"], "'nobody' is none"),
        (["--recipient", "a@example.com"], "without one no page could submit the form"),
        (["--recipient", "a@example.com", "--origin", "https://a.example/contact"], "Write https://a.example."),
        ([*NEEDED, "--smtp-id", "7"], "one that the project can choose: 1."),
        ([*NEEDED, "--template", "Pretty"], "Default, Modern"),
        ([*NEEDED, "--per-hour", "0"], "from 1 to 10000"),
        ([*NEEDED, "--check", "turnstile"], "TURNSTILE_SITE_KEY"),
        ([*NEEDED, "--subject", "\udcff"], "control characters"),
    ],
)
def test_what_cannot_be_is_said_in_a_line_and_makes_nothing(arguments: list[str], said: str) -> None:
    result = run("forms", "create", "contact", "--project", "Shop", *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert run("projects", "list").stdout == "", "no project is left behind either"


def test_a_name_that_is_taken_is_said() -> None:
    create()
    result = run("forms", "create", "CONTACT", "--project", "SHOP", *NEEDED)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Form 'CONTACT' already exists" in result.stderr


def leave(key: str, *statuses: Status) -> None:
    """Submissions of a form as they lie there when nobody took them, or nobody said so."""
    with opened_office(is_sending=True) as office:
        form = find_form(office, key)
        for number, status in enumerate(statuses):
            enqueue(office, EmailRequest(email=f"{number}@example.com", message="Hello!"), form=form)
            (email,) = record.claim(office)
            record.settle(office, email, attempts=(), status=status)


@pytest.mark.parametrize(
    ("options", "queued", "recipient"),
    [
        ([], 2, "office@example.com"),
        (["--uncertain"], 3, "office@example.com"),
        (["--to", "rescue@example.com"], 2, "rescue@example.com"),
    ],
)
def test_what_was_not_delivered_is_sent_again_and_the_rest_is_said(
    options: list[str], queued: int, recipient: str
) -> None:
    key = create()
    leave(key, Status.FAILED, Status.UNCERTAIN, Status.FAILED, Status.SENT)
    result = run("forms", "retry", key, *options)
    assert (result.exit_code, result.stdout) == (0, f"{queued}\n")
    assert "2 failed, 1 uncertain" in result.stderr
    assert ("--uncertain" in result.stderr) is ("--uncertain" not in options)
    with opened_office(is_sending=True) as office:
        assert [email.reception_email for email in record.claim(office, limit=9)] == [recipient] * queued
    line = run("audit").stdout.splitlines()[-1].split("\t")
    assert line[1:5] == ["Shop", "command line", "retry-form", "contact"]


def test_of_the_default_form_it_is_sent_again_too() -> None:
    leave("default", Status.FAILED)
    assert run("forms", "retry", "default").stdout == "1\n"
    assert "retry-form" in run("audit").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["create", "contact", *NEEDED],
        ["create", "contact", "--project", "P", "--origin", "https://a.example"],
        ["create", " ", "--project", "P", *NEEDED],
        ["create", "contact", "--project", "a/b", *NEEDED],
        ["create", "contact", "--project", "P", *NEEDED, "--check", "turing"],
        ["create", "contact", "--project", "P", *NEEDED, "--smtp-id", "x"],
        ["create", "contact", "--project", "P", *NEEDED, "--smtp-id", "99999999999"],
        ["create", "contact", "--project", "P", *NEEDED, "--min-age", "soon"],
        ["retry", "default", "--to", "nobody"],
        ["retry"],
        ["show"],
        ["update"],
        ["delete"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    result = run("forms", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")


def test_the_audit_names_the_command_line() -> None:
    key = create()
    run("forms", "update", key, "--subject", "Hello")
    run("forms", "delete", key)
    lines = [line.split("\t")[1:] for line in run("audit").stdout.splitlines()]
    assert [line[:4] for line in lines] == [
        ["Shop", "command line", "create-project", "Shop"],
        ["Shop", "command line", "create-form", "contact"],
        ["Shop", "command line", "update-form", "contact"],
        ["Shop", "command line", "delete-form", "contact"],
    ]
    assert lines[2][4] == "subject"


def test_the_command_is_one_of_flasks_too_and_says_what_it_does() -> None:
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, _, attribute = project["entry-points"]["flask.commands"]["forms"].partition(":")
    assert getattr(importlib.import_module(module), attribute) is main.commands["forms"]
    helped = run("forms", "--help").stdout
    for name in ("create", "list", "show", "update", "delete", "retry"):
        assert re.search(rf"  {name}  +[A-Z].{{10}}", helped), name
