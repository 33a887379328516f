"""What `/health/ready` says of SMTP servers: the last thing that is known of them, found out anew while it is bad."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from app.emails.office import Office
from app.smtp import circuit, warming
from tests.conftest import MakeService, Service, valid_request
from tests.smtp_server import Drop, Fault, Hang, SMTPServer

PAUSE_S = 0.05


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuit, "FIRST_PAUSE_S", PAUSE_S)
    monkeypatch.setattr(warming, "SCOUT_PAUSE_S", PAUSE_S)
    monkeypatch.setattr(warming, "TICK_S", 0.02)


def service_at(make_service: MakeService, *servers: SMTPServer, **changes: Any) -> Service:
    configurations = tuple(server.configuration(index, **changes) for index, server in enumerate(servers, start=1))
    return make_service(smtp_configurations=configurations, reception_email="office@example.com")


def keep_warm(service: Service) -> None:
    office: Office = service.app.extensions["letterbox"]
    office.deliverer.keep_warm(office.settings.smtp_configurations[:1])


def fail_to_send(service: Service) -> None:
    assert service.post().status_code == 502


def status(service: Service) -> int:
    return service.client.get("/health/ready").status_code


def wait_for(service: Service, expected: int) -> None:
    deadline = time.monotonic() + 5
    while status(service) != expected:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def statuses_during(service: Service, duration_s: float) -> set[int]:
    found = set()
    end = time.monotonic() + duration_s
    while time.monotonic() < end:
        found.add(status(service))
        time.sleep(0.005)
    return found


def test_a_server_that_nobody_has_tried_counts_as_usable_and_is_left_alone(make_service: MakeService) -> None:
    with SMTPServer() as server:
        assert statuses_during(service_at(make_service, server), 0.1) == {200}
    assert server.connections == 0


@pytest.mark.parametrize("begin", [keep_warm, fail_to_send], ids=["opened ahead", "a message"])
@pytest.mark.parametrize("fault", [Drop(), "554 5.3.2 no service"])
def test_it_is_not_ready_until_the_only_server_works_again_and_then_without_traffic(
    make_service: MakeService, begin: Callable[[Service], None], fault: Fault
) -> None:
    with SMTPServer(faults={"GREETING": fault}) as server:
        service = service_at(make_service, server)
        begin(service)
        wait_for(service, 503)
        assert statuses_during(service, 5 * PAUSE_S) == {503}
        server.faults = {}
        wait_for(service, 200)
        assert statuses_during(service, 5 * PAUSE_S) == {200}
        assert service.post().status_code == 201


def test_a_server_that_refused_many_messages_of_its_callers_does_not_flap(make_service: MakeService) -> None:
    with SMTPServer(faults={"GREETING": Drop()}) as server:
        service = service_at(make_service, server)
        for _ in range(6):
            fail_to_send(service)
        assert statuses_during(service, 0.4) == {503}
        server.faults = {}
        wait_for(service, 200)
        assert statuses_during(service, 0.2) == {200}


@pytest.mark.parametrize(
    ("step", "reply"),
    [("RCPT", "550 5.1.1 no such user"), ("MESSAGE", "554 5.7.1 looks like spam"), ("MAIL", "451 4.3.0 later")],
)
def test_the_refusal_of_messages_says_nothing_about_the_server(
    make_service: MakeService, step: str, reply: str
) -> None:
    with SMTPServer(faults={step: reply}) as server:
        service = service_at(make_service, server)
        for _ in range(6):
            fail_to_send(service)
        assert status(service) == 200


def test_a_server_that_lets_everybody_in_and_then_hangs_up_is_not_ready_while_it_is_passed_over(
    make_service: MakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circuit, "FIRST_PAUSE_S", 60.0)
    with SMTPServer(faults={"MAIL": Drop()}) as server:
        service = service_at(make_service, server)
        for _ in range(6):
            fail_to_send(service)
        assert statuses_during(service, 5 * PAUSE_S) == {503}
        server.faults = {}
        assert service.post(json=valid_request()).status_code == 201
        assert status(service) == 200


@pytest.mark.parametrize("begin", [keep_warm, fail_to_send], ids=["opened ahead", "a message"])
def test_with_the_first_server_failing_the_untried_ones_are_tried_too(
    make_service: MakeService, begin: Callable[[Service], None]
) -> None:
    with SMTPServer(faults={"GREETING": Drop()}) as first, SMTPServer(faults={"GREETING": Drop()}) as second:
        service = service_at(make_service, first, second)
        begin(service)
        wait_for(service, 503)
        second.faults = {}
        wait_for(service, 200)
        seen = first.connections, second.connections
        time.sleep(PAUSE_S)
        assert statuses_during(service, 3 * PAUSE_S) == {200}
        assert second.connections == seen[1], "one that works is enough, so nobody asks any more"


def test_monitors_wait_for_no_server_and_have_it_tried_once_at_a_time(make_service: MakeService) -> None:
    with SMTPServer(faults={"GREETING": Drop()}) as server:
        service = service_at(make_service, server)
        fail_to_send(service)
        server.faults = {"GREETING": Hang()}
        time.sleep(PAUSE_S)
        began = time.monotonic()
        threads = [threading.Thread(target=statuses_during, args=(service, 4 * PAUSE_S)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.monotonic() - began < 2
        assert server.connections == 2
        assert sum(thread.name == "smtp scout" for thread in threading.enumerate()) == 1
        server.drop_connections()


def test_it_is_tried_at_most_once_in_a_pause(make_service: MakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warming, "SCOUT_PAUSE_S", 0.1)
    with SMTPServer(faults={"GREETING": Drop()}) as server:
        service = service_at(make_service, server)
        fail_to_send(service)
        assert statuses_during(service, 0.35) == {503}
        assert 2 <= server.connections <= 4


@pytest.mark.parametrize(
    ("reply", "pause"),
    [
        ("535 5.7.8 wrong password", "SCOUT_PAUSE_BEHIND_REFUSAL_S"),
        ("454 4.7.0 try later", "SCOUT_PAUSE_BEHIND_SIGN_IN_S"),
    ],
)
def test_a_refused_sign_in_is_repeated_seldom(
    make_service: MakeService, monkeypatch: pytest.MonkeyPatch, reply: str, pause: str
) -> None:
    with SMTPServer(credentials=("user", "secret"), faults={"AUTH": reply}) as server:
        service = service_at(make_service, server)
        fail_to_send(service)
        assert statuses_during(service, 6 * PAUSE_S) == {503}
        assert server.connections == 2
    monkeypatch.setattr(warming, pause, PAUSE_S)
    with SMTPServer(credentials=("user", "secret"), faults={"AUTH": reply}) as server:
        service = service_at(make_service, server)
        fail_to_send(service)
        assert statuses_during(service, 3 * PAUSE_S) == {503}
        server.faults = {}
        wait_for(service, 200)
