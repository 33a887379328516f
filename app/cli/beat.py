"""`letterbox beat`: what must happen every few seconds somewhere, so that workers are rung for what is due."""

import signal
import threading

import click

from app.cli.opening import LetterboxCommand
from app.cli.working import working_office

_PERIOD_S = 1.0
"""An urgent email is tried again within 15 seconds, so its retry must not wait for long."""


@click.command(cls=LetterboxCommand)
def beat() -> None:
    """Ring for what is due at CELERY_BROKER_URL, settle and prune, until SIGTERM or Ctrl-C.

    One is enough for all machines; several do no harm.
    """
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with working_office() as (office, url):
        # Celery is an extra, and the other commands do without it.
        from app.emails.broker import Broker, build_celery, queue_name
        from app.emails.ringing import ring_for_due

        broker = Broker(build_celery(url, queue=queue_name(office.database)), metrics=office.metrics)
        while not stopped.wait(_PERIOD_S):
            ring_for_due(office, broker)
        broker.close()
