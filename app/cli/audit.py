"""`letterbox audit`: who changed what, when. Names only, never values."""

import click

from app.cli import options
from app.cli.opening import LetterboxCommand, opened_office
from app.connections.projects import list_audit


@click.command(cls=LetterboxCommand)
@options.in_project
@options.as_json
def audit(*, project: str | None, is_json: bool) -> None:
    """Print what was done, oldest first: when, project, who, what, to which, and the fields that changed."""
    with opened_office() as office:
        found = list_audit(office.registry, project)
    entries = [
        {
            "at": options.moment(entry.at),
            "project": entry.project,
            "actor": entry.actor,
            "action": entry.action,
            "subject": entry.subject,
            "fields": list(entry.fields),
        }
        for entry in found
    ]
    options.print_list(entries, is_json=is_json)
