"""The threads that deliver what is queued."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from app.emails import record
from app.emails.office import Office
from app.emails.workers import Workers
from tests.conftest import MakeService, Service
from tests.smtp_server import SMTPServer

ASYNC = {"Prefer": "respond-async"}


@pytest.fixture
def server() -> Iterator[SMTPServer]:
    with SMTPServer() as server:
        yield server


@pytest.fixture
def service(make_service: MakeService, server: SMTPServer) -> Service:
    return make_service(smtp_configurations=(server.configuration(),), reception_email="office@example.com")


@pytest.fixture
def office(service: Service) -> Office:
    office: Office = service.app.extensions["letterbox"]
    return office


@pytest.fixture
def workers(office: Office) -> Iterator[Workers]:
    workers = Workers(office, threads=2)
    workers.start()
    yield workers
    workers.stop()


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From now on the system gives no thread any more."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    return lambda: monkeypatch.setattr(threading.Thread, "start", refuse)


def queue(service: Service) -> str:
    answer = service.post(headers=ASYNC)
    assert answer.status_code == 202
    assert answer.json is not None
    return str(answer.json["id"])


def wait_for(service: Service, email_id: str, status: str) -> None:
    deadline = time.monotonic() + 5
    while (answer := service.client.get(f"/api/v1/emails/{email_id}").json) is None or answer["status"] != status:
        assert time.monotonic() < deadline, answer
        time.sleep(0.01)


def wait_until_idle(office: Office) -> None:
    # The record says so a moment before the process does.
    deadline = time.monotonic() + 5
    while office.under_way:
        assert time.monotonic() < deadline, office.under_way
        time.sleep(0.01)


@pytest.mark.usefixtures("workers")
def test_what_is_queued_is_delivered_while_the_system_gives_no_threads(
    service: Service, office: Office, no_threads: Callable[[], None]
) -> None:
    # The thread of the SMTP sessions begins with the first message.
    assert service.post().status_code == 201
    no_threads()
    for _ in range(3):
        wait_for(service, queue(service), "Sent")
    wait_until_idle(office)


@pytest.mark.usefixtures("workers")
def test_mail_waits_where_even_the_thread_of_the_sessions_cannot_be_started(
    service: Service, office: Office, server: SMTPServer
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        start = threading.Thread.start

        def refuse(thread: threading.Thread) -> None:
            if thread.name == "smtp caretaker":
                raise RuntimeError("can't start new thread")
            start(thread)

        patch.setattr(threading.Thread, "start", refuse)
        email_id = queue(service)
        wait_for(service, email_id, "Deferred")
        wait_until_idle(office)
        assert server.connections == 0
    assert service.post().status_code == 201
    wait_for(service, queue(service), "Sent")


def test_a_stop_waits_for_what_is_being_delivered_and_ends_every_thread(
    service: Service, office: Office, server: SMTPServer
) -> None:
    server.delay_s = 0.1
    before = set(threading.enumerate())
    workers = Workers(office, threads=2)
    workers.start()
    crew = [thread for thread in threading.enumerate() if thread not in before and "worker" in thread.name]
    email_id = queue(service)
    server.wait_until(lambda: server.connections == 1)
    workers.stop()
    wait_for(service, email_id, "Sent")
    assert len(crew) == 2
    for thread in crew:
        thread.join(1)
        assert not thread.is_alive()


def test_what_breaks_while_emails_are_taken_ends_no_delivery_for_good(
    service: Service, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = threading.Event()

    def break_once(*args: object, **options: object) -> object:
        if not broken.is_set():
            broken.set()
            raise ValueError("a row that cannot be read")
        return claim(*args, **options)  # type: ignore[arg-type]

    claim = record.claim
    monkeypatch.setattr(record, "claim", break_once)
    wait_for(service, queue(service), "Sent")
    assert broken.is_set()
