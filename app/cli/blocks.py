"""`letterbox blocks`: client addresses that are blocked. Running processes learn within a second what was lifted."""

import json
import sys

import click

from app.cli.opening import opened_office
from app.guards.client_address import client_key
from app.storage import blocks as queries
from app.storage.times import from_ms, to_ms


@click.group()
def blocks() -> None:
    """List and lift blocks of client addresses."""


@blocks.command("list")
@click.option("--json", "is_json", is_flag=True, help="As a JSON array.")
def list_blocks(*, is_json: bool) -> None:
    """Print who is blocked, why and until when."""
    with opened_office() as office:
        now_ms = to_ms(office.clock())
        rows = office.database.read(lambda connection: queries.standing(connection, now_ms=now_ms))
    entries = [
        {
            "client": row.client,
            "reason": row.reason,
            "blockedAt": from_ms(row.blocked_at).isoformat(timespec="seconds"),
            "blockedUntil": from_ms(row.blocked_until).isoformat(timespec="seconds"),
        }
        for row in rows
    ]
    if is_json:
        click.echo(json.dumps(entries, indent=2))
        return
    for entry in entries:
        click.echo(f"{entry['client']}\t{entry['reason']}\tuntil {entry['blockedUntil']}")


@blocks.command("remove")
@click.argument("address")
def remove_block(address: str) -> None:
    """Lift the block of ADDRESS (an IPv6 address stands for its /64)."""
    with opened_office() as office:
        now_ms = to_ms(office.clock())
        client = client_key(address.partition("/")[0])
        count = office.database.write(lambda connection: queries.lift(connection, client=client, now_ms=now_ms))
    if not count:
        click.echo(f"{client} is not blocked.", err=True)
        sys.exit(1)
    click.echo(client)
