"""Rings for workers: what is on the broker, what a worker takes for it, and what happens while the broker is away."""

import socket
import ssl
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker import state

from app.emails import celery_worker
from app.emails.broker import Broker, build_celery, queue_name
from app.emails.celery_worker import deliver_next
from app.emails.office import Office
from app.emails.ringing import Ringer, ring_for_due
from app.model.clock import utc_now
from app.observability.metrics import Metrics
from app.settings import Settings
from tests.brokers import RABBITMQ, REDIS, Relay, demand, remove_queue
from tests.conftest import MakeService, Service, valid_request
from tests.smtp.certificates import authority
from tests.smtp_server import SMTPServer

ASYNC = {"Prefer": "respond-async"}


class FakeBroker(Broker):
    """Counts rings; takes `room` of them."""

    def __init__(self, *, waiting: int | None = 0, room: int = 1000) -> None:
        self.rung: list[str] = []
        self.count = waiting
        self.room = room
        self.is_closed = False

    def ring(self, email_id: str) -> bool:
        if len(self.rung) >= self.room:
            return False
        self.rung.append(email_id)
        return True

    def waiting(self) -> int | None:
        return self.count

    def close(self) -> None:
        self.is_closed = True


def office_of(service: Service) -> Office:
    office: Office = service.app.extensions["letterbox"]
    return office


def queued(service: Service, **properties: Any) -> str:
    answer = service.post(json=valid_request(**properties), headers=ASYNC)
    assert answer.json is not None
    return str(answer.json["id"])


def status_of(service: Service, email_id: str) -> str:
    found = service.client.get(f"/api/v1/emails/{email_id}").json
    assert found is not None
    return str(found["status"])


def wait_until(condition: Any, timeout_s: float = 5.0) -> None:
    limit = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.01)


@dataclass(frozen=True)
class Line:
    """A broker, and the relay that leads to it."""

    broker: Broker
    relay: Relay


@pytest.fixture(params=[RABBITMQ, REDIS], ids=["rabbitmq", "redis"])
def line(request: pytest.FixtureRequest) -> Iterator[Line]:
    demand(request.param)
    queue = f"letterbox-test-{uuid.uuid4().hex}"
    with Relay(request.param) as relay:
        broker = Broker(build_celery(relay.url, queue=queue), metrics=Metrics())
        yield Line(broker, relay)
        broker.close()
    remove_queue(request.param, queue)


def test_rings_wait_at_the_broker_for_workers(line: Line) -> None:
    assert line.broker.waiting() == 0
    assert line.broker.ring("AAAA0001")
    assert line.broker.ring("AAAA0002")
    wait_until(lambda: line.broker.waiting() == 2)


def test_behind_a_line_that_was_cut_rings_go_out_again(line: Line) -> None:
    assert line.broker.ring("AAAA0001")
    wait_until(lambda: line.broker.waiting() == 1)
    line.relay.cut()
    # The first one may be lost without a word, as everything that is sent into a line that has just been cut.
    wait_until(lambda: line.broker.ring("AAAA0002") and (line.broker.waiting() or 0) >= 2)


@pytest.mark.parametrize("url", ["amqp://guest:canary@127.0.0.1:1//", "redis://:canary@127.0.0.1:1/0"])
def test_a_broker_that_is_away_is_said_once_and_without_its_password(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = Metrics()
    broker = Broker(build_celery(url, queue="letterbox-test"), metrics=metrics)
    began = time.monotonic()
    assert not broker.ring("AAAA0001")
    assert not broker.ring("AAAA0002")
    assert broker.waiting() is None
    assert time.monotonic() - began < 3
    assert caplog.text.count("the broker does not answer") == 1
    assert "canary" not in caplog.text
    assert b"letterbox_broker_errors_total 3.0" in metrics.exposition()


@pytest.mark.parametrize("scheme", ["amqps", "rediss"])
def test_a_broker_whose_certificate_nobody_vouches_for_hears_nothing(scheme: str) -> None:
    faults: list[str] = []

    def shake_hands(listener: socket.socket) -> None:
        accepted, _ = listener.accept()
        with accepted:
            try:
                authority().server_context("127.0.0.1").wrap_socket(accepted, server_side=True).close()
            except ssl.SSLError as error:
                faults.append(error.reason)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=shake_hands, args=(listener,))
        thread.start()
        url = f"{scheme}://guest:guest@127.0.0.1:{listener.getsockname()[1]}/0"
        broker = Broker(build_celery(url, queue="letterbox-test"), metrics=Metrics())
        assert not broker.ring("AAAA0001")
        thread.join()
    assert faults == ["TLSV1_ALERT_UNKNOWN_CA"]


def test_the_bell_does_not_wait_for_the_broker_and_what_it_could_not_take_is_rung_later() -> None:
    broker = FakeBroker(room=1)
    ringer = Ringer(broker)
    ringer.start()
    for email_id in ("AAAA0001", "AAAA0002"):
        ringer.ring(email_id)
    wait_until(lambda: broker.rung == ["AAAA0001"])
    broker.room = 2
    wait_until(lambda: broker.rung == ["AAAA0001", "AAAA0002"])
    ringer.stop()
    assert broker.is_closed


def test_what_breaks_while_one_ring_goes_out_keeps_no_other_back() -> None:
    class BreakingOnce(FakeBroker):
        is_broken = True

        def ring(self, email_id: str) -> bool:
            if self.is_broken:
                self.is_broken = False
                raise KeyError("a driver's mistake")
            return super().ring(email_id)

    broker = BreakingOnce()
    ringer = Ringer(broker)
    ringer.start()
    ringer.ring("0000AAAA")
    wait_until(lambda: broker.rung == ["0000AAAA"])
    ringer.stop()


def test_what_was_rung_before_the_stop_goes_out() -> None:
    broker = FakeBroker()
    ringer = Ringer(broker)
    for number in range(10):
        ringer.ring(f"AAAA000{number}")
    ringer.start()
    ringer.stop()
    assert len(broker.rung) == 10


def test_a_stop_does_not_wait_for_a_broker_that_is_away() -> None:
    broker = FakeBroker(room=0)
    ringer = Ringer(broker)
    ringer.start()
    ringer.ring("AAAA0001")
    began = time.monotonic()
    ringer.stop()
    assert time.monotonic() - began < 2
    assert broker.is_closed


def test_what_is_due_and_has_no_ring_is_rung_for(make_service: MakeService) -> None:
    service = make_service()
    ids = [queued(service) for _ in range(3)]
    for waiting, missing in ((0, 3), (1, 2), (3, 0), (500, 0)):
        broker = FakeBroker(waiting=waiting)
        assert ring_for_due(office_of(service), broker) == missing
        assert len(broker.rung) == missing
        assert set(broker.rung) <= set(ids)


def test_nothing_is_rung_for_while_the_broker_does_not_say_what_it_has(make_service: MakeService) -> None:
    service = make_service()
    queued(service)
    broker = FakeBroker(waiting=None)
    assert ring_for_due(office_of(service), broker) == 0
    assert broker.rung == []


def test_an_email_that_has_to_wait_is_rung_for_when_its_time_has_come(make_service: MakeService) -> None:
    now = [utc_now()]
    with SMTPServer(faults={"MAIL": "451 4.3.0 try later"}) as server:
        service = make_service(
            clock=lambda: now[0], smtp_configurations=(server.configuration(),), reception_email="office@example.com"
        )
        email_id = queued(service)
        deliver_next(office_of(service), rung_for=email_id)
        assert status_of(service, email_id) == "Deferred"
        broker = FakeBroker()
        assert ring_for_due(office_of(service), broker) == 0
        now[0] += timedelta(minutes=1)
        assert ring_for_due(office_of(service), broker) == 1
        assert broker.rung == [email_id]


def test_whatever_the_ring_was_for_the_most_urgent_email_is_taken_first(make_service: MakeService) -> None:
    service = make_service()
    normal = queued(service)
    urgent = queued(service, Priority="Urgent")
    deliver_next(office_of(service), rung_for=normal)
    assert (status_of(service, normal), status_of(service, urgent)) == ("Queued", "Sent")
    deliver_next(office_of(service), rung_for=urgent)
    assert (status_of(service, normal), status_of(service, urgent)) == ("Sent", "Sent")


def test_doubled_and_stale_rings_deliver_nothing_twice(make_service: MakeService) -> None:
    service = make_service()
    email_id = queued(service)
    for _ in range(3):
        deliver_next(office_of(service), rung_for=email_id)
    deliver_next(office_of(service), rung_for="no such email")
    assert status_of(service, email_id) == "Sent"
    assert len(service.inbox.list()) == 1


def test_all_who_share_a_database_share_a_queue_and_nobody_else_does(
    make_service: MakeService, database_url: str, tmp_path: Path
) -> None:
    one, other = (office_of(make_service(database_url=database_url)) for _ in range(2))
    stranger = office_of(make_service(database_url=f"sqlite:///{tmp_path / 'stranger.db'}"))
    assert queue_name(one.database) == queue_name(other.database) == queue_name(one.database)
    assert queue_name(stranger.database) != queue_name(one.database)


def test_a_broker_takes_only_json_and_no_commands() -> None:
    conf = build_celery(REDIS, queue="letterbox-test").conf
    assert conf.accept_content == ["json"]
    assert not conf.worker_enable_remote_control
    assert conf.task_ignore_result


def test_a_worker_that_can_hear_nothing_any_more_connects_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    can_consume = [False]
    counting = SimpleNamespace(can_consume=lambda: can_consume[0])
    looks: list[Any] = []
    timer = SimpleNamespace(call_repeatedly=lambda _s, look, arguments: looks.append((look, arguments)))
    channel = SimpleNamespace(qos=counting)
    consumer = SimpleNamespace(timer=timer, task_consumer=SimpleNamespace(channel=channel))
    step = celery_worker._Revival(consumer)
    step.start(consumer)
    ((look, arguments),) = looks
    look(*arguments)
    can_consume[0] = True
    look(*arguments)
    can_consume[0] = False
    look(*arguments)
    with monkeypatch.context() as patched:
        # All its threads are at work: that is why nothing more is asked for.
        patched.setattr(state, "reserved_requests", {object()})
        look(*arguments)
    look(*arguments)
    with pytest.raises(ConnectionResetError):
        look(*arguments)


def test_a_broker_is_no_part_of_what_settings_show() -> None:
    assert "canary" not in repr(Settings(celery_broker_url="amqp://guest:canary@127.0.0.1//"))
