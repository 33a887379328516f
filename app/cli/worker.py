"""`letterbox worker`: delivers what is queued when the broker rings, on any number of machines."""

import sys

import click

from app.cli.opening import LetterboxCommand, keep_warm
from app.cli.working import working_office


@click.command(cls=LetterboxCommand)
def worker() -> None:
    """Deliver queued emails when CELERY_BROKER_URL rings, until SIGTERM or Ctrl-C."""
    with working_office() as (office, url):
        # Celery is an extra, and the other commands do without it.
        from app.emails.broker import build_celery, queue_name
        from app.emails.celery_worker import run

        keep_warm(office)
        status = run(office, build_celery(url, queue=queue_name(office.database)))
    sys.exit(status)
