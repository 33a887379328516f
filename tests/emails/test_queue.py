"""Emails that nobody waits for: accepted with 202, delivered by workers, tried again, given up, never doubled."""

from datetime import timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from app.emails import record
from app.emails.office import Office
from app.emails.queue import deliver_one
from app.model.clock import utc_now
from tests.conftest import MakeService, Service, valid_request
from tests.smtp_server import SMTPServer

ASYNC = {"Prefer": "respond-async"}


class Clock:
    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> Any:
        return self.now


def office_of(service: Service) -> Office:
    office: Office = service.app.extensions["letterbox"]
    return office


def work_off(service: Service) -> list[str]:
    """What a worker does once: everything that is due."""
    office = office_of(service)
    return [deliver_one(office, email).status for email in record.claim(office, limit=1000)]


def follow(service: Service, answer: TestResponse) -> dict[str, Any]:
    found = service.client.get(answer.headers["Location"]).json
    assert found is not None
    return dict(found)


def test_an_email_is_accepted_stored_and_delivered_by_a_worker(service: Service) -> None:
    answer = service.post(headers=ASYNC)
    assert answer.status_code == 202
    assert answer.headers["Preference-Applied"] == "respond-async"
    assert answer.json is not None
    assert answer.json["status"] == "Queued"
    assert follow(service, answer)["status"] == "Queued"
    assert service.inbox.list() == []
    assert work_off(service) == ["Sent"]
    found = follow(service, answer)
    assert (found["status"], len(found["attempts"]), found["nextAttemptAt"]) == ("Sent", 1, None)
    assert service.newest()["X-Email-Id"] == found["id"]


def test_a_temporary_failure_is_tried_again_within_a_minute_and_an_urgent_one_within_fifteen_seconds(
    make_service: MakeService,
) -> None:
    clock = Clock()
    with SMTPServer(faults={"MAIL": "451 4.3.0 try later"}) as server:
        service = make_service(
            clock=clock, smtp_configurations=(server.configuration(),), reception_email="office@example.com"
        )
        normal = service.post(headers=ASYNC)
        urgent = service.post(json=valid_request(Priority="Urgent"), headers=ASYNC)
        assert work_off(service) == ["Deferred", "Deferred"]
        assert follow(service, normal)["nextAttemptAt"] is not None
        clock.now += timedelta(seconds=15)
        assert work_off(service) == ["Deferred"]
        assert (len(follow(service, urgent)["attempts"]), len(follow(service, normal)["attempts"])) == (2, 1)
        clock.now += timedelta(seconds=45)
        server.faults = {}
        # Sessions that are open keep to the old script.
        office_of(service).deliverer.forget([server.configuration()])
        assert work_off(service) == ["Sent", "Sent"]
        assert [follow(service, answer)["status"] for answer in (normal, urgent)] == ["Sent", "Sent"]
        assert len(server.messages) == 2


def test_what_nobody_takes_for_a_day_has_failed(make_service: MakeService) -> None:
    clock = Clock()
    with SMTPServer(faults={"MAIL": "451 4.3.0 try later"}) as server:
        service = make_service(
            clock=clock, smtp_configurations=(server.configuration(),), reception_email="office@example.com"
        )
        answer = service.post(headers=ASYNC)
        rounds = 0
        while follow(service, answer)["status"] in ("Queued", "Deferred"):
            work_off(service)
            clock.now += timedelta(minutes=10)
            rounds += 1
            assert rounds < 200
        found = follow(service, answer)
        assert found["status"] == "Failed"
        assert 25 <= len(found["attempts"]) <= 60
        assert clock.now - utc_now() > timedelta(hours=23)


def test_a_permanent_refusal_is_not_tried_again(make_service: MakeService) -> None:
    with SMTPServer(faults={"MESSAGE": "554 5.7.1 not this"}) as server:
        service = make_service(smtp_configurations=(server.configuration(),), reception_email="office@example.com")
        answer = service.post(headers=ASYNC)
        assert work_off(service) == ["Failed"]
        assert follow(service, answer)["nextAttemptAt"] is None


def test_the_most_urgent_goes_first(service: Service) -> None:
    for priority in ("Low", "Normal", "Urgent", "High"):
        service.post(json=valid_request(Priority=priority, SubjectTemplate=priority), headers=ASYNC)
    office = office_of(service)
    taken = record.claim(office, limit=4)
    assert [email.priority for email in taken] == ["Urgent", "High", "Normal", "Low"]
    for email in taken:
        deliver_one(office, email)


def test_a_steady_stream_of_urgent_mail_keeps_no_other_waiting_for_long(
    make_service: MakeService, database_url: str
) -> None:
    clock = Clock()
    service = make_service(clock=clock, database_url=database_url)
    service.post(json=valid_request(Priority="Low"), headers=ASYNC)
    taken: list[str] = []
    for _ in range(12):
        clock.now += timedelta(seconds=10)
        for _ in range(2):
            service.post(json=valid_request(Priority="Urgent"), headers=ASYNC)
        taken += [email.priority for email in record.claim(office_of(service))]
    # For a minute everything urgent goes first, and then three of four.
    assert taken[:6] == ["Urgent"] * 6
    assert taken.count("Low") == 1
    assert sorted(taken[6:9]) in (["Low", "Urgent", "Urgent"], ["Urgent"] * 3)


def test_a_worker_that_dies_before_the_hand_over_loses_nothing(make_service: MakeService) -> None:
    clock = Clock()
    service = make_service(clock=clock)
    answer = service.post(headers=ASYNC)
    office = office_of(service)
    (dead,) = record.claim(office)
    office.under_way.clear()
    clock.now += timedelta(seconds=31)
    record.settle_abandoned(office)
    assert follow(service, answer)["status"] == "Deferred"
    assert work_off(service) == ["Sent"]
    assert deliver_one(office, dead).status != "Sent"
    assert follow(service, answer)["status"] == "Sent"
    assert len(service.inbox.list()) == 1


def test_a_worker_that_dies_behind_the_hand_over_leaves_uncertain(make_service: MakeService) -> None:
    clock = Clock()
    service = make_service(clock=clock)
    answer = service.post(headers=ASYNC)
    office = office_of(service)
    (dead,) = record.claim(office)
    record.hand_over(office, dead)
    office.under_way.clear()
    clock.now += timedelta(seconds=31)
    record.settle_abandoned(office)
    assert follow(service, answer)["status"] == "Uncertain"
    assert work_off(service) == []


def test_a_worker_that_was_given_up_and_comes_back_does_not_send_what_another_one_has(
    make_service: MakeService,
) -> None:
    clock = Clock()
    service = make_service(clock=clock)
    service.post(headers=ASYNC)
    office = office_of(service)
    (frozen,) = record.claim(office)
    clock.now += timedelta(seconds=31)
    record.settle_abandoned(office)
    (other,) = record.claim(office)
    deliver_one(office, frozen)
    assert service.inbox.list() == []
    assert deliver_one(office, other).status == "Sent"
    assert len(service.inbox.list()) == 1


def test_a_queued_email_holds_the_senders_cooldown_and_a_failed_one_gives_it_back(make_service: MakeService) -> None:
    with SMTPServer(faults={"MESSAGE": "554 5.7.1 not this"}) as server:
        service = make_service(smtp_configurations=(server.configuration(),), reception_email="office@example.com")
        body = valid_request()
        assert service.post(json=body, headers=ASYNC).status_code == 202
        assert service.post(json=body, headers=ASYNC).status_code == 400
        assert work_off(service) == ["Failed"]
        assert service.post(json=body, headers=ASYNC).status_code == 202


def test_a_full_backlog_refuses_and_says_when_to_come_again(make_service: MakeService) -> None:
    service = make_service(queue_limit=3)
    assert [service.post(headers=ASYNC).status_code for _ in range(4)] == [202, 202, 202, 503]
    refused = service.post(headers=ASYNC)
    assert 5 <= int(refused.headers["Retry-After"]) <= 15
    assert len(work_off(service)) == 3


def test_requests_that_fail_take_no_place_in_the_backlog(make_service: MakeService) -> None:
    service = make_service(queue_limit=1)
    accepted = valid_request()
    for _ in range(2):
        assert service.post("/api/v1/emails?smtpId=7", headers=ASYNC).status_code == 400, "there is no such server"
    assert service.post(json=accepted, headers=ASYNC).status_code == 202
    assert service.post(headers=ASYNC).status_code == 503, "the one place is taken"
    work_off(service)
    office_of(service).backlog._counted_at = float("-inf")
    for _ in range(3):
        assert service.post(json=accepted, headers=ASYNC).status_code == 400, "its sender has to wait"
    assert service.post(headers=ASYNC).status_code == 202


@pytest.mark.parametrize("header", ["respond-async", "Respond-Async; wait=10", "handling=lenient, respond-async"])
def test_the_preference_is_read_as_the_rfc_writes_it(service: Service, header: str) -> None:
    assert service.post(headers={"Prefer": header}).status_code == 202
    work_off(service)


def test_other_preferences_change_nothing(service: Service) -> None:
    assert service.post(headers={"Prefer": "return=minimal"}).status_code == 201
