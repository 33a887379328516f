"""The command line: one click group per file. Results go to standard output, everything else to standard error."""

import sys
from typing import Any

import click

from app.cli.blocks import blocks
from app.cli.check_smtp import check_smtp
from app.cli.prune import prune
from app.cli.send import send
from app.cli.serve import serve
from app.errors import LetterboxError, SettingsInvalid

EXIT_FAILURE = 1
EXIT_CONFIGURATION = 78
"""EX_CONFIG of sysexits.h: a service manager need not try again."""

COMMANDS: tuple[click.Command, ...] = (serve, check_smtp, send, blocks, prune)


class _Letterbox(click.Group):
    """The group that says what went wrong in a line each, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SettingsInvalid as error:
            click.echo("Letterbox cannot start with these settings:", err=True)
            for problem in error.problems:
                click.echo(f"  - {problem}", err=True)
            sys.exit(EXIT_CONFIGURATION)
        except LetterboxError as error:
            click.echo(f"letterbox: {error}", err=True)
            sys.exit(EXIT_FAILURE)


@click.group(cls=_Letterbox, commands=list(COMMANDS))
@click.version_option(package_name="letterbox")
def main() -> None:
    """Letterbox: an email notification service."""
