"""What the commands about projects, tokens, clients and the audit share: strict options, and how lists are printed."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import click
from email_validator import EmailNotValidError, validate_email

from app.connections.access import LONGEST_LIFE
from app.model.access import Permission
from app.model.names import name_fault

Command = TypeVar("Command", bound=Callable[..., Any])

_PERMISSIONS = ", ".join(Permission)
_DURATION = re.compile(r"([0-9]{1,8})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def name(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """A callback: the name of something, or a usage error that says why it is none."""
    if value is not None and (fault := name_fault(value)) is not None:
        raise click.BadParameter(fault)
    return value


def address(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """A callback: an address that mail can be sent to."""
    if value is None:
        return None
    try:
        return validate_email(value, check_deliverability=False, globally_deliverable=False).normalized
    except EmailNotValidError as error:
        raise click.BadParameter(str(error)) from error


def duration(_: click.Context, __: click.Parameter, value: str | None) -> timedelta | None:
    """A callback: `30d`, `12h`, `90m`, `2w`."""
    if value is None:
        return None
    match = _DURATION.fullmatch(value.strip().lower())
    length = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else timedelta(0)
    if not timedelta(0) < length <= LONGEST_LIFE:
        raise click.BadParameter(f"{value!r} is no time such as 90m, 12h, 30d or 2w (at most 100 years).")
    return length


def _permissions(_: click.Context, __: click.Parameter, values: Sequence[str]) -> frozenset[Permission]:
    granted = set()
    for text in (part.strip() for value in values for part in value.split(",")):
        try:
            granted.add(Permission(text.upper()))
        except ValueError:
            raise click.BadParameter(f"{text!r} is not one of: {_PERMISSIONS}") from None
    return frozenset(granted)


def grant_options(command: Command) -> Command:
    """--project, --permission and --name, for what is given permissions in a project."""
    options = (
        click.option("--project", required=True, callback=name, help="Its project; made when it is missing."),
        click.option(
            "--permission",
            "permissions",
            required=True,
            multiple=True,
            callback=_permissions,
            metavar="RESOURCE:ACTION",
            help=f"{_PERMISSIONS}; can be repeated or be a list with commas.",
        ),
        click.option("--name", callback=name, help="What the audit calls it; default: a name of its own."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def in_project(command: Command) -> Command:
    """--project, for a list of one project's or of all."""
    return click.option("--project", callback=name, help="Only of this project.")(command)


def as_json(command: Command) -> Command:
    """--json, where a list is printed."""
    return click.option("--json", "is_json", is_flag=True, help="As a JSON array.")(command)


def print_list(entries: Sequence[Mapping[str, Any]], *, is_json: bool) -> None:
    """An array for scripts; else a line each, its values apart by tabs, a dash where there is none."""
    if is_json:
        click.echo(json.dumps(entries, indent=2))
        return
    for entry in entries:
        click.echo("\t".join(_text(value) for value in entry.values()))


def moment(value: datetime | None) -> str | None:
    """A moment as every command prints it."""
    return None if value is None else value.isoformat(timespec="seconds")


def _text(value: object) -> str:
    """A value on one line: nothing in it begins another one, another column, or a terminal's escape sequence."""
    if isinstance(value, list):
        value = ",".join(value)
    if value in (None, ""):
        return "-"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(value))
