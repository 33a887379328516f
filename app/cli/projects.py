"""`letterbox projects`: what connections, tokens and their emails belong to."""

import sys
from dataclasses import fields

import click

from app.cli import options
from app.cli.opening import LetterboxCommand, opened_office
from app.connections import projects as use_cases
from app.connections.projects import ProjectContents

_NOTHING = ProjectContents()


@click.group()
def projects() -> None:
    """Make, list and delete projects."""


@projects.command("create", cls=LetterboxCommand)
@click.argument("name", callback=options.name)
def create_project(name: str) -> None:
    """Make the project NAME."""
    with opened_office() as office:
        project = use_cases.create_project(office.registry, name)
    click.echo(project.name)


@projects.command("list", cls=LetterboxCommand)
@options.as_json
def list_projects(*, is_json: bool) -> None:
    """Print all projects and since when they are there, ordered by name."""
    with opened_office() as office:
        found = use_cases.list_projects(office.registry)
    entries = [{"name": project.name, "createdAt": options.moment(project.created_at)} for project in found]
    options.print_list(entries, is_json=is_json)


@projects.command("delete", cls=LetterboxCommand)
@click.argument("name", callback=options.name)
@click.option("--yes", is_flag=True, help="Ask nothing.")
def delete_project(name: str, *, yes: bool) -> None:
    """Delete the project NAME with its connections, tokens and clients.

    On a terminal it asks first when there are any. The project's emails stay on record.
    """
    with opened_office() as office:
        project = use_cases.find_project(office.registry, name)
        contents = use_cases.project_contents(office.registry, name)
        if not yes and contents != _NOTHING and is_at_terminal():
            click.confirm(f"Delete {project.name} with {_counts(contents)}?", abort=True, err=True)
        use_cases.delete_project(office.registry, name)
    click.echo(project.name)


def is_at_terminal() -> bool:
    """Whether somebody is there to answer. A script is not asked."""
    return sys.stdin.isatty()


def _counts(contents: ProjectContents) -> str:
    counts = {field.name: getattr(contents, field.name) for field in fields(contents)}
    return ", ".join(f"{count} {what if count != 1 else what[:-1]}" for what, count in counts.items() if count)
