"""Creating, reading, updating and deleting: names, projects, the audit, and what senders see."""

from collections.abc import Callable

import pytest

from app.connections import manage
from app.connections.registry import Registry
from app.errors import (
    ConnectionExists,
    ConnectionInvalid,
    ConnectionNotFound,
    LetterboxError,
    ProjectNotFound,
)
from app.model.access import Caller
from app.model.smtp import SMTPConfiguration
from app.storage import audit, projects
from tests.connections.conftest import OpenRegistry, acts, create, email_body, make_caller, names


def test_a_connection_is_read_as_it_was_created(registry: Registry, caller: Caller) -> None:
    created = manage.create_connection(registry, caller, "MY-EMAIL-CONNECTION", email_body())
    assert created.id > 0
    assert created.smtp_index >= 1000
    read = manage.get_connection(registry, caller, "My-Email-Connection")
    assert read == created
    assert read.name == "my-email-connection"
    assert read.fields["password"] == "app-password"
    assert read.description == "Email connection for sending notifications"


def test_connections_are_listed_by_name_without_case_and_by_type(registry: Registry, caller: Caller) -> None:
    for name in ("beta", "Alpha", "gamma"):
        create(registry, caller, name)
    manage.create_connection(registry, caller, "cache", {"type": "kafka", "name": "cache"})
    assert names(registry, caller) == ["Alpha", "beta", "cache", "gamma"]
    assert names(registry, caller, type="kafka") == ["cache"]
    assert names(registry, caller, type="ldap") == []
    with pytest.raises(ConnectionInvalid, match="one of email, kafka"):
        names(registry, caller, type="Email")


def test_a_name_is_taken_without_case_and_only_in_its_project(registry: Registry, caller: Caller) -> None:
    create(registry, caller, "mail")
    with pytest.raises(ConnectionExists, match=r"Connection \(name: MAIL\) already exists!"):
        create(registry, caller, "MAIL")
    other = make_caller(registry, "Other")
    create(registry, other, "Mail")
    assert (names(registry, caller), names(registry, other)) == (["mail"], ["Mail"])


def test_another_projects_connections_are_not_there(registry: Registry, caller: Caller) -> None:
    create(registry, caller, "mail")
    other = make_caller(registry, "Other")
    deeds: list[Callable[[], object]] = [
        lambda: manage.get_connection(registry, other, "mail"),
        lambda: manage.update_connection(registry, other, "mail", email_body(name="mail")),
        lambda: manage.delete_connection(registry, other, "mail"),
    ]
    for deed in deeds:
        with pytest.raises(ConnectionNotFound, match=r"Connection \(name: mail\) was not found!"):
            deed()
    assert names(registry, other) == []
    assert names(registry, caller) == ["mail"]


def test_an_update_replaces_everything(registry: Registry, caller: Caller) -> None:
    create(registry, caller, "mail", addressToTest="test@example.com")
    body = {"type": "email", "host": "other.example.com", "from": "a@example.com", "enabled": False}
    updated = manage.update_connection(registry, caller, "MAIL", body)
    assert updated == manage.get_connection(registry, caller, "mail")
    assert dict(updated.fields) == {"host": "other.example.com", "from": "a@example.com"}
    assert (updated.name, updated.description, updated.enabled) == ("mail", None, False)


def test_a_rename_keeps_the_index_and_frees_the_old_name(registry: Registry, caller: Caller) -> None:
    create(registry, caller, "old")
    before = manage.get_connection(registry, caller, "old")
    after = manage.update_connection(registry, caller, "old", email_body(name="new"))
    assert after.smtp_index == before.smtp_index
    assert names(registry, caller) == ["new"]
    create(registry, caller, "old")
    assert manage.get_connection(registry, caller, "old").smtp_index > before.smtp_index


def test_a_rename_may_change_only_the_case(registry: Registry, caller: Caller) -> None:
    create(registry, caller, "mail")
    manage.update_connection(registry, caller, "mail", email_body(name="Mail"))
    assert names(registry, caller) == ["Mail"]


def test_a_rename_onto_a_name_that_is_taken_changes_nothing(registry: Registry, caller: Caller) -> None:
    create(registry, caller, "one")
    create(registry, caller, "two")
    with pytest.raises(ConnectionExists, match=r"Connection \(name: TWO\) already exists!"):
        manage.update_connection(registry, caller, "one", email_body(name="TWO", host="other.example.com"))
    assert names(registry, caller) == ["one", "two"]
    assert manage.get_connection(registry, caller, "one").fields["host"] == "smtp.example.com"


def test_an_update_of_what_is_not_there_says_so_before_it_judges_the_body(registry: Registry, caller: Caller) -> None:
    with pytest.raises(ConnectionNotFound):
        manage.update_connection(registry, caller, "mail", {})


def test_a_wrong_body_changes_nothing(registry: Registry, caller: Caller) -> None:
    create(registry, caller, "mail")
    before = manage.get_connection(registry, caller, "mail")
    with pytest.raises(ConnectionInvalid):
        manage.update_connection(registry, caller, "mail", email_body(name="mail", port="25"))
    with pytest.raises(ConnectionInvalid, match="cannot be changed"):
        manage.update_connection(registry, caller, "mail", {"type": "kafka"})
    assert manage.get_connection(registry, caller, "mail") == before
    with pytest.raises(ConnectionInvalid):
        create(registry, caller, "bad", port=22)
    assert names(registry, caller) == ["mail"]


def test_what_was_deleted_is_gone_and_told_to_who_deletes_it_again(registry: Registry, caller: Caller) -> None:
    create(registry, caller, "mail")
    assert manage.delete_connection(registry, caller, "MAIL").is_sendable
    for deed in (manage.get_connection, manage.delete_connection):
        with pytest.raises(ConnectionNotFound):
            deed(registry, caller, "mail")


def test_an_index_is_never_given_a_second_time(registry: Registry, caller: Caller) -> None:
    create(registry, caller, "mail")
    first = manage.delete_connection(registry, caller, "mail").smtp_index
    create(registry, caller, "mail")
    assert manage.get_connection(registry, caller, "mail").smtp_index > first


def test_a_project_that_is_gone_is_told(registry: Registry, caller: Caller) -> None:
    registry.database.write(lambda connection: projects.remove(connection, caller.project_id))
    with pytest.raises(ProjectNotFound, match="Project 'MyProject' not found"):
        create(registry, caller, "mail")


def test_the_audit_says_who_did_what_and_which_fields_changed(registry: Registry, caller: Caller) -> None:
    manage.create_connection(registry, caller, "mail", email_body(name="mail", description=None))
    manage.update_connection(registry, caller, "mail", email_body(name="post", password="new", enabled=False))
    manage.update_connection(registry, caller, "post", email_body(name="post", password="new", enabled=False))
    manage.get_connection(registry, caller, "post")
    manage.list_connections(registry, caller)
    manage.reveal_connection(registry, caller, "POST")
    manage.delete_connection(registry, caller, "post")
    created, *later = acts(registry)
    assert created[:3] == ("deploy-bot", "create", "mail")
    assert {"type", "name", "host", "password"} <= set(created[3])
    assert "description" not in created[3]
    assert later == [
        ("deploy-bot", "update", "mail", ("name", "description", "enabled", "password")),
        ("deploy-bot", "update", "post", ()),
        ("deploy-bot", "read-secrets", "post", ()),
        ("deploy-bot", "delete", "post", ()),
    ]
    assert {entry.project for entry in registry.database.read(audit.every)} == {"MyProject"}
    assert "app-password" not in str(registry.database.read(audit.every))


def test_what_fails_leaves_no_trace_in_the_audit(registry: Registry, caller: Caller) -> None:
    create(registry, caller, "one")
    create(registry, caller, "two")
    before = acts(registry)
    deeds: list[Callable[[], object]] = [
        lambda: create(registry, caller, "one"),
        lambda: manage.update_connection(registry, caller, "one", email_body(name="two")),
        lambda: manage.delete_connection(registry, caller, "three"),
        lambda: manage.reveal_connection(registry, caller, "three"),
    ]
    for deed in deeds:
        with pytest.raises(LetterboxError):
            deed()
    assert acts(registry) == before


def test_senders_of_every_process_see_a_change_at_once(
    open_registry: OpenRegistry, retired: list[SMTPConfiguration]
) -> None:
    here, there = open_registry(), open_registry()
    caller = make_caller(here, "MyProject")
    assert there.live.smtp_configurations(caller.project_id) == ()
    create(here, caller, "mail")
    (first,) = there.live.smtp_configurations(caller.project_id)
    manage.update_connection(here, caller, "mail", email_body(name="mail", host="other.example.com"))
    (second,) = there.live.smtp_configurations(caller.project_id)
    assert (first.index, first.host) == (second.index, "smtp.example.com")
    assert second.host == "other.example.com"
    assert retired == [first]
    manage.update_connection(here, caller, "mail", email_body(name="mail", enabled=False))
    assert there.live.smtp_configurations(caller.project_id) == ()
    assert retired == [first, second]
    manage.update_connection(here, caller, "mail", email_body(name="mail"))
    (third,) = there.live.smtp_configurations(caller.project_id)
    manage.delete_connection(here, caller, "mail")
    assert there.live.smtp_configurations(caller.project_id) == ()
    assert retired == [first, second, third]


def test_a_rename_ends_no_sessions(registry: Registry, caller: Caller, retired: list[SMTPConfiguration]) -> None:
    create(registry, caller, "mail")
    before = registry.live.smtp_configurations(caller.project_id)
    manage.update_connection(registry, caller, "mail", email_body(name="post"))
    assert registry.live.smtp_configurations(caller.project_id) == before
    assert retired == []
