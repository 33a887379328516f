"""`letterbox serve`: brings the database up to date and serves. What `make run` calls."""

import ctypes
import multiprocessing
import resource
import socket
import threading
from functools import partial
from multiprocessing.synchronize import Lock as SharedLock
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING, Any

import click
import structlog
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import Server
from granian.server.common import AbstractServer

from app import create_app
from app.cli.check_smtp import log_checks
from app.cli.opening import LetterboxCommand, keep_warm, opened_settings
from app.cli.stopping import hold_signals_of_new_processes, when_stopped
from app.connections.start import demand_readable_connections
from app.emails.housekeeping import Housekeeper
from app.emails.office import Office
from app.emails.turnstile import SPARE_THREADS
from app.emails.workers import Workers
from app.errors import SettingsInvalid
from app.settings import Settings
from app.storage.database import Database
from app.storage.schema import migrate
from app.web.asgi import ASGIApplication

if TYPE_CHECKING:
    from app.emails.ringing import Ringer

log = structlog.get_logger(__name__)

_MOST_CONNECTIONS = 4096
"""Of each process, also those that ask for nothing at the moment."""

_LARGEST_HEAD = 64 * 1024
"""Octets that the server itself takes of a request's head; what is larger than it may be is answered below this."""

_M_MMAP_THRESHOLD = -3
"""Of `mallopt` in glibc's malloc.h."""

_SERVER_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "loggers": {"_granian": {"handlers": [], "propagate": True}},
}


@click.command(cls=LetterboxCommand)
def serve() -> None:
    """Migrate the database if needed, and serve until SIGTERM or Ctrl-C."""
    settings = opened_settings()
    # Here and not in each process, so that a database that cannot be used is reported once, with an exit status.
    database = Database(settings.database_url)
    migrate(database)
    demand_readable_connections(settings, database)
    database.close()
    _check_port(settings)
    server = _server(settings)
    server.on_startup(lambda: _announce(settings))
    hold_signals_of_new_processes()
    loader = partial(load_application, is_check_taken=multiprocessing.Lock())
    server.serve(target_loader=loader, wrap_loader=False)


def _server(settings: Settings) -> AbstractServer[Any]:
    return Server(
        "app:create_app",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        workers=settings.web_processes,
        # It counts connections: those that are only kept open must not keep the next caller out.
        backpressure=_most_connections(),
        # Decided beforehand, because while the server waits to see which it is, it waits without an end.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            # Also how long the header of the next request may take: the server has one timer for both.
            header_read_timeout=settings.keep_alive_s * 1000,
            max_buffer_size=_LARGEST_HEAD,
        ),
        websockets=False,
        workers_kill_timeout=30,
        # A process that dies takes its own requests with it, not the service.
        respawn_failed_workers=True,
        log_level=LogLevels.error,
        log_dictconfig=_SERVER_LOGGING,
    )


def _most_connections() -> int:
    """At most half of the files that a process may have open; the others are for SMTP servers and the database."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_CONNECTIONS if files == resource.RLIM_INFINITY else min(_MOST_CONNECTIONS, files // 2)


def _check_port(settings: Settings) -> None:
    """Say in words what the server would say with a traceback."""
    try:
        socket.create_server((settings.host, settings.port), family=_family(settings.host)).close()
    except OSError as error:
        where = f"HOST and PORT: cannot listen on {settings.host}:{settings.port} ({error.strerror})."
        raise SettingsInvalid([f"{where} Stop what listens there, or choose another PORT."]) from error


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def load_application(*, is_check_taken: SharedLock) -> ASGIApplication:
    """Assemble the service in a process that serves, with housekeeping; the first one tries the SMTP servers."""
    _give_memory_back()
    settings = opened_settings()
    app = create_app(settings)
    office: Office = app.extensions["letterbox"]
    housekeeper = Housekeeper(office)
    housekeeper.start()
    if is_check_taken.acquire(block=False):
        threading.Thread(
            target=log_checks, args=(settings.smtp_configurations,), name="smtp-check", daemon=True
        ).start()

    keep_warm(office)
    workers = _workers(office)
    workers.start()

    closing = threading.Lock()

    def close() -> None:
        with closing:
            workers.stop()
            housekeeper.stop()
            office.close()

    # The server ends its processes without running atexit; this is what multiprocessing runs instead.
    Finalize(None, close, exitpriority=10)
    # Rings go on as long as requests do.
    stop_taking = workers.stop_taking if isinstance(workers, Workers) else lambda: None
    return ASGIApplication(
        app,
        settings,
        # Callers who wait for SMTP servers never take all threads: the others answer, if only that there is too much.
        threads=settings.web_threads + SPARE_THREADS,
        at_startup=partial(when_stopped, at_once=stop_taking, at_last=close),
    )


def _give_memory_back() -> None:
    """Let each block of a megabyte be memory of its own, given back when it is freed.

    glibc stops doing so once a larger block was freed, and then the holes between bodies are never given back.
    """
    # Other C libraries always do so.
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(_M_MMAP_THRESHOLD, 1024 * 1024)


def _workers(office: Office) -> "Workers | Ringer":
    """Those who deliver what is queued, or who rings for them where they are processes of their own."""
    settings = office.settings
    if settings.celery_broker_url is None:
        return Workers(office, threads=settings.queue_workers)
    # Celery is an extra: without a broker nothing of it is needed.
    from app.emails.broker import Broker, build_celery, queue_name
    from app.emails.ringing import Ringer

    celery = build_celery(settings.celery_broker_url, queue=queue_name(office.database))
    ringer = Ringer(Broker(celery, metrics=office.metrics))
    office.bell.listen(ringer.ring)
    return ringer


def _announce(settings: Settings) -> None:
    for warning in settings.warnings:
        log.warning(warning)
    host = "localhost" if settings.host in ("0.0.0.0", "::", "127.0.0.1") else settings.host  # noqa: S104 - compared
    base = f"http://{host}:{settings.port}"
    address = settings.public_url or base
    log.info(f"Letterbox listens on {base}, its API is described at {address}/docs")
    if settings.runs_embedded_inbox:
        log.info(f"SMTP_CONFIGURATIONS is not set: every message goes to the embedded inbox at {address}/inbox")
        if host != "localhost" or settings.host != "127.0.0.1":
            log.warning(f"HOST is {settings.host}: whoever reaches this machine can read that inbox")
