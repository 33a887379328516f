"""`python -m bench.celery_1000`: a thousand queued emails, two Celery workers, and what can happen to them.

One worker is killed (SIGKILL) when 300 emails were taken and the broker is restarted when 600 were. The SMTP server's
own account says what was delivered and what was doubled. Exit status 1 when an email was lost or doubled; one is not
lost whose record says Uncertain, which is the truth about those that the killed worker was handing over.

Needs PostgreSQL without a password on 127.0.0.1:5432, and RabbitMQ there or redis-server to start one of its own.
"""

import argparse
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

from bench.ledger import Ledger

_POSTGRESQL = "postgresql://127.0.0.1:5432/postgres"
_FINAL = ("Sent", "Uncertain", "Failed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--broker", choices=("rabbitmq", "redis"), default="rabbitmq")
    parser.add_argument("--emails", type=int, default=1000)
    parser.add_argument("--reply-ms", type=float, default=100.0, help="how long the SMTP server thinks")
    options = parser.parse_args()
    # So that nothing is left behind when somebody ends it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ledger = stack.enter_context(Ledger(reply_s=options.reply_ms / 1000))
        broker = stack.enter_context(_rabbitmq() if options.broker == "rabbitmq" else _redis(directory))
        database_url = stack.enter_context(_database())
        fleet = stack.enter_context(_Fleet(directory, ledger, broker_url=broker.url, database_url=database_url))
        is_good = _run(fleet, ledger, broker, emails=options.emails)
    sys.exit(0 if is_good else 1)


def _run(fleet: "_Fleet", ledger: Ledger, broker: "_Broker", *, emails: int) -> bool:
    fleet.start("serve")
    fleet.wait_until_it_serves()
    fleet.start("beat")
    victim = fleet.start("worker")
    fleet.start("worker")
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        posting = pool.map(lambda _: fleet.post(), range(emails))
        _wait(lambda: ledger.total >= emails * 3 // 10)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        print(f"{time.monotonic() - began:6.1f} s  {ledger.total} taken, a worker is killed", flush=True)
        _wait(lambda: ledger.total >= emails * 6 // 10)
        print(f"{time.monotonic() - began:6.1f} s  {ledger.total} taken, the broker is restarted", flush=True)
        broker.restart()
        print(f"{time.monotonic() - began:6.1f} s  {ledger.total} taken, the broker is back", flush=True)
        ids = list(posting)
    statuses: dict[str, str] = {}

    def is_settled() -> bool:
        for email_id in ids:
            if statuses.get(email_id) not in _FINAL:
                statuses[email_id] = fleet.status_of(email_id)
                if statuses[email_id] not in _FINAL:
                    return False
        return True

    _wait(is_settled)
    took_s = time.monotonic() - began
    lost = [id for id in ids if not ledger.accepted[id] and statuses[id] != "Uncertain"]
    untrue = [id for id in ids if statuses[id] == "Failed" or (statuses[id] == "Sent") > ledger.accepted[id]]
    delivered = sum(1 for id in ids if ledger.accepted[id])
    print(f"{took_s:6.1f} s  all are settled: {dict(Counter(statuses.values()))}")
    print(f"accepted by the service {len(ids)}, delivered {delivered}, doubled {ledger.doubled}, lost {len(lost)}")
    statuses_on_exit = fleet.stop()
    print(f"exit statuses on SIGTERM: {statuses_on_exit}")
    return not (lost or untrue or ledger.doubled) and set(statuses_on_exit.values()) == {0}


class _Broker:
    def __init__(self, url: str, restart: Callable[[], None]) -> None:
        self.url = url
        self.restart = restart


class _Fleet:
    """The processes of one deployment, each with a log in the directory."""

    def __init__(self, directory: Path, ledger: Ledger, *, broker_url: str, database_url: str) -> None:
        self._directory = directory
        self._port = _free_port()
        self._processes: list[tuple[str, subprocess.Popen[bytes]]] = []
        configuration = {"Index": 1, "Host": "127.0.0.1", "Port": ledger.port, "Email": "web@example.com"}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SMTP_", "CORS_"))}
        self._environment = kept | {
            "PORT": str(self._port),
            "VAR_DIR": str(directory),
            "DATABASE_URL": database_url,
            "CELERY_BROKER_URL": broker_url,
            "RATE_LIMIT_ENABLED": "false",
            "COOLDOWN_ENABLED": "false",
            "LOG_FORMAT": "json",
            "SMTP_RECEPTION_EMAIL": "office@example.com",
            "SMTP_CONFIGURATIONS": json.dumps([configuration | {"Auth": "none", "Security": "none"}]),
        }

    def __enter__(self) -> "_Fleet":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for _name, process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        if kind is not None:
            for log in self._directory.glob("*.log"):
                print(f"--- {log.name}\n{log.read_text()[-3000:]}", file=sys.stderr)

    def start(self, command: str) -> "subprocess.Popen[bytes]":
        name = f"{command}-{len(self._processes)}"
        with (self._directory / f"{name}.log").open("wb") as log:
            process = subprocess.Popen([sys.executable, "-m", "app", command], env=self._environment, stderr=log)
        self._processes.append((name, process))
        return process

    def stop(self) -> dict[str, int]:
        """Ends those that still run; name -> exit status."""
        living = [(name, process) for name, process in self._processes if process.poll() is None]
        for _, process in living:
            process.terminate()
        return {name: process.wait(timeout=40) for name, process in living}

    def wait_until_it_serves(self) -> None:
        def answers() -> bool:
            try:
                return self._ask("GET", "/test")[0] == 200
            except OSError:
                return False

        _wait(answers, timeout_s=30)

    def post(self) -> str:
        body = json.dumps({"Email": f"{uuid.uuid4().hex}@example.com", "Message": "One of a thousand."})
        headers = {"Content-Type": "application/json", "Prefer": "respond-async"}
        status, answer = self._ask("POST", "/api/v1/emails", body, headers)
        if status != 202:
            sys.exit(f"the service answered {status}: {answer!r}")
        return str(json.loads(answer)["id"])

    def status_of(self, email_id: str) -> str:
        return str(json.loads(self._ask("GET", f"/api/v1/emails/{email_id}")[1])["status"])

    def _ask(
        self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@contextmanager
def _database() -> Iterator[str]:
    name = f"letterbox_bench_{uuid.uuid4().hex}"
    with psycopg.connect(_POSTGRESQL, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
        try:
            yield f"postgresql+psycopg://127.0.0.1:5432/{name}"
        finally:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def _rabbitmq() -> Iterator[_Broker]:
    """A virtual host of its own on the RabbitMQ of this machine, whose application is stopped and started."""
    if shutil.which("rabbitmqctl") is None:
        sys.exit("rabbitmqctl is not here; try --broker redis")
    host = f"letterbox-bench-{uuid.uuid4().hex[:8]}"

    def control(*arguments: str) -> None:
        subprocess.run(["rabbitmqctl", "--quiet", *arguments], check=True, stdout=subprocess.DEVNULL)

    def restart() -> None:
        control("stop_app")
        control("start_app")

    control("add_vhost", host)
    try:
        control("set_permissions", "-p", host, "guest", ".*", ".*", ".*")
        yield _Broker(f"amqp://guest:guest@127.0.0.1:5672/{host}", restart)
    finally:
        control("delete_vhost", host)


@contextmanager
def _redis(directory: Path) -> Iterator[_Broker]:
    """A Redis of its own that keeps nothing: what was in it is lost when it restarts."""
    if shutil.which("redis-server") is None:
        sys.exit("redis-server is not here; try --broker rabbitmq")
    port = _free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(directory)]
    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))

    def stop() -> None:
        process = running.pop()
        process.terminate()
        process.wait()

    def restart() -> None:
        stop()
        time.sleep(2)
        start()

    start()
    try:
        yield _Broker(f"redis://127.0.0.1:{port}/0", restart)
    finally:
        stop()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait(condition: Callable[[], bool], *, timeout_s: float = 180.0) -> None:
    limit = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > limit:
            raise TimeoutError("it did not happen in time")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
