"""`letterbox prune`: delete what the retention settings say, now."""

import click

from app.cli.opening import LetterboxCommand, opened_office
from app.emails import housekeeping


@click.command(cls=LetterboxCommand)
def prune() -> None:
    """Delete records that are older than the retention settings say."""
    with opened_office() as office:
        pruned = housekeeping.prune(office)
    click.echo(f"emails {pruned.emails}")
    click.echo(f"cooldowns {pruned.cooldowns}")
    click.echo(f"blocks {pruned.blocks}")
    click.echo(f"access tokens {pruned.access_tokens}")
    click.echo(f"audit entries {pruned.audit_entries}")
    click.echo(f"idempotency keys {pruned.idempotency_keys}")
    click.echo(f"form marks {pruned.form_marks}")
    click.echo(f"submission shares {pruned.submission_shares}")
