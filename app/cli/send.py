"""`letterbox send`: one mail through the same path as the API, for trying a set-up."""

import sys
from dataclasses import replace

import click

from app.cli import options
from app.cli.opening import LetterboxCommand, opened_office
from app.emails.send import send as send_email
from app.errors import DeliveryError
from app.model.email import EmailRequest, Priority


@click.command(cls=LetterboxCommand)
@click.option("--to", callback=options.address, help="Recipient; default: SMTP_RECEPTION_EMAIL.")
@click.option(
    "--from", "sender", callback=options.address, default="visitor@example.com", help="Who the mail says wrote it."
)
@click.option("--username", default="", help="That person's name.")
@click.option("--message", required=True, help="The text.")
@click.option("--subject", help="Subject template.")
@click.option("--template", help="Default, Modern, Minimal, Professional or Alert.")
@click.option("--field", "fields", multiple=True, metavar="NAME=TEXT", help="A custom field; can be repeated.")
@click.option("--priority", type=click.Choice([priority.value for priority in Priority], case_sensitive=False))
@click.option("--smtp-id", type=int, help="Index of the SMTP configuration; default: the first.")
@click.option("--test", "is_test", is_flag=True, help="From the configuration's test address.")
def send(
    *,
    to: str | None,
    sender: str,
    username: str,
    message: str,
    subject: str | None,
    template: str | None,
    fields: tuple[str, ...],
    priority: str | None,
    smtp_id: int | None,
    is_test: bool,
) -> None:
    """Send one mail; prints its id and status."""
    with opened_office(is_sending=True) as office:
        request = EmailRequest(
            email=sender,
            username=username,
            message=message,
            subject_template=subject,
            template=_template(template, office.templates.names),
            custom_fields=dict(_field(text) for text in fields),
            priority=Priority(priority.capitalize()) if priority else Priority.NORMAL,
        )
        if to is not None:
            office = replace(office, settings=replace(office.settings, reception_email=to))
        try:
            email = send_email(office, request, smtp_id=smtp_id, is_test=is_test)
        except DeliveryError as error:
            email = error.email
        for attempt in email.attempts:
            said = f"SMTP_{attempt.smtp_id}: {attempt.outcome} at {attempt.stage} after {attempt.duration_ms} ms"
            click.echo(f"{said} {attempt.detail}".rstrip(), err=True)
    click.echo(f"{email.id} {email.status}")
    if email.delivered_smtp_id is None:
        sys.exit(1)


def _template(name: str | None, names: tuple[str, ...]) -> str | None:
    if name is None:
        return None
    for known in names:
        if known.lower() == name.lower():
            return known
    raise click.BadParameter(f"must be one of: {', '.join(names)}", param_hint="--template")


def _field(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise click.BadParameter("must be NAME=TEXT", param_hint="--field")
    return name, value
