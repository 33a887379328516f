"""`letterbox forms`: the web forms of all projects. A form's key is public, so all of it may be shown."""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from app.cli import options
from app.cli.opening import LetterboxCommand, opened_office
from app.forms import operator
from app.forms.fields import HIGHEST_SMTP_ID, public_fields
from app.forms.find import find_form
from app.forms.retry import retry_submissions
from app.model.form import Form, HumanCheck

Command = TypeVar("Command", bound=Callable[..., Any])


@click.group()
def forms() -> None:
    """Make, list, show, change and delete web forms."""


def _smtp_id(_: click.Context, __: click.Parameter, value: str | None) -> int | str | None:
    """A callback: a number, or nothing but quotes for none."""
    if value is None or value == "":
        return value
    if not (value.isascii() and value.isdigit() and len(value) < 11 and int(value) <= HIGHEST_SMTP_ID):
        raise click.BadParameter(f"{value!r} is not the index of an SMTP configuration.")
    return int(value)


def _decided(*, is_new: bool) -> Callable[[Command], Command]:
    """The options for what an owner decides, each called like its field; what is not typed is not given."""
    repeated, flag = {"multiple": True}, {"is_flag": True, "default": None}
    table: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
        (("--recipient", "recipients"), repeated | {"required": is_new, "help": "Who gets the mail; repeatable."}),
        (("--origin", "allowedOrigins"), repeated | {"help": "Whose pages may submit it; repeatable."}),
        (("--redirect-target", "redirectTargets"), repeated | {"help": "Where a visitor may be sent; repeatable."}),
        (("--required", "requiredFields"), repeated | {"help": "A field that must not be empty; repeatable."}),
        (("--template", "template"), {"help": "Such as Professional; default: a table of all fields."}),
        (("--subject", "subject"), {"help": "Of the mail; default: what the visitor wrote."}),
        (
            ("--smtp-id", "smtpId"),
            {"callback": _smtp_id, "help": "Through which SMTP configuration; default: the first."},
        ),
        (
            ("--check", "check"),
            {"type": click.Choice([check.value for check in HumanCheck]), "help": "What a browser has to show."},
        ),
        (("--needs-token/--no-needs-token", "needsToken"), flag | {"help": "Whether the page fetches a token first."}),
        (("--min-age", "minAgeSeconds"), {"type": int, "help": "Seconds from the token to the submission."}),
        (("--per-hour", "submissionsPerHour"), {"type": int, "help": "How many submissions it takes in an hour."}),
        (("--files/--no-files", "acceptsFiles"), flag | {"help": "Whether visitors may attach files."}),
        (("--confirm/--no-confirm", "confirmation"), flag | {"help": "Whether visitors get a confirmation."}),
        (("--enable/--disable", "enabled"), flag | {"help": "Whether it takes submissions."}),
    )

    def decorate(command: Command) -> Command:
        for names, settings in reversed(table):
            command = click.option(*names, **settings)(command)
        return command

    return decorate


@forms.command("create", cls=LetterboxCommand)
@click.argument("name", callback=options.name)
@click.option("--project", required=True, callback=options.name, help="Its project; made when it is missing.")
@_decided(is_new=True)
def create_form(name: str, project: str, **decided: Any) -> None:
    """Make the form NAME and print its key, alone."""
    # As for sending, so that it can choose what the service can.
    with opened_office(is_sending=True) as office:
        form = operator.create_form(office, project, name, _given(decided))
    click.echo(form.key)


@forms.command("list", cls=LetterboxCommand)
@options.in_project
@options.as_json
def list_forms(*, project: str | None, is_json: bool) -> None:
    """Print all forms: key, project, name, recipients, origins, check, state, and when; the default form first."""
    with opened_office() as office:
        found = operator.list_forms(office, project)
    options.print_list([_entry(name, form) for name, form in found], is_json=is_json)


@forms.command("show", cls=LetterboxCommand)
@click.argument("key")
@click.option("--json", "is_json", is_flag=True, help="As a JSON object.")
def show_form(key: str, *, is_json: bool) -> None:
    """Print everything about the form with this KEY, a field in a line."""
    with opened_office() as office:
        shown = public_fields(find_form(office, key), base_url=office.settings.public_url or "")
    if is_json:
        click.echo(json.dumps(shown, indent=2))
    else:
        options.print_list([{"name": name, "value": value} for name, value in shown.items()], is_json=False)


@forms.command("update", cls=LetterboxCommand)
@click.argument("key")
@click.option("--name", callback=options.name, help="Its new name.")
@_decided(is_new=False)
def update_form(key: str, name: str | None, **decided: Any) -> None:
    """Change what is typed of the form with this KEY, and nothing else; '' takes a value away."""
    changes = _given(decided) | ({} if name is None else {"name": name})
    with opened_office(is_sending=True) as office:
        form = operator.update_form(office, key, changes)
    click.echo(form.key)


@forms.command("delete", cls=LetterboxCommand)
@click.argument("key")
def delete_form(key: str) -> None:
    """Delete the form with this KEY; pages that still post to it are told that there is none."""
    with opened_office() as office:
        form = operator.delete_form(office, key)
    click.echo(form.key)


@forms.command("retry", cls=LetterboxCommand)
@click.argument("key")
@click.option("--uncertain", is_flag=True, help="Also what may have arrived: no server said whether it did.")
@click.option("--to", callback=options.address, help="To this address instead of the form's recipients.")
def retry_form(key: str, *, uncertain: bool, to: str | None) -> None:
    """Send again what the form with this KEY received and was not delivered; print how many emails.

    They go to the form's present recipients, and are queued: the service, or its workers, deliver them.
    """
    with opened_office(is_sending=True) as office:
        recipients = () if to is None else (to,)
        form = find_form(office, key)
        retried = retry_submissions(office, form, with_uncertain=uncertain, recipients=recipients)
    click.echo(f"letterbox: {retried.failed} failed, {retried.uncertain} uncertain", err=True)
    if retried.uncertain and not uncertain:
        click.echo("letterbox: what is uncertain may have arrived; --uncertain sends it again, too", err=True)
    click.echo(retried.queued)


def _given(decided: dict[str, Any]) -> dict[str, Any]:
    """Of the options those that were typed, as a body has them."""
    return {name: _value(value) for name, value in decided.items() if value is not None and value != ()}


def _value(value: Any) -> Any:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [text for text in value if text != ""]
    return None if value == "" else value


def _entry(project: str | None, form: Form) -> dict[str, Any]:
    return {
        "key": form.key,
        "project": project,
        "name": form.name,
        "recipients": list(form.recipients),
        "allowedOrigins": list(form.allowed_origins),
        "check": form.check,
        "state": "on" if form.is_enabled else "off",
        "createdAt": options.moment(form.created_at),
    }
