"""`letterbox secrets`: the encryption of what is stored of connections."""

import sys

import click

from app.cli.opening import LetterboxCommand, opened_office
from app.connections.rotation import rotate


@click.group()
def secrets() -> None:
    """Encrypt stored secrets anew."""


@secrets.command("rotate", cls=LetterboxCommand)
def rotate_secrets() -> None:
    """Encrypt stored secrets with the first of SECRET_KEY, while the service runs; 1 when some cannot be read."""
    with opened_office() as office:
        rotation = rotate(office.registry)
    click.echo(f"resealed {rotation.resealed}")
    click.echo(f"kept {rotation.kept}")
    for name in rotation.unreadable:
        click.echo(f"No key of SECRET_KEY opens the connection {name}; keep the old one behind the new.", err=True)
    if rotation.unreadable:
        sys.exit(1)
