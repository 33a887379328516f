"""`letterbox blocks`: client addresses that are blocked. Running processes learn within a second what was lifted."""

import json
import sys

import click

from app.cli.opening import LetterboxCommand, opened_office


@click.group()
def blocks() -> None:
    """List and lift blocks of client addresses."""


@blocks.command("list", cls=LetterboxCommand)
@click.option("--json", "is_json", is_flag=True, help="As a JSON array.")
def list_blocks(*, is_json: bool) -> None:
    """Print who is blocked, why and until when."""
    with opened_office() as office:
        standing = office.gate.list_blocks()
    entries = [
        {
            "client": block.client,
            "reason": block.reason,
            "blockedAt": block.blocked_at.isoformat(timespec="seconds"),
            "blockedUntil": block.blocked_until.isoformat(timespec="seconds"),
        }
        for block in standing
    ]
    if is_json:
        click.echo(json.dumps(entries, indent=2))
        return
    for entry in entries:
        click.echo(f"{entry['client']}\t{entry['reason']}\tuntil {entry['blockedUntil']}")


@blocks.command("remove", cls=LetterboxCommand)
@click.argument("address")
def remove_block(address: str) -> None:
    """Lift the block of ADDRESS (an IPv6 address stands for its /64)."""
    with opened_office() as office:
        try:
            is_lifted = office.gate.lift(address)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="ADDRESS") from error
    if not is_lifted:
        click.echo(f"{address} is not blocked.", err=True)
        sys.exit(1)
    click.echo(address)
