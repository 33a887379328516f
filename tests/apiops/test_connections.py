"""Every call of the table of endpoints, and what it answers when all is well (spec: connections-api, section 1)."""

from typing import Any

import pytest

from app.connections.projects import list_audit
from app.model.access import Permission
from tests.apiops.conftest import Backend, backend, email, kafka, registry_of
from tests.smtp_server import SMTPServer

EMAIL_FIELDS = [
    "type",
    "name",
    "description",
    "deployToWorker",
    "enabled",
    "host",
    "port",
    "username",
    "password",
    "enableStartTls",
    "auth",
    "defaultEncoding",
    "addressToTest",
    "from",
    "additionalProperties",
]


def test_a_project_without_connections_has_an_empty_list(manager: Backend) -> None:
    answer = manager.get()
    assert answer.status_code == 200
    assert answer.text.strip() == '{"success":true,"resultList":[],"resultCount":0}'


def test_an_email_connection_is_shown_whole_in_the_order_of_the_documentation(
    manager: Backend, smtp_server: SMTPServer
) -> None:
    assert manager.post("my-email/", email(smtp_server)).status_code == 200
    found = manager.only("my-email")
    assert list(found) == EMAIL_FIELDS
    assert found == {
        "type": "email",
        "name": "my-email",
        "description": None,
        "deployToWorker": True,
        "enabled": True,
        "host": "127.0.0.1",
        "port": smtp_server.port,
        "username": None,
        "password": None,
        "enableStartTls": False,
        "auth": False,
        "defaultEncoding": "UTF-8",
        "addressToTest": None,
        "from": "noreply@example.com",
        "additionalProperties": [],
    }


def test_the_list_is_ordered_by_name_and_can_be_of_one_type(manager: Backend) -> None:
    for name in ("b", "C", "a"):
        manager.post(f"{name}/", kafka(name))
    manager.post("hook/", {"type": "webhook", "name": "hook", "url": "https://example.com"})
    everything = manager.get().get_json()
    assert [each["name"] for each in everything["resultList"]] == ["a", "b", "C", "hook"]
    assert everything["resultCount"] == 4
    of_one_type = manager.get("?type=webhook").get_json()
    assert [each["name"] for each in of_one_type["resultList"]] == ["hook"]
    assert of_one_type["resultCount"] == 1
    assert manager.get("?type=email").get_json() == {"success": True, "resultList": [], "resultCount": 0}


def test_secrets_are_shown_in_full_to_managers_of_one_connection_only(manager: Backend, viewer: Backend) -> None:
    body = {
        "type": "webhook",
        "name": "hook",
        "apiKey": "KEY-1",
        "nested": {"client_secret": "KEY-2", "url": "https://example.com"},
        "headers": [{"name": "X-Token", "value": "KEY-3"}, {"name": "X-Other", "value": "shown"}],
    }
    manager.post("hook/", body)
    shown = manager.only("hook")
    assert {name: shown[name] for name in body} == body
    for listing in (manager.get(), viewer.get(), viewer.get("hook/")):
        [masked] = listing.get_json()["resultList"]
        assert masked["apiKey"] is None
        assert masked["nested"] == {"client_secret": None, "url": "https://example.com"}
        assert masked["headers"] == [{"name": "X-Token", "value": None}, {"name": "X-Other", "value": "shown"}]
        assert "KEY-" not in listing.text
        assert listing.headers["Cache-Control"] == "no-store"
    assert manager.get("hook/").headers["Cache-Control"] == "no-store"


def test_reading_secrets_is_on_record_and_reading_without_them_is_not(manager: Backend, viewer: Backend) -> None:
    manager.post("k/", kafka("k"))
    viewer.get("k/")
    manager.get()
    assert [entry.action for entry in _audit(manager)] == ["create"]
    manager.get("k/")
    read = _audit(manager)[-1]
    assert (read.actor, read.action, read.subject) == ("deploy script", "read-secrets", "k")


def test_every_change_is_on_record_with_the_names_of_its_fields(manager: Backend) -> None:
    manager.post("k/", kafka("k"))
    manager.put("k/", kafka("renamed", topicName="others"))
    manager.delete("renamed/")
    created, updated, deleted = _audit(manager)
    assert (created.action, created.subject) == ("create", "k")
    assert "topicName" in created.fields
    assert (updated.action, updated.subject) == ("update", "k")
    assert set(updated.fields) == {"name", "topicName"}
    assert (deleted.action, deleted.subject) == ("delete", "renamed")


def _audit(manager: Backend) -> list[Any]:
    entries = list_audit(registry_of(manager.service), manager.project)
    return [entry for entry in entries if entry.actor == "deploy script"]


@pytest.mark.parametrize("slash", ["", "/"])
def test_every_path_works_with_and_without_the_trailing_slash(manager: Backend, slash: str) -> None:
    client, headers = manager.service.client, manager.headers
    base = f"/apiops/projects/{manager.project}/connections"
    assert client.get(base + slash, headers=headers).status_code == 200
    one = f"{base}/k{slash}"
    assert client.post(one, headers=headers, json=kafka("k")).status_code == 200
    assert client.get(one, headers=headers).status_code == 200
    assert client.put(one, headers=headers, json=kafka("k")).status_code == 200
    assert client.post(f"{base}/k/test{slash}", headers=headers).status_code == 400
    assert client.delete(one, headers=headers).status_code == 200
    assert client.post(f"/apiops/auth/token{slash}").status_code == 400


def test_names_are_matched_without_case_and_kept_as_they_were_written(manager: Backend) -> None:
    assert manager.post("MY-KAFKA/", kafka("My-Kafka")).status_code == 200
    assert manager.only("my-kafka")["name"] == "My-Kafka"
    elsewhere = manager.within(manager.project.upper())
    assert elsewhere.only("mY-kAFKA")["name"] == "My-Kafka"
    # The same name in another case is a new way to write it.
    assert manager.put("my-kafka/", kafka("MY-kafka")).status_code == 200
    assert manager.only("my-kafka")["name"] == "MY-kafka"
    assert manager.delete("my-KAFKA/").status_code == 200


@pytest.mark.parametrize("name", ["Büro ÄÖ", "a b", "100%", "naïve?#&=+", "connections", "test", "日本"])
def test_a_name_may_have_any_printable_characters_but_slashes(manager: Backend, name: str) -> None:
    path = "".join(f"%{byte:02X}" for byte in name.encode())
    assert manager.post(f"{path}/", kafka(name)).status_code == 200
    assert manager.only(path)["name"] == name
    assert manager.delete(f"{path}/").status_code == 200


def test_a_deployment_says_how_it_went_in_this_environment(manager: Backend, smtp_server: SMTPServer) -> None:
    answer = manager.post("my-email/", email(smtp_server))
    assert answer.text.strip() == (
        '{"success":true,"deploymentResult":{"success":true,"deploymentResults":'
        '[{"environmentName":"development","success":true,"message":"Deployment successful"}]}}'
    )
    assert smtp_server.connections == 1


def test_a_server_that_does_not_answer_is_reported_and_the_connection_saved(
    manager: Backend, smtp_server: SMTPServer
) -> None:
    smtp_server.stop_listening()
    answer = manager.post("my-email/", email(smtp_server))
    assert answer.status_code == 200
    body = answer.get_json()
    assert body["success"] is True
    assert body["deploymentResult"]["success"] is False
    [result] = body["deploymentResult"]["deploymentResults"]
    assert result["success"] is False
    assert len(result["message"]) > 20
    assert manager.only("my-email")["host"] == "127.0.0.1"


@pytest.mark.parametrize("fields", [{}, {"enabled": False}])
def test_what_is_not_deployed_has_no_deployment_result(
    manager: Backend, smtp_server: SMTPServer, fields: dict[str, Any]
) -> None:
    body = email(smtp_server, deployToWorker=False) | fields
    assert manager.post("my-email/", body).get_json() == {"success": True}
    assert manager.put("my-email/", body).get_json() == {"success": True}
    assert manager.delete("my-email/").get_json() == {"success": True}
    assert smtp_server.connections == 0


def test_a_disabled_connection_is_deployed_without_being_tried(manager: Backend, smtp_server: SMTPServer) -> None:
    answer = manager.post("my-email/", email(smtp_server, enabled=False)).get_json()
    assert answer["deploymentResult"]["success"] is True
    assert smtp_server.connections == 0


def test_an_update_replaces_everything_and_a_delete_removes_it(manager: Backend) -> None:
    manager.post("k/", kafka("k", description="Old", extra="kept"))
    updated = manager.put("k/", {"type": "kafka", "topicName": "others"})
    assert updated.get_json()["deploymentResult"]["success"] is True
    found = manager.only("k")
    assert (found["name"], found["description"], found["topicName"]) == ("k", None, "others")
    assert found["bootstrapServers"] is None
    assert "extra" not in found
    deleted = manager.delete("k/").get_json()
    assert deleted["success"] is True
    assert deleted["deploymentResult"]["success"] is True
    assert manager.get("k/").status_code == 404


@pytest.mark.parametrize("name", [None, ""])
def test_an_update_without_a_name_keeps_the_stored_spelling(manager: Backend, name: str | None) -> None:
    manager.post("Mine/", kafka("Mine"))
    assert manager.put("mine/", kafka(name=name)).status_code == 200  # type: ignore[arg-type]
    assert [each["name"] for each in manager.get().get_json()["resultList"]] == ["Mine"]


def test_a_renamed_connection_is_found_under_its_new_name_only(manager: Backend) -> None:
    manager.post("old/", kafka("old"))
    assert manager.put("old/", kafka("new")).status_code == 200
    assert manager.get("old/").status_code == 404
    assert manager.only("new")["topicName"] == "events"
    assert manager.post("old/", kafka("old")).status_code == 200


def test_the_same_name_in_two_projects_is_two_connections(manager: Backend) -> None:
    other = backend(manager.service, Permission.CONNECTIONS_MANAGE, project=f"{manager.project}-2")
    manager.post("k/", kafka("k", topicName="mine"))
    other.post("k/", kafka("k", topicName="theirs"))
    other.delete("k/")
    assert manager.only("k")["topicName"] == "mine"
    assert other.get().get_json()["resultCount"] == 0


def test_a_test_sends_one_message_and_says_what_worked(manager: Backend, smtp_server: SMTPServer) -> None:
    manager.post("my-email/", email(smtp_server, addressToTest="owner@example.com", deployToWorker=False))
    answer = manager.post("my-email/test/")
    assert answer.status_code == 200
    body = answer.get_json()
    assert list(body) == ["success", "steps"]
    assert body["success"] is True
    assert [step["name"] for step in body["steps"]] == ["dns", "tcp", "tls", "ehlo", "auth", "mail", "message"]
    for step in body["steps"]:
        assert list(step) == ["name", "success", "durationMs", "detail", "remedy"]
        assert step["success"] is True
        assert isinstance(step["durationMs"], int)
    [message] = smtp_server.messages
    assert message.parsed["To"] == "owner@example.com"
    assert [entry.action for entry in _audit(manager)] == ["create"]


def test_a_failed_test_ends_with_the_step_that_failed_and_its_remedy(manager: Backend, smtp_server: SMTPServer) -> None:
    smtp_server.faults = {"RCPT": "550 5.1.1 no such user"}
    manager.post("my-email/", email(smtp_server, addressToTest="owner@example.com", deployToWorker=False))
    body = manager.post("my-email/test/").get_json()
    assert body["success"] is False
    assert [step["success"] for step in body["steps"]] == [True] * 5 + [False]
    assert body["steps"][-1]["name"] == "mail"
    assert "addressToTest" in body["steps"][-1]["remedy"]
    assert "no such user" not in str(body)
    assert smtp_server.messages == []


def test_a_test_without_an_address_says_what_to_set(manager: Backend, smtp_server: SMTPServer) -> None:
    manager.post("my-email/", email(smtp_server, deployToWorker=False))
    body = manager.post("my-email/test/").get_json()
    assert body["success"] is False
    assert body["steps"][-1]["name"] == "mail"
    assert "addressToTest" in body["steps"][-1]["remedy"]


def test_only_connections_of_type_email_can_be_tested(manager: Backend) -> None:
    manager.post("k/", kafka("k"))
    answer = manager.post("k/test/")
    assert answer.status_code == 400
    assert "kafka" in answer.get_json()["error_description"]
    assert manager.post("missing/test/").status_code == 404
