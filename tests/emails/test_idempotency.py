"""`Idempotency-Key`: a repeated request gets the first one's answer, and nothing is sent twice."""

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from werkzeug.test import TestResponse

from app.connections import access
from app.emails import record
from app.emails.housekeeping import prune
from app.emails.office import Office
from app.emails.queue import deliver_one
from app.model.access import Permission
from app.model.clock import utc_now
from app.storage import emails
from tests.conftest import MakeService, Service, valid_request
from tests.smtp_server import SMTPServer


def keyed(key: str, **headers: str) -> dict[str, str]:
    return {"Idempotency-Key": key} | headers


def same(first: TestResponse, second: TestResponse) -> bool:
    return (first.status_code, first.json, first.headers.get("Location")) == (
        second.status_code,
        second.json,
        second.headers.get("Location"),
    )


def test_the_same_request_again_gets_the_same_answer_and_sends_nothing(service: Service) -> None:
    body = valid_request()
    first = service.post(json=body, headers=keyed("a-1"))
    second = service.post(json=body, headers=keyed('"a-1"'))
    assert first.status_code == 201
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert same(first, second)
    assert len(service.inbox.list()) == 1


def test_another_body_or_query_with_the_same_key_is_refused(service: Service) -> None:
    body = valid_request()
    service.post(json=body, headers=keyed("b-1"))
    assert service.post(json=body | {"Message": "Other"}, headers=keyed("b-1")).status_code == 422
    assert service.post("/api/v1/emails?smtpId=1", json=body, headers=keyed("b-1")).status_code == 422
    assert len(service.inbox.list()) == 1


def test_an_asynchronous_answer_is_replayed_as_it_was(service: Service) -> None:
    body = valid_request()
    headers = keyed("c-1", Prefer="respond-async")
    first = service.post(json=body, headers=headers)
    office: Office = service.app.extensions["letterbox"]
    for email in record.claim(office, limit=10):
        deliver_one(office, email)
    second = service.post(json=body, headers=headers)
    assert second.status_code == 202
    assert same(first, second)
    assert len(service.inbox.list()) == 1


def test_a_failure_is_replayed_too(make_service: MakeService) -> None:
    with SMTPServer(faults={"MESSAGE": "554 5.7.1 not this"}) as server:
        service = make_service(smtp_configurations=(server.configuration(),), reception_email="office@example.com")
        body = valid_request()
        first, second = (service.post(json=body, headers=keyed("d-1")) for _ in range(2))
    assert first.status_code == second.status_code == 502
    assert first.json is not None
    assert second.json is not None
    assert first.json["emailId"] == second.json["emailId"]
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len(server.received) == 1


def test_answers_to_bad_requests_and_waiting_senders_are_not_stored(service: Service) -> None:
    body = valid_request()
    assert service.post(json=body | {"Message": ""}, headers=keyed("e-1")).status_code == 400
    assert service.post(json=body, headers=keyed("e-1")).status_code == 201
    waiting = service.post(json=body, headers=keyed("e-2"))
    assert waiting.status_code == 400
    assert service.post(json=valid_request(), headers=keyed("e-2")).status_code == 201


def test_a_retry_learns_its_fate_even_while_its_sender_has_to_wait(service: Service) -> None:
    body = valid_request()
    first = service.post(json=body, headers=keyed("f-1"))
    assert service.post(json=body).status_code == 400
    assert same(first, service.post(json=body, headers=keyed("f-1")))


def test_while_the_first_is_under_way_the_key_is_in_use(make_service: MakeService) -> None:
    with SMTPServer(delay_s=0.1) as server:
        service = make_service(smtp_configurations=(server.configuration(),), reception_email="office@example.com")
        body = valid_request()
        answers: list[TestResponse] = []
        first = threading.Thread(target=lambda: answers.append(service.post(json=body, headers=keyed("g-1"))))
        first.start()
        office: Office = service.app.extensions["letterbox"]
        while first.is_alive() and not office.under_way:
            time.sleep(0.005)
        second = service.post(json=body, headers=keyed("g-1"))
        first.join()
    assert second.status_code == 409
    assert int(second.headers["Retry-After"]) > 0
    assert answers[0].status_code == 201


@pytest.mark.parametrize("prefer", [{}, {"Prefer": "respond-async"}])
def test_fifty_at_once_make_one_email(make_service: MakeService, database_url: str, prefer: dict[str, str]) -> None:
    services = [make_service(database_url=database_url) for _ in range(2)]
    body = valid_request()
    answers: list[TestResponse] = []
    start = threading.Barrier(50)

    def post(number: int) -> None:
        start.wait()
        service = services[number % 2]
        answers.append(service.app.test_client().post("/api/v1/emails", json=body, headers=keyed("h-1") | prefer))

    threads = [threading.Thread(target=post, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses = [answer.status_code for answer in answers]
    good = 202 if prefer else 201
    assert set(statuses) <= {good, 409}
    assert statuses.count(good) >= 1
    assert len({answer.headers["Location"] for answer in answers if answer.status_code == good}) == 1
    office: Office = services[0].app.extensions["letterbox"]
    with office.database._readers.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM emails").scalar() == 1
    if not prefer:
        assert len(services[0].inbox.list()) == 1


def test_a_key_belongs_to_its_caller(service: Service) -> None:
    office: Office = service.app.extensions["letterbox"]
    body = valid_request()
    first = service.post(json=body, headers=keyed("i-1"))
    token = access.create_token(office.registry, project="Shop", permissions=(Permission.EMAILS_SEND,))
    second = service.post(json=body, headers=keyed("i-1", Authorization=f"Bearer {token}"))
    assert second.status_code == 201
    assert first.headers["Location"] != second.headers["Location"]
    elsewhere = service.post(
        json=valid_request(), headers=keyed("i-1"), environ_overrides={"REMOTE_ADDR": "203.0.113.9"}
    )
    assert elsewhere.status_code == 201


def test_a_key_is_forgotten_after_a_day(make_service: MakeService) -> None:
    moment = [utc_now()]
    service = make_service(clock=lambda: moment[0])
    first = service.post(headers=keyed("j-1"))
    moment[0] += timedelta(hours=25)
    second = service.post(headers=keyed("j-1"))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.headers["Location"] != second.headers["Location"]


@pytest.mark.parametrize("prefer", [{}, {"Prefer": "respond-async"}])
def test_a_key_whose_record_was_deleted_sends_nothing_again(
    make_service: MakeService, database_url: str, prefer: dict[str, str]
) -> None:
    service = make_service(database_url=database_url)
    office: Office = service.app.extensions["letterbox"]
    body = valid_request()
    assert service.post(json=body, headers=keyed("g-1", **prefer)).status_code in (201, 202)
    office.database.write(lambda connection: connection.execute(text("DELETE FROM emails")) and None)
    again = service.post(json=body, headers=keyed("g-1", **prefer))
    assert again.status_code == 409
    assert "Retry-After" not in again.headers, "that would change nothing"
    assert again.json is not None
    assert "deleted" in again.json["detail"]
    assert record.claim(office) == []


def test_a_record_is_kept_for_as_long_as_its_key(make_service: MakeService) -> None:
    moment = utc_now()
    service = make_service(clock=lambda: moment, email_retention_days=1)
    office: Office = service.app.extensions["letterbox"]
    service.post(headers=keyed("h-1"))
    moment += timedelta(hours=24, minutes=1)
    assert prune(office).emails == 0
    moment += timedelta(hours=1)
    assert prune(office).emails == 1


def test_a_key_that_others_take_again_and_again_is_in_use(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.post(headers=keyed("i-1"))
    monkeypatch.setattr("app.api.emails.earlier_email", lambda *_: None)
    taken = service.post(headers=keyed("i-1"))
    assert taken.status_code == 409
    assert "Retry-After" in taken.headers


@pytest.mark.parametrize("prefer", [{}, {"Prefer": "respond-async"}])
def test_where_every_id_is_taken_the_request_is_refused(
    service: Service, prefer: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = service.post()
    assert taken.json is not None
    monkeypatch.setattr(emails, "new_id", lambda: taken.json["id"] if taken.json else "")
    assert service.post(headers=prefer).status_code == 503


def test_after_a_crash_the_key_answers_with_what_the_record_says(make_service: MakeService) -> None:
    moment = [utc_now()]
    service = make_service(clock=lambda: moment[0])
    office: Office = service.app.extensions["letterbox"]
    crash: Any = SystemExit("killed")
    body = valid_request()
    original = office.deliverer.deliver
    office.deliverer.deliver = _dying(crash)  # type: ignore[method-assign]
    settle = record.settle
    try:
        record.settle = _dying(crash)
        with pytest.raises(SystemExit):
            service.post(json=body, headers=keyed("k-1"))
    finally:
        record.settle = settle
        office.deliverer.deliver = original  # type: ignore[method-assign]
    assert service.post(json=body, headers=keyed("k-1")).status_code == 409
    office.under_way.clear()
    moment[0] += timedelta(seconds=31)
    record.settle_abandoned(office)
    after = service.post(json=body, headers=keyed("k-1"))
    assert after.status_code == 502
    assert after.headers["Idempotency-Replayed"] == "true"
    assert service.inbox.list() == []


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "with space", "t\u00e4st", '""'])
def test_what_is_no_key_is_refused_before_anything_is_sent(service: Service, key: str) -> None:
    answer = service.post(headers=keyed(key.encode("utf-8").decode("latin-1")))
    assert answer.status_code == 400
    assert service.inbox.list() == []


def _dying(error: BaseException) -> Any:
    def die(*_: Any, **__: Any) -> Any:
        raise error

    return die
