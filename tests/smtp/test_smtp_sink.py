"""The same delivery against Postfix's own test server, where it is installed."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.model.message import Message
from app.model.outcome import Outcome, Stage
from app.model.smtp import Account, SMTPConfiguration
from tests.neighbours import program
from tests.smtp.conftest import MESSAGE, Send


@contextmanager
def smtp_sink(*flags: str) -> Iterator[SMTPConfiguration]:
    """Postfix's smtp-sink on a free loopback port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = subprocess.Popen([program("smtp-sink"), "-u", "nobody", *flags, f"127.0.0.1:{port}", "50"])
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, "smtp-sink did not start"
            time.sleep(0.02)
        account = Account("sender@example.com", "sender", None)
        yield SMTPConfiguration(index=1, host="127.0.0.1", port=port, account=account, timeout_s=3.0)
    finally:
        process.terminate()
        process.wait(5)


@pytest.mark.parametrize("flags", [(), ("-p",), ("-e",)], ids=["pipelining", "no pipelining", "no esmtp"])
def test_messages_are_accepted(flags: tuple[str, ...], send: Send) -> None:
    with smtp_sink(*flags) as configuration:
        for _ in range(5):
            assert send(configuration).outcome is Outcome.ACCEPTED


def test_what_it_writes_down_is_what_was_sent(send: Send, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    for parent in list(tmp_path.parents)[:3]:
        parent.chmod(parent.stat().st_mode | 0o755)
    message = Message("AB12CD34", MESSAGE.content + b".\r\n..\r\n.dot\r\n")
    with smtp_sink("-d", f"{tmp_path}/%M.") as configuration:
        assert send(configuration, message=message).outcome is Outcome.ACCEPTED
    (dump,) = tmp_path.iterdir()
    assert message.content.replace(b"\r\n", b"\n") in dump.read_bytes()


@pytest.mark.parametrize(
    ("flags", "outcome", "stage"),
    [
        (("-r", "mail"), Outcome.SERVER_AT_FAULT, Stage.MAIL),
        (("-r", "rcpt"), Outcome.SERVER_AT_FAULT, Stage.RCPT),
        (("-r", "data"), Outcome.SERVER_AT_FAULT, Stage.DATA),
        (("-r", "."), Outcome.SERVER_AT_FAULT, Stage.MESSAGE),
        (("-f", "mail"), Outcome.SERVER_AT_FAULT, Stage.MAIL),
        (("-f", "data"), Outcome.MESSAGE_REFUSED, Stage.DATA),
        (("-f", "."), Outcome.MESSAGE_REFUSED, Stage.MESSAGE),
        (("-q", "mail"), Outcome.SERVER_AT_FAULT, Stage.MAIL),
        (("-q", "data"), Outcome.SERVER_AT_FAULT, Stage.DATA),
        (("-q", "."), Outcome.UNKNOWN, Stage.MESSAGE),
    ],
)
def test_its_faults_are_judged_like_ours(flags: tuple[str, ...], outcome: Outcome, stage: Stage, send: Send) -> None:
    with smtp_sink(*flags) as configuration:
        delivery = send(configuration)
    assert (delivery.outcome, delivery.attempts[0].stage) == (outcome, stage)
