"""`letterbox tokens`: access tokens, with which backends call the API. What is revoked counts at once, everywhere."""

import sys
from datetime import datetime, timedelta
from typing import Any

import click

from app.cli import options
from app.cli.opening import LetterboxCommand, opened_office
from app.connections import access
from app.model.access import AccessToken, Permission

_LARGEST_ID = 2**31 - 1


@click.group()
def tokens() -> None:
    """Make, list and revoke access tokens."""


@tokens.command("create", cls=LetterboxCommand)
@options.grant_options
@click.option(
    "--expires-in", callback=options.duration, metavar="TIME", help="Such as 90m, 12h, 30d or 2w; default: never."
)
def create_token(
    *, project: str, permissions: frozenset[Permission], name: str | None, expires_in: timedelta | None
) -> None:
    """Make an access token and print it, alone and only now: it is stored as a hash."""
    with opened_office() as office:
        token = access.create_token(
            office.registry, project=project, permissions=permissions, name=name or "", expires_in=expires_in
        )
    click.echo(token)


@tokens.command("list", cls=LetterboxCommand)
@options.in_project
@options.as_json
def list_tokens(*, project: str | None, is_json: bool) -> None:
    """Print which tokens were made: id, project, name, permissions, state, then made, expires, last used."""
    with opened_office() as office:
        found = access.list_tokens(office.registry, project)
        now = office.clock()
    options.print_list([_entry(token, now) for token in found], is_json=is_json)


@tokens.command("revoke", cls=LetterboxCommand)
@click.argument("token_id", metavar="ID", type=click.IntRange(1, _LARGEST_ID))
def revoke_token(token_id: int) -> None:
    """Make the token with this ID worthless from the next request on."""
    with opened_office() as office:
        token = access.revoke_token(office.registry, token_id)
    if token is None:
        click.echo(f"There is no token with the id {token_id}.", err=True)
        sys.exit(1)
    click.echo(token.id)


def _entry(token: AccessToken, now: datetime) -> dict[str, Any]:
    return {
        "id": token.id,
        "project": token.project,
        "name": token.name,
        "permissions": sorted(token.permissions),
        "state": _state(token, now),
        "createdAt": options.moment(token.created_at),
        "expiresAt": options.moment(token.expires_at),
        "lastUsedAt": options.moment(token.last_used_at),
    }


def _state(token: AccessToken, now: datetime) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expires_at is not None and token.expires_at <= now else "valid"
