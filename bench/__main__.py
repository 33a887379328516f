"""`make bench`: emails per second, latency and CPU per email of the service against a local SMTP sink.

The service runs with everything on (limits raised so that one client may send this much, record and cooldown as always)
on a database of its own. Emails are counted at the sink; a run in which the counts differ is an error.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import load

_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each run")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each concurrency; the median is printed")
    parser.add_argument("--processes", type=int, default=1, help="WEB_PROCESSES of the service")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, _sink() as sink, _service(directory, sink, options) as service:
        load.run(service.port, concurrency=16, seconds=2)
        print(f"{'c':>3} {'emails/s':>9} {'p50 ms':>7} {'p99 ms':>7} {'CPU ms per email':>17}")
        for concurrency in (1, 16, 64):
            runs = sorted(_measure(service, sink, concurrency, options.seconds) for _ in range(options.rounds))
            rate, p50_ms, p99_ms, cpu_ms = runs[len(runs) // 2]
            print(f"{concurrency:>3} {rate:>9.0f} {p50_ms:>7.2f} {p99_ms:>7.2f} {cpu_ms:>17.3f}", flush=True)


class _Process:
    """A child and its own children, with what they used of the CPU."""

    def __init__(self, process: "subprocess.Popen[str]", port: int) -> None:
        self.process = process
        self.port = port

    def cpu_s(self) -> float:
        pids = [self.process.pid, *_children(self.process.pid)]
        fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
        return sum(int(field[11]) + int(field[12]) for field in fields) / _CLOCK_TICKS

    def accepted(self) -> int:
        """Only of the sink: how many messages it took so far."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


def _measure(service: _Process, sink: _Process, concurrency: int, seconds: float) -> tuple[float, float, float, float]:
    accepted, cpu_s = sink.accepted(), service.cpu_s()
    result = load.run(service.port, concurrency=concurrency, seconds=seconds)
    cpu_s, accepted = service.cpu_s() - cpu_s, sink.accepted() - accepted
    if result.refused or accepted != result.sent:
        sys.exit(f"the service answered 201 {result.sent} times, the sink took {accepted}, refused {result.refused}")
    return result.per_second, result.p50_ms, result.p99_ms, cpu_s / result.sent * 1000


@contextmanager
def _sink() -> Iterator[_Process]:
    command = [sys.executable, "-m", "bench.sink", "0"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        yield _Process(process, int(process.stdout.readline()))
    finally:
        process.kill()
        process.wait()


@contextmanager
def _service(directory: str, sink: _Process, options: argparse.Namespace) -> Iterator[_Process]:
    port = _free_port()
    configuration = {"Index": 1, "Host": "127.0.0.1", "Port": sink.port, "Email": "web@example.com", "Auth": "none"}
    environ = os.environ | {
        "SMTP_CONFIGURATIONS": json.dumps([configuration | {"Security": "none", "MaxConnections": 64}]),
        "SMTP_RECEPTION_EMAIL": "office@example.com",
        "PORT": str(port),
        "VAR_DIR": directory,
        "WEB_PROCESSES": str(options.processes),
        "RATE_LIMIT": "100000000 per minute",
        "BURST_LIMIT": "100000000",
        "EXCESS_LIMIT": "100000000",
        "LOG_LEVEL": "warning",
    }
    process = subprocess.Popen([sys.executable, "-m", "app", "serve"], env=environ, text=True)
    try:
        _await_service(port)
        yield _Process(process, port)
    finally:
        process.terminate()
        process.wait()


def _await_service(port: int) -> None:
    for _ in range(100):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/test"):
                return
        except OSError:
            time.sleep(0.1)
    sys.exit("the service did not start")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _children(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [descendant for child in map(int, children) for descendant in (child, *_children(child))]


if __name__ == "__main__":
    main()
