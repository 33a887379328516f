"""The service as it is run: a process of its own, HTTP over a socket, SIGTERM at the end."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from app.cli import main
from app.cli.serve import _server
from app.settings import Settings
from tests.conftest import valid_request
from tests.smtp_server import SMTPServer

Answer = tuple[int, dict[str, str], bytes]


class Running:
    """A service that runs."""

    def __init__(self, process: "subprocess.Popen[str]", port: int) -> None:
        self.process = process
        self.port = port

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        is_json = isinstance(body, dict)
        try:
            connection.request(
                method,
                path,
                json.dumps(body) if is_json else body,
                ({"Content-Type": "application/json"} if body is not None else {}) | (headers or {}),
            )
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()


@contextmanager
def running(tmp_path: Path, server: SMTPServer | None = None, **environment: str) -> Iterator[Running]:
    with serving([sys.executable, "-m", "app"], tmp_path, environment, server=server) as service:
        yield service


@contextmanager
def serving(
    letterbox: Sequence[str],
    tmp_path: Path,
    environment: Mapping[str, str],
    *,
    server: SMTPServer | None = None,
    directory: Path | None = None,
) -> Iterator[Running]:
    """`letterbox serve`, started in the directory."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("SMTP_", "CORS_"))}
    variables |= {"PORT": str(port), "VAR_DIR": str(tmp_path), "RATE_LIMIT_ENABLED": "false"}
    if server is not None:
        configuration = {"Index": 1, "Host": "127.0.0.1", "Port": server.port, "Email": "web@example.com"}
        variables["SMTP_CONFIGURATIONS"] = json.dumps([configuration | {"Auth": "none", "Security": "none"}])
        variables["SMTP_RECEPTION_EMAIL"] = "office@example.com"
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [*letterbox, "serve"], env={**variables, **environment}, cwd=directory, stderr=log, text=True
        )
    service = Running(process, port)
    try:
        for _ in range(300):
            assert process.poll() is None, (tmp_path / "log").read_text()
            try:
                assert service.ask("GET", "/test")[0] == 200
                break
            except OSError:
                time.sleep(0.1)
        yield service
    finally:
        process.terminate()
        process.wait(timeout=40)


def test_a_newcomers_first_mail_arrives_in_the_inbox_and_the_process_ends_on_sigterm(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        status, headers, body = service.ask("POST", "/api/v1/emails", valid_request(Template="Modern"))
        assert status == 201
        email_id = json.loads(body)["id"]
        assert json.loads(service.ask("GET", headers["location"])[2])["status"] == "Sent"
        assert email_id in service.ask("GET", "/inbox")[2].decode()
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(timeout=20) == 0


def test_what_is_being_sent_is_finished_on_sigterm(tmp_path: Path) -> None:
    with SMTPServer(delay_s=0.5) as server, running(tmp_path, server) as service:
        answers: list[Answer] = []
        thread = threading.Thread(target=lambda: answers.append(service.ask("POST", "/api/v1/emails", valid_request())))
        thread.start()
        server.wait_until(lambda: any("MAIL" in line for transcript in server.transcripts for line in transcript))
        service.process.send_signal(signal.SIGTERM)
        thread.join()
        assert answers[0][0] == 201
        assert len(server.messages) == 1
        assert service.process.wait(timeout=20) == 0


def test_a_body_that_is_too_large_is_refused_and_the_next_request_works(tmp_path: Path) -> None:
    with running(tmp_path, MAX_REQUEST_BYTES="100000") as service:
        chunked = b"%x\r\n" % 150_000 + b"x" * 150_000 + b"\r\n0\r\n\r\n"
        for body, coding in ((b"x" * 150_000, {}), (chunked, {"Transfer-Encoding": "chunked"})):
            status, headers, _ = service.ask("POST", "/api/v1/emails", body, coding)
            assert status == 413
            assert headers["content-type"] == "application/problem+json"
            assert service.ask("POST", "/api/v1/emails", valid_request())[0] == 201


@pytest.mark.parametrize("is_warm", [True, False])
def test_a_session_is_ready_before_the_first_mail_unless_it_is_not_wanted(tmp_path: Path, is_warm: bool) -> None:
    with SMTPServer() as server, running(tmp_path, server, SMTP_WARM_SESSIONS=str(is_warm).lower()) as service:
        # One is that of the check at the start, which goes again.
        server.wait_until(lambda: any("C: QUIT" in transcript for transcript in server.transcripts))
        time.sleep(0.5)
        before = server.connections
        assert service.ask("POST", "/api/v1/emails", valid_request())[0] == 201
        assert (before, server.connections) == ((2, 2) if is_warm else (1, 2))
        assert server.messages[0].round_trips == 1


def test_two_processes_share_cooldown_and_inbox(tmp_path: Path) -> None:
    with running(tmp_path, WEB_PROCESSES="2") as service:
        body = valid_request()
        statuses: list[int] = []
        threads = [
            threading.Thread(target=lambda: statuses.append(service.ask("POST", "/api/v1/emails", body)[0]))
            for _ in range(12)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [201] + [400] * 11


def test_a_process_that_is_killed_is_replaced(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        (child, *_) = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text().split()
        os.kill(int(child), signal.SIGKILL)
        for _ in range(100):
            try:
                status, _, _ = service.ask("POST", "/api/v1/emails", valid_request())
                break
            except OSError:
                time.sleep(0.1)
        assert status == 201


def test_a_connection_is_kept_for_as_long_as_the_setting_says(tmp_path: Path) -> None:
    # The server measures it with a clock of its own.
    with (
        running(tmp_path, KEEP_ALIVE_SECONDS="2") as service,
        closing(http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)) as kept,
    ):
        kept.connect()
        used = kept.sock
        for pause_s in (0, 1.5):
            time.sleep(pause_s)
            kept.request("GET", "/test")
            assert kept.getresponse().read()
            assert kept.sock is used
        began = time.monotonic()
        assert used.recv(1) == b""
        assert 1.5 < time.monotonic() - began < 4


def test_it_is_kept_for_longer_than_load_balancers_keep_theirs() -> None:
    for settings, milliseconds in ((Settings(), 75_000), (Settings(keep_alive_s=600), 600_000)):
        given = _server(settings).http1_settings
        assert given is not None
        assert given.header_read_timeout == milliseconds


def test_a_port_that_is_taken_is_said_in_a_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        result = CliRunner(env={"PORT": port, "VAR_DIR": str(tmp_path)}).invoke(main, ["serve"])
    assert result.exit_code == 78
    assert f"cannot listen on 127.0.0.1:{port}" in result.stderr
    assert "Traceback" not in result.stderr


def test_sigterm_finishes_what_is_being_sent_and_leaves_the_rest_for_the_next_start(tmp_path: Path) -> None:
    with SMTPServer(delay_s=0.05) as server:
        with running(tmp_path, server, QUEUE_WORKERS="2") as service:
            answers = [
                service.ask("POST", "/api/v1/emails", valid_request(), {"Prefer": "respond-async"}) for _ in range(30)
            ]
            assert {status for status, _, _ in answers} == {202}
            began = time.monotonic()
            service.process.terminate()
            assert service.process.wait(timeout=30) == 0
            assert time.monotonic() - began < 10
        before = len(server.messages)
        assert 0 < before < 30
        with running(tmp_path, server) as service:
            paths = [headers["location"] for _, headers, _ in answers]
            patience = time.monotonic() + 20
            while time.monotonic() < patience:
                records = [json.loads(service.ask("GET", path)[2]) for path in paths]
                if all(record["status"] == "Sent" for record in records):
                    break
                time.sleep(0.1)
        assert {record["status"] for record in records} == {"Sent"}
        assert len(server.messages) == 30
