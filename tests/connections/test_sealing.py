"""What is stored of a connection: nobody reads it without the key, moves it to another row, or alters it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from app.connections import manage
from app.connections.registry import Registry
from app.connections.rotation import rotate, unreadable_connections
from app.connections.rows import from_row, place_of, to_row
from app.connections.sealing import SealBroken, Sealer
from app.errors import ConnectionUnreadable, SettingsInvalid
from app.model.access import Caller
from app.storage import audit, connections
from tests.connections.conftest import SECRET_KEYS, OpenRegistry, email_body, make_caller

NEW_KEY = "the second key of these tests, as long as that"
PLACE = place_of(1, 1)


@pytest.fixture(scope="module")
def sealer() -> Sealer:
    return Sealer(SECRET_KEYS)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_what_was_sealed_is_opened_again(secret: str) -> None:
    sealer = Sealer(SECRET_KEYS)
    assert sealer.open(sealer.seal(secret, context=PLACE), context=PLACE) == secret


def test_a_sealed_text_shows_nothing_of_what_is_in_it_and_never_looks_the_same(sealer: Sealer) -> None:
    first, second = (sealer.seal("app-password", context=PLACE) for _ in range(2))
    assert "app-password" not in first
    assert first != second
    version, key_id, encrypted = first.split(".")
    assert (version, len(key_id)) == ("v1", 8)
    assert set(key_id) <= set("0123456789abcdef")
    assert len(encrypted) >= (12 + len("app-password") + 16) * 4 / 3


def test_what_was_sealed_for_one_row_cannot_be_opened_in_another(sealer: Sealer) -> None:
    sealed = sealer.seal("app-password", context=place_of(1, 1))
    for place in (place_of(1, 2), place_of(2, 1), place_of(11, 1), ""):
        with pytest.raises(SealBroken):
            sealer.open(sealed, context=place)


def test_no_altered_character_goes_unnoticed(sealer: Sealer) -> None:
    sealed = sealer.seal("app-password", context=PLACE)
    for position, character in enumerate(sealed):
        other = "A" if character != "A" else "Q"
        with pytest.raises(SealBroken):
            sealer.open(sealed[:position] + other + sealed[position + 1 :], context=PLACE)


@pytest.mark.parametrize("sealed", ["", "v1", "v1.", "v1..", "v2.00000000.AAAA", "{}", "v1.00000000.ü"])
def test_what_is_not_sealed_at_all_is_refused(sealer: Sealer, sealed: str) -> None:
    assert not sealer.knows(sealed)
    assert not sealer.is_current(sealed)
    with pytest.raises(SealBroken):
        sealer.open(sealed, context=PLACE)


def test_a_truncated_text_of_a_known_key_is_refused(sealer: Sealer) -> None:
    sealed = sealer.seal("", context=PLACE)
    for length in range(len("v1.00000000."), len(sealed)):
        with pytest.raises(SealBroken):
            sealer.open(sealed[:length], context=PLACE)


def test_the_first_key_seals_and_every_key_opens() -> None:
    old, both, new = Sealer(SECRET_KEYS), Sealer((NEW_KEY, *SECRET_KEYS)), Sealer((NEW_KEY,))
    by_old, by_both = old.seal("x", context=PLACE), both.seal("x", context=PLACE)
    assert both.open(by_old, context=PLACE) == both.open(by_both, context=PLACE) == "x"
    assert (both.knows(by_old), both.is_current(by_old)) == (True, False)
    assert (new.knows(by_both), new.is_current(by_both)) == (True, True)
    assert not new.knows(by_old)
    with pytest.raises(SealBroken, match="SECRET_KEY"):
        new.open(by_old, context=PLACE)


def test_without_a_key_nothing_is_sealed_in_clear_text() -> None:
    with pytest.raises(SettingsInvalid, match="SECRET_KEY"):
        Sealer(()).seal("app-password", context=PLACE)
    with pytest.raises(SealBroken):
        Sealer(()).open("v1.00000000.AAAA", context=PLACE)


def test_no_representation_shows_a_key(sealer: Sealer) -> None:
    assert repr(sealer) == "Sealer(<1 keys>)"
    assert SECRET_KEYS[0] not in f"{sealer} {sealer!r} {[sealer]}"


def test_nothing_of_a_connection_but_names_and_switches_is_stored_in_clear(registry: Registry, caller: Caller) -> None:
    body = email_body(description="our little secret", host="hidden.example.com")
    manage.create_connection(registry, caller, "my-email-connection", body)
    rows = registry.database.read(lambda connection: connection.execute(text("SELECT * FROM connections")).all())
    for hidden in ("app-password", "our little secret", "hidden.example.com", "notifications@"):
        assert hidden not in str(rows)


def test_two_rows_that_were_swapped_in_the_database_are_noticed(registry: Registry, caller: Caller) -> None:
    for name in ("one", "two"):
        manage.create_connection(registry, caller, name, email_body(name=name))
    one, two = registry.database.read(connections.every)
    registry.database.write(lambda connection: connections.reseal(connection, one.id, old=one.sealed, new=two.sealed))
    assert unreadable_connections(registry.database, registry.sealer) == ["MyProject/one"]
    with pytest.raises(ConnectionUnreadable):
        manage.get_connection(registry, caller, "one")
    assert manage.get_connection(registry, caller, "two").fields["password"] == "app-password"


def test_rotation_seals_everything_with_the_first_key(open_registry: OpenRegistry) -> None:
    old = open_registry()
    caller = make_caller(old, "MyProject")
    for name in ("one", "two", "three"):
        manage.create_connection(old, caller, name, email_body(name=name, password=f"password of {name}"))
    both = open_registry(secret_keys=(NEW_KEY, *SECRET_KEYS))
    manage.create_connection(both, caller, "four", email_body(name="four"))
    rotation = rotate(both)
    assert (rotation.resealed, rotation.kept, rotation.unreadable) == (3, 1, ())
    new = open_registry(secret_keys=(NEW_KEY,))
    assert manage.get_connection(new, caller, "two").fields["password"] == "password of two"
    assert unreadable_connections(new.database, new.sealer) == []
    assert rotate(new).resealed == 0
    entries = [entry for entry in new.database.read(audit.every) if entry.action == "reseal"]
    assert [(entry.actor, entry.project, entry.subject) for entry in entries] == [
        ("command line", "MyProject", name) for name in ("one", "two", "three")
    ]


def test_rotation_leaves_what_it_cannot_open_and_says_so(open_registry: OpenRegistry) -> None:
    old = open_registry()
    manage.create_connection(old, make_caller(old, "MyProject"), "lost", email_body(name="lost"))
    before = old.database.read(connections.every)
    new = open_registry(secret_keys=(NEW_KEY,))
    assert unreadable_connections(new.database, new.sealer) == ["MyProject/lost"]
    rotation = rotate(new)
    assert (rotation.resealed, rotation.kept, rotation.unreadable) == (0, 0, ("MyProject/lost",))
    assert new.database.read(connections.every) == before


def test_what_is_changed_during_a_rotation_is_not_overwritten(
    open_registry: OpenRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = open_registry()
    caller = make_caller(old, "MyProject")
    manage.create_connection(old, caller, "one", email_body(name="one"))
    both = open_registry(secret_keys=(NEW_KEY, *SECRET_KEYS))
    reseal = connections.reseal

    def change_first(connection: object, connection_id: int, **seals: str) -> bool:
        monkeypatch.setattr(connections, "reseal", reseal)
        # Another process, still with the old key first, comes between reading and writing.
        connections.replace(connection, _resealed(old, password="changed meanwhile"), now_ms=1)  # type: ignore[arg-type]
        return reseal(connection, connection_id, **seals)  # type: ignore[arg-type]

    monkeypatch.setattr(connections, "reseal", change_first)
    assert rotate(both).resealed == 1
    new = open_registry(secret_keys=(NEW_KEY,))
    assert manage.get_connection(new, caller, "one").fields["password"] == "changed meanwhile"


def _resealed(registry: Registry, *, password: str) -> connections.ConnectionRow:
    connection = from_row(registry.sealer, registry.database.read(connections.every)[0])
    return to_row(registry.sealer, replace(connection, fields={**connection.fields, "password": password}))


def test_what_cannot_be_opened_can_still_be_replaced_and_deleted(open_registry: OpenRegistry) -> None:
    old = open_registry()
    caller = make_caller(old, "MyProject")
    for name in ("one", "two"):
        manage.create_connection(old, caller, name, email_body(name=name))
    new = open_registry(secret_keys=(NEW_KEY,))
    manage.update_connection(new, caller, "one", email_body(name="one", password="new-password"))
    assert manage.get_connection(new, caller, "one").fields["password"] == "new-password"
    assert manage.delete_connection(new, caller, "two").name == "two"
    assert [row.name for row in new.database.read(connections.every)] == ["one"]
