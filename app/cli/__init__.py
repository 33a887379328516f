"""The command line: one click group per file. Results go to standard output, everything else to standard error."""

import click

from app.cli.audit import audit
from app.cli.beat import beat
from app.cli.blocks import blocks
from app.cli.check_smtp import check_smtp
from app.cli.clients import clients
from app.cli.forms import forms
from app.cli.opening import verbose_option
from app.cli.projects import projects
from app.cli.prune import prune
from app.cli.secrets import secrets
from app.cli.send import send
from app.cli.serve import serve
from app.cli.tokens import tokens
from app.cli.worker import worker

COMMANDS: tuple[click.Command, ...] = (
    serve,
    worker,
    beat,
    check_smtp,
    send,
    projects,
    tokens,
    clients,
    forms,
    secrets,
    audit,
    blocks,
    prune,
)


@click.group(commands=list(COMMANDS), params=[verbose_option()])
@click.version_option(package_name="letterbox")
def main() -> None:
    """Letterbox: an email notification service."""
