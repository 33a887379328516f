"""The broker of Celery, which rings for workers on any number of machines (CELERY_BROKER_URL).

A message on it is a ring: it says that something is due, and carries the id of the email that it was rung for. What a
worker takes is decided by the rows, so lost, late or doubled rings neither lose nor double mail. Only imported where a
broker is configured, because Celery is an extra.
"""

import secrets
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import urlsplit

import structlog
from celery import Celery
from kombu.connection import Connection
from kombu.exceptions import KombuError
from kombu.messaging import Producer

from app.errors import RecordUnavailable
from app.observability.metrics import Metrics
from app.storage import service_state
from app.storage.database import Database

log = structlog.get_logger(__name__)

Result = TypeVar("Result")

DELIVER = "letterbox.deliver"
"""The name of the task: `deliver(email_id)`."""

_TIMEOUT_S = 2.0
_STATE = "queue_name"
_TLS: dict[str, dict[str, Any]] = {
    # The broker's name is filled in by kombu, and checked only when there is a place for it.
    "amqps": {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": None},
    "rediss": {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True},
}
_REDIS = ("redis", "rediss")


def queue_name(database: Database) -> str:
    """The queue of this deployment, whose name is drawn once and kept in its database.

    All who share the database share the queue, however their DATABASE_URL is written, and several deployments can
    share one broker. Raises RecordUnavailable.
    """
    known = database.read(lambda connection: service_state.read(connection, _STATE))
    if known is None:
        drawn = f"letterbox-{secrets.token_hex(6)}"
        # Of several processes that draw one at the same moment the first has its way.
        database.write(lambda connection: service_state.replace_if(connection, _STATE, old=None, new=drawn))
        known = database.read(lambda connection: service_state.read(connection, _STATE))
    if known is None:
        raise RecordUnavailable("The name of the queue could not be recorded.")
    return known


def build_celery(url: str, *, queue: str) -> Celery:
    """Celery for this service: JSON alone, no results, nothing that others on the broker could command."""
    scheme = urlsplit(url).scheme
    celery = Celery("letterbox", broker=url, set_as_current=False, fixups=[])
    celery.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_default_queue=queue,
        task_ignore_result=True,
        # A ring is answered when the email is settled or put back; a worker that dies leaves its rings to others.
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_enable_prefetch_count_reduction=False,
        broker_use_ssl=_TLS.get(scheme, False),
        broker_heartbeat=20,
        broker_connection_timeout=_TIMEOUT_S,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # Redis keeps what it has not heard of under names of its own, which deployments must not share either.
        broker_transport_options={"global_keyprefix": f"{queue}:"} if scheme in _REDIS else {},
    )
    return celery


class Broker:
    """Rings over a connection that is made when it is needed, and anew after trouble. For one thread at a time.

    Trouble is never raised: it is counted, and logged once when it begins and when it ends.
    """

    def __init__(self, celery: Celery, *, metrics: Metrics) -> None:
        self._celery = celery
        self._metrics = metrics
        self._connection: Connection | None = None
        self._producer: Producer | None = None
        self._is_away = False

    def ring(self, email_id: str) -> bool:
        """False, within seconds, when the broker did not take it."""
        send = self._celery.send_task
        return self._try(lambda producer: send(DELIVER, (email_id,), producer=producer, retry=False)) is not None

    def waiting(self) -> int | None:
        """How many rings no worker has heard yet; None when the broker does not say."""
        queue = self._celery.amqp.queues[self._celery.conf.task_default_queue]
        return self._try(lambda producer: int(queue(producer.channel).queue_declare().message_count))

    def close(self) -> None:
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            # Of one that is broken nothing is left to take leave of.
            with suppress(*_errors_of(connection)):
                connection.release()  # type: ignore[no-untyped-call]

    def _try(self, act: Callable[[Producer], Result]) -> Result | None:
        connection = self._connection or self._celery.connection_for_write(transport_options=self._options())
        try:
            if self._producer is None:
                self._connection = connection
                connection.ensure_connection(max_retries=0, reraise_as_library_errors=False)
                self._producer = self._celery.amqp.Producer(connection, auto_declare=False)
            result = act(self._producer)
        except _errors_of(connection) as error:
            self.close()
            self._metrics.broker_errors.inc()
            if not self._is_away:
                log.error("the broker does not answer; queued emails wait", cause=str(error) or type(error).__name__)
            self._is_away = True
            return None
        if self._is_away:
            log.info("the broker answers again")
        self._is_away = False
        return result

    def _options(self) -> dict[str, float]:
        """Whoever rings gives up soon."""
        if urlsplit(self._celery.conf.broker_url).scheme in _REDIS:
            return {"socket_timeout": _TIMEOUT_S, "socket_connect_timeout": _TIMEOUT_S}
        return {"read_timeout": _TIMEOUT_S, "write_timeout": _TIMEOUT_S}


def _errors_of(connection: Connection) -> tuple[type[Exception], ...]:
    """What the driver raises at a broker that is away, silent, or does not let us in."""
    return (OSError, KombuError, *connection.connection_errors, *connection.channel_errors)
