"""The store: order, capacity, restarts, and ids that anybody may make up."""

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.inbox import InboxStore

NOW = datetime(2026, 1, 7, 12, 34, 56, 789000, tzinfo=UTC)

UNSAFE_IDS = [
    "",
    ".",
    "..",
    "../secret",
    "..%2fsecret",
    "/etc/passwd",
    "0" * 21,
    "0" * 23,
    "0" * 21 + "g",
    "0" * 22,
    "0" * 22 + "\n",
    "٠" * 22,
    "A" * 22,
    "\0",
]


def add(store: InboxStore, subject: str, body: bytes = b"x") -> str:
    return store.add("a@example.com", ["b@example.com"], f"Subject: {subject}\r\n\r\n".encode() + body)


def subjects(store: InboxStore) -> list[str]:
    return [summary.subject for summary in store.list()]


def test_messages_are_listed_newest_first_even_within_one_moment(tmp_path: Path) -> None:
    store = InboxStore(tmp_path, clock=lambda: NOW)
    for number in range(5):
        add(store, str(number))
    assert subjects(store) == ["4", "3", "2", "1", "0"]
    assert all(summary.received_at - NOW < timedelta(milliseconds=1) for summary in store.list())


def test_a_new_store_on_the_same_directory_sees_the_messages(tmp_path: Path) -> None:
    id = add(InboxStore(tmp_path), "Kept")
    restarted = InboxStore(tmp_path)
    assert subjects(restarted) == ["Kept"]
    message = restarted.get(id)
    assert message is not None
    assert message.recipients == ("b@example.com",)


def test_two_stores_on_one_directory_see_each_other(tmp_path: Path) -> None:
    one, other = InboxStore(tmp_path), InboxStore(tmp_path)
    id = add(one, "Shared")
    assert subjects(other) == ["Shared"]
    assert one.delete(id)
    assert subjects(other) == []


def test_beyond_capacity_the_oldest_are_dropped(tmp_path: Path) -> None:
    store = InboxStore(tmp_path, capacity=3)
    for number in range(5):
        add(store, str(number))
    assert subjects(store) == ["4", "3", "2"]
    assert len(list(tmp_path.iterdir())) == 3


def test_beyond_capacity_in_bytes_the_oldest_are_dropped_but_the_newest_stays(tmp_path: Path) -> None:
    store = InboxStore(tmp_path, capacity_bytes=2500)
    for number in range(4):
        add(store, str(number), b"x" * 1000)
    assert subjects(store) == ["3", "2"]
    add(store, "large", b"x" * 10_000)
    assert subjects(store) == ["large"]


def test_a_message_is_read_once_for_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = InboxStore(tmp_path)
    add(store, "Cached")
    store.list()
    monkeypatch.setattr(store, "get", lambda _: pytest.fail("it was read again"))
    assert subjects(store) == ["Cached"]


@pytest.mark.parametrize("id", UNSAFE_IDS)
def test_an_id_that_was_not_given_out_finds_nothing(tmp_path: Path, id: str) -> None:
    (tmp_path / "secret.eml").write_text("Subject: secret")
    store = InboxStore(tmp_path / "inbox")
    add(store, "Kept")
    assert store.get(id) is None
    assert store.source(id) is None
    assert store.attachment(id, 1) is None
    assert not store.delete(id)
    assert subjects(store) == ["Kept"]
    assert (tmp_path / "secret.eml").exists()


def test_clearing_leaves_foreign_files_alone(tmp_path: Path) -> None:
    store = InboxStore(tmp_path)
    add(store, "Gone")
    (tmp_path / "notes.eml").write_text("mine")
    store.clear()
    assert subjects(store) == []
    assert (tmp_path / "notes.eml").exists()


def test_a_message_that_pretends_to_have_trace_fields_is_kept_as_it_came(tmp_path: Path) -> None:
    store = InboxStore(tmp_path)
    raw = b"Return-Path: <evil@x>\r\nDelivered-To: evil\r\nReceived: by evil\r\nSubject: s\r\n\r\nx"
    id = store.add("a@example.com\r\nDelivered-To: injected", ["b@example.com\nX: y"], raw)
    message = store.get(id)
    assert store.source(id) == raw
    assert message is not None
    assert message.envelope_from == "a@example.com  Delivered-To: injected"
    assert message.recipients == ("b@example.com X: y",)


def test_the_directory_is_for_this_user_only(tmp_path: Path) -> None:
    InboxStore(tmp_path / "inbox")
    assert stat.S_IMODE((tmp_path / "inbox").stat().st_mode) == 0o700


def test_what_a_killed_process_left_behind_is_swept_but_not_what_is_being_written(tmp_path: Path) -> None:
    old, young = tmp_path / ".old.tmp", tmp_path / ".young.tmp"
    old.touch()
    young.touch()
    os.utime(old, (0, 0))
    InboxStore(tmp_path)
    assert not old.exists()
    assert young.exists()


def test_a_message_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = InboxStore(tmp_path)

    def refuse(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="No space"):
        add(store, "Lost")
    assert list(tmp_path.iterdir()) == []
