"""`letterbox clients`: who may exchange credentials for short-lived access tokens at `POST /apiops/auth/token`."""

import sys

import click

from app.cli import options
from app.cli.opening import LetterboxCommand, opened_office
from app.connections import access
from app.model.access import Permission


@click.group()
def clients() -> None:
    """Make, list and revoke OAuth clients."""


@clients.command("create", cls=LetterboxCommand)
@options.grant_options
def create_client(*, project: str, permissions: frozenset[Permission], name: str | None) -> None:
    """Make a client and print its id and secret, only now: the secret is stored as a hash."""
    with opened_office() as office:
        credential = access.create_client(office.registry, project=project, permissions=permissions, name=name or "")
    click.echo(f"client_id={credential.client_id}")
    click.echo(f"client_secret={credential.client_secret}")


@clients.command("list", cls=LetterboxCommand)
@options.in_project
@options.as_json
def list_clients(*, project: str | None, is_json: bool) -> None:
    """Print which clients were made: client id, project, name, permissions, state, and when."""
    with opened_office() as office:
        found = access.list_clients(office.registry, project)
    entries = [
        {
            "clientId": client.client_id,
            "project": client.project,
            "name": client.name,
            "permissions": sorted(client.permissions),
            "state": "valid" if client.revoked_at is None else "revoked",
            "createdAt": options.moment(client.created_at),
        }
        for client in found
    ]
    options.print_list(entries, is_json=is_json)


@clients.command("revoke", cls=LetterboxCommand)
@click.argument("client_id")
def revoke_client(client_id: str) -> None:
    """Make the client CLIENT_ID and every token it got worthless from the next request on."""
    with opened_office() as office:
        client = access.revoke_client(office.registry, client_id)
    if client is None:
        # It is not repeated, because it may be a secret that was pasted by mistake.
        click.echo("There is no client with that id.", err=True)
        sys.exit(1)
    click.echo(client.client_id)
