"""The embedded inbox as an SMTP server: a real client in front, the store behind."""

import smtplib
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from statistics import median

import pytest

from app.inbox import EmbeddedInbox, InboxStore, with_embedded_inbox
from app.settings import Settings

MESSAGE = b"From: <a@example.com>\r\nSubject: Hello\r\n\r\nA line\r\n.\r\n..dots\r\n"


def test_a_message_arrives_byte_for_byte_with_its_envelope(smtp: smtplib.SMTP, store: InboxStore) -> None:
    smtp.sendmail("a@example.com", ["b@example.com", "c@example.com"], MESSAGE)
    [summary] = store.list()
    message = store.get(summary.id)
    assert store.source(summary.id) == MESSAGE
    assert message is not None
    assert (message.envelope_from, message.recipients) == ("a@example.com", ("b@example.com", "c@example.com"))


def test_the_server_announces_what_it_can(smtp: smtplib.SMTP) -> None:
    smtp.ehlo()
    assert smtp.esmtp_features.keys() >= {"pipelining", "8bitmime", "smtputf8", "size"}
    assert int(smtp.esmtp_features["size"]) >= 40 * 1024 * 1024


def test_pipelined_commands_are_answered_in_order(port: int, store: InboxStore) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client, client.makefile("rwb") as stream:
        stream.write(b"EHLO test\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n")
        stream.write(b"Subject: At once\r\n\r\nx\r\n.\r\nQUIT\r\n")
        stream.flush()
        codes = [line[:3] for line in stream if line[3:4] == b" "]
    assert codes == [b"220", b"250", b"250", b"250", b"354", b"250", b"221"]
    assert [summary.subject for summary in store.list()] == ["At once"]


def test_pipelined_replies_do_not_wait_for_acknowledgements(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client, client.makefile("rb") as replies:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(b"EHLO test\r\n")
        list(iter(replies.readline, b"250 HELP\r\n"))
        durations_s = []
        for _ in range(40):
            begin = time.perf_counter()
            client.sendall(b"NOOP\r\nNOOP\r\nNOOP\r\n")
            for _ in range(3):
                replies.readline()
            durations_s.append(time.perf_counter() - begin)
    assert median(durations_s) < 0.02


def test_addresses_and_bytes_beyond_ascii_are_accepted(smtp: smtplib.SMTP, store: InboxStore) -> None:
    raw = "Subject: Grüße\r\n\r\nzażółć\r\n".encode()
    smtp.sendmail("jörg@example.com", ["b@example.com"], raw, mail_options=["SMTPUTF8", "BODY=8BITMIME"])
    [summary] = store.list()
    message = store.get(summary.id)
    assert message is not None
    assert (summary.subject, message.text, message.envelope_from) == ("Grüße", "zażółć\r\n", "jörg@example.com")


def test_lines_over_the_limit_of_smtp_are_shown_not_refused(smtp: smtplib.SMTP, store: InboxStore) -> None:
    raw = b"Subject: Long\r\n\r\n" + b"x" * 50_000 + b"\r\n"
    smtp.sendmail("a@example.com", ["b@example.com"], raw)
    assert store.source(store.list()[0].id) == raw


def test_many_clients_at_once_lose_nothing(port: int, store: InboxStore) -> None:
    def send(number: int) -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
            for turn in range(5):
                raw = f"Subject: {number}-{turn}\r\n\r\nx\r\n".encode()
                client.sendmail("a@example.com", ["b@example.com"], raw)

    senders = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert {summary.subject for summary in store.list()} == {f"{n}-{turn}" for n in range(8) for turn in range(5)}


def test_a_full_disk_is_a_temporary_refusal(
    smtp: smtplib.SMTP, store: InboxStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "add", no_space)
    with pytest.raises(smtplib.SMTPDataError) as refusal:
        smtp.sendmail("a@example.com", ["b@example.com"], MESSAGE)
    assert refusal.value.smtp_code == 452


def test_stopping_closes_the_port_and_open_connections(store: InboxStore) -> None:
    inbox = EmbeddedInbox(store)
    port = inbox.start()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        assert client.recv(100).startswith(b"220")
        inbox.stop()
        with suppress(ConnectionResetError):
            assert client.recv(100) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10)
    inbox.stop()


def test_a_port_that_is_taken_is_said_at_once(store: InboxStore, port: int) -> None:
    with pytest.raises(OSError, match="in use"):
        EmbeddedInbox(store, port=port).start()


def test_settings_without_an_smtp_configuration_send_to_the_inbox(tmp_path: Path) -> None:
    settings, store = with_embedded_inbox(Settings(var_dir=tmp_path))
    [configuration] = settings.smtp_configurations
    with smtplib.SMTP(configuration.host, configuration.port, timeout=10) as client:
        client.sendmail(configuration.account.address, [settings.reception_email], MESSAGE)
    assert [summary.subject for summary in store.list()] == ["Hello"]
    assert configuration.test_account is not None
