"""Several writers at one moment, in one process and in two: one wins, the others are told, nothing is half written."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from app.connections import manage
from app.connections.drafts import draft_of
from app.connections.registry import Registry
from app.errors import ConnectionExists, ConnectionNotFound, LetterboxError
from app.model.access import Caller
from app.model.connection import Connection
from tests.connections.conftest import OpenRegistry, acts, create, email_body, make_caller, names


def at_once(*deeds: Callable[[], object]) -> list[object]:
    """Run all of them in threads of their own, from one moment on; what each returned or raised."""
    barrier = threading.Barrier(len(deeds))
    ends: list[object] = [None] * len(deeds)

    def run(position: int) -> None:
        barrier.wait()
        try:
            ends[position] = deeds[position]()
        except LetterboxError as error:
            ends[position] = error

    threads = [threading.Thread(target=run, args=(position,)) for position in range(len(deeds))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ends


def test_of_fifty_who_create_one_name_at_once_one_wins(open_registry: OpenRegistry) -> None:
    processes = [open_registry() for _ in range(2)]
    caller = make_caller(processes[0], "MyProject")
    ends = at_once(
        *(partial(create, processes[number % 2], caller, "mail", description=str(number)) for number in range(50))
    )
    winners = [number for number, end in enumerate(ends) if end is None]
    assert len(winners) == 1
    assert sum(isinstance(end, ConnectionExists) for end in ends) == 49
    assert manage.get_connection(processes[0], caller, "mail").description == str(winners[0])
    assert [act[1] for act in acts(processes[0])] == ["create"]


def test_of_two_renames_onto_one_name_one_wins(open_registry: OpenRegistry) -> None:
    processes = [open_registry() for _ in range(2)]
    caller = make_caller(processes[0], "MyProject")
    for name in ("one", "two"):
        create(processes[0], caller, name)
    ends = at_once(
        lambda: manage.update_connection(processes[0], caller, "one", email_body(name="three")),
        lambda: manage.update_connection(processes[1], caller, "two", email_body(name="three")),
    )
    assert sum(isinstance(end, ConnectionExists) for end in ends) == 1
    assert len(names(processes[0], caller)) == 2
    assert "three" in names(processes[0], caller)


def test_an_update_that_races_a_delete_does_not_bring_the_connection_back(open_registry: OpenRegistry) -> None:
    processes = [open_registry() for _ in range(2)]
    caller = make_caller(processes[0], "MyProject")
    for number in range(10):
        name = f"mail-{number}"
        create(processes[0], caller, name)
        updated, deleted = at_once(
            partial(manage.update_connection, processes[0], caller, name, email_body(name=name)),
            partial(manage.delete_connection, processes[1], caller, name),
        )
        assert not isinstance(deleted, LetterboxError)
        assert not isinstance(updated, LetterboxError) or isinstance(updated, ConnectionNotFound)
    assert names(processes[0], caller) == []


def test_a_connection_made_anew_between_reading_and_writing_is_not_updated(
    registry: Registry, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(registry, caller, "mail")

    def replace_meanwhile(*arguments: Any, **keywords: Any) -> Connection:
        monkeypatch.undo()
        manage.delete_connection(registry, caller, "mail")
        manage.create_connection(registry, caller, "mail", {"type": "kafka", "name": "mail"})
        return draft_of(*arguments, **keywords)

    monkeypatch.setattr("app.connections.manage.draft_of", replace_meanwhile)
    with pytest.raises(ConnectionNotFound):
        manage.update_connection(registry, caller, "mail", email_body(name="mail"))
    assert manage.get_connection(registry, caller, "mail").type == "kafka"


def test_updates_at_once_leave_one_of_them_whole_and_each_audited_against_what_was_there(
    open_registry: OpenRegistry,
) -> None:
    processes = [open_registry() for _ in range(2)]
    caller = make_caller(processes[0], "MyProject")
    create(processes[0], caller, "mail")

    def update(number: int) -> object:
        body = email_body(name="mail", description=str(number), host=f"host-{number}.example.com", password=str(number))
        return manage.update_connection(processes[number % 2], caller, "mail", body)

    ends = at_once(*(partial(update, number) for number in range(20)))
    assert not any(isinstance(end, LetterboxError) for end in ends)
    connection = manage.get_connection(processes[0], caller, "mail")
    number = connection.description
    assert (connection.fields["host"], connection.fields["password"]) == (f"host-{number}.example.com", number)
    updates = [fields for _, action, _, fields in acts(processes[0]) if action == "update"]
    assert updates == [("description", "host", "password")] * 20
