"""What a hostile owner of a token, or a key that changed too early, does to the others: nothing."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from werkzeug.test import TestResponse

from app.connections import access
from app.connections.check_limit import MOST_OF_A_PROJECT
from app.emails.office import Office
from app.model.access import Permission
from tests.conftest import MakeService, Service
from tests.smtp.faults import Hang
from tests.smtp_server import SMTPServer

C = "/apiops/projects/Shop/connections"


@pytest.fixture
def service(make_service: MakeService, database_url: str) -> Service:
    return make_service(secret_keys=("k" * 32,), database_url=database_url, connection_ports=tuple(range(1, 65536)))


@pytest.fixture
def headers(service: Service) -> dict[str, str]:
    office: Office = service.app.extensions["letterbox"]
    token = access.create_token(office.registry, project="Shop", permissions=tuple(Permission))
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def tarpit() -> Iterator[SMTPServer]:
    with SMTPServer(faults={"GREETING": Hang()}) as server:
        yield server


def email(port: int) -> dict[str, object]:
    return {"type": "email", "name": "tar", "host": "127.0.0.1", "port": port, "from": "a@example.com"} | {
        "additionalProperties": [{"name": "mail.smtp.timeout", "value": "1500"}]
    }


def test_a_silent_server_holds_a_few_threads_and_not_more(
    service: Service, headers: dict[str, str], tarpit: SMTPServer
) -> None:
    body = email(tarpit.port) | {"deployToWorker": False}
    assert service.client.post(f"{C}/tar", json=body, headers=headers).status_code == 200
    answers: list[TestResponse] = []

    def try_it() -> None:
        answers.append(service.app.test_client().post(f"{C}/tar/test", headers=headers))

    threads = [threading.Thread(target=try_it) for _ in range(MOST_OF_A_PROJECT + 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = [answer for answer in answers if answer.status_code == 503]
    assert len(refused) == 6
    assert all(answer.json and answer.json["error"] == "temporarily_unavailable" for answer in refused)
    assert all("Retry-After" in answer.headers for answer in refused)


@pytest.mark.parametrize("name", ["x\n2026\tMyProject\tforged", "\x1b[31mRED", "", "n" * 101])
def test_the_names_of_unknown_fields_cannot_forge_an_audit(
    service: Service, headers: dict[str, str], name: str
) -> None:
    answer = service.client.post(f"{C}/forge", json={"type": "ldap", "name": "forge", name: 1}, headers=headers)
    assert answer.status_code == 400
    assert answer.json is not None
    assert "name of a field" in answer.json["error_description"]


def test_a_nul_in_a_name_is_a_connection_that_is_not_there(service: Service, headers: dict[str, str]) -> None:
    assert service.client.get(f"{C}/%00", headers=headers).status_code == 404
    for method in ("PUT", "DELETE"):
        answer = service.client.open(f"{C}/%00", method=method, headers=headers, json={"type": "ldap"})
        assert answer.status_code == 400


def test_a_connection_with_another_key_does_not_hide_the_others(
    make_service: MakeService, service: Service, headers: dict[str, str], database_url: str
) -> None:
    for name in ("one", "two"):
        body = {"type": "ldap", "name": name, "url": "ldap://example.com"}
        service.client.post(f"{C}/{name}", json=body, headers=headers)
    office: Office = service.app.extensions["letterbox"]
    break_one = "UPDATE connections SET sealed = 'v1.00000000.AAAA' WHERE name = 'one'"
    office.database.write(lambda connection: connection.exec_driver_sql(break_one).rowcount)
    listed = service.client.get(f"{C}/", headers=headers)
    assert listed.status_code == 200
    assert listed.json is not None
    assert [entry["name"] for entry in listed.json["resultList"]] == ["one", "two"]
    single = service.client.get(f"{C}/one", headers=headers)
    assert single.status_code == 503
    assert single.json is not None
    assert "SECRET_KEY" in single.json["error_description"]
    assert service.client.delete(f"{C}/one", headers=headers).status_code == 200


def test_of_a_rename_and_a_deletion_at_once_one_wins(service: Service, headers: dict[str, str]) -> None:
    for _ in range(10):
        service.client.post(f"{C}/ra", json={"type": "ldap", "name": "ra"}, headers=headers)
        calls = [("PUT", {"type": "ldap", "name": "rb"}), ("DELETE", None), ("PUT", {"type": "ldap", "name": "rc"})]

        def call(each: tuple[str, dict[str, str] | None]) -> int:
            method, body = each
            client = service.app.test_client()
            return client.open(f"{C}/ra", method=method, json=body, headers=headers).status_code

        with ThreadPoolExecutor(3) as pool:
            assert list(pool.map(call, calls)).count(200) == 1
        for name in ("rb", "rc"):
            service.client.delete(f"{C}/{name}", headers=headers)


def test_slashes_are_not_merged_by_a_redirect_to_a_host_that_the_client_names(service: Service) -> None:
    answer = service.client.get("/apiops//projects/Shop/connections/a", headers={"Host": "evil.example"})
    assert answer.status_code in (401, 404)
    assert "Location" not in answer.headers
