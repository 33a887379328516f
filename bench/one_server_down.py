"""`python -m bench.one_server_down`: what is left of the rate when the first of two SMTP servers does not work.

Four services take turns under the same load: their first server is healthy, gone (it refuses connections), silent (it
accepts none) or dripping (a byte at a time, without end); their second one is a healthy sink. Each has time to notice
before its rate counts. The promise is 90 % of the healthy rate. A run is an error in which another number of emails
arrived than was answered with 201.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

from bench import load

_CONCURRENCY = 16
_TIMEOUT_S = 1
_NOTICING_S = 2.5
"""The first callers wait for the timeout of a silent server, and those behind them in line as long."""
_DRIP_EVERY_S = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.5, help="length of each run")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each service; the median is printed")
    options = parser.parse_args()
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        services = {name: _start(stack, Path(directory, name), server) for name, server in _FIRST_SERVERS.items()}
        for service in services.values():
            service.await_start()
            load.run(service.port, concurrency=_CONCURRENCY, seconds=_NOTICING_S)
        rates: dict[str, list[float]] = {name: [] for name in services}
        for _ in range(options.rounds):
            for name, service in services.items():
                rates[name].append(service.rate(options.seconds))
    healthy = statistics.median(rates["healthy"])
    print(f"{'first server':<13} {'emails/s':>9} {'of healthy':>11}")
    for name, measured in rates.items():
        rate = statistics.median(measured)
        print(f"{name:<13} {rate:>9.0f} {rate / healthy:>11.0%}")


class _Sink:
    """A healthy server: `bench.sink` in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdin
        assert process.stdout
        self._questions, self._answers = process.stdin, process.stdout
        self.port = int(self._answers.readline())

    def accepted(self) -> int:
        """How many messages it took so far."""
        self._questions.write("\n")
        self._questions.flush()
        return int(self._answers.readline())


class _Service:
    """The service under load, and the sinks that it reaches."""

    def __init__(self, port: int, *sinks: _Sink) -> None:
        self.port = port
        self._sinks = sinks

    def await_start(self) -> None:
        for _ in range(200):
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.port}/test"):
                return
            time.sleep(0.1)
        sys.exit("the service did not start")

    def rate(self, seconds: float) -> float:
        """Emails per second."""
        before = self._accepted()
        result = load.run(self.port, concurrency=_CONCURRENCY, seconds=seconds)
        arrived = self._accepted() - before
        if result.refused or arrived != result.sent:
            sys.exit(f"the service answered 201 {result.sent} times, {arrived} arrived, refused {result.refused}")
        return result.per_second

    def _accepted(self) -> int:
        return sum(sink.accepted() for sink in self._sinks)


def _start(
    stack: ExitStack, directory: Path, first_server: Callable[[], AbstractContextManager[int | _Sink]]
) -> _Service:
    first, second = stack.enter_context(first_server()), stack.enter_context(_healthy())
    sinks = [first, second] if isinstance(first, _Sink) else [second]
    port = _free_port()
    ports = first.port if isinstance(first, _Sink) else first, second.port
    stack.enter_context(_serving(directory, port=port, smtp_ports=ports))
    return _Service(port, *sinks)


@contextmanager
def _serving(directory: Path, *, port: int, smtp_ports: tuple[int, ...]) -> Iterator[None]:
    common = {"Host": "127.0.0.1", "Email": "web@example.com", "Auth": "none", "Security": "none"}
    configurations = [
        common | {"Index": index, "Port": smtp_port, "Timeout": _TIMEOUT_S}
        for index, smtp_port in enumerate(smtp_ports, start=1)
    ]
    environ = os.environ | {
        "SMTP_CONFIGURATIONS": json.dumps(configurations),
        "SMTP_RECEPTION_EMAIL": "office@example.com",
        "PORT": str(port),
        "VAR_DIR": str(directory),
        "RATE_LIMIT": "100000000 per minute",
        "BURST_LIMIT": "100000000",
        "EXCESS_LIMIT": "100000000",
        "LOG_LEVEL": "error",
    }
    process = subprocess.Popen([sys.executable, "-m", "app", "serve"], env=environ)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _healthy() -> Iterator[_Sink]:
    command = [sys.executable, "-m", "bench.sink", "0"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield _Sink(process)
    finally:
        process.kill()
        process.wait()


@contextmanager
def _gone() -> Iterator[int]:
    # Bound and not listening: nobody else gets the port, and whoever connects is refused.
    with socket.socket() as placeholder:
        placeholder.bind(("127.0.0.1", 0))
        yield placeholder.getsockname()[1]


@contextmanager
def _silent() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as stack:
        # Once the backlog is full the kernel ignores whoever else wants to connect.
        for _ in range(2):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@contextmanager
def _dripping() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        threading.Thread(target=_drip_to_everybody, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def _drip_to_everybody(listener: socket.socket) -> None:
    connections: list[socket.socket] = []
    listener.settimeout(_DRIP_EVERY_S)
    while True:
        try:
            connections.append(listener.accept()[0])
        except TimeoutError:
            connections = [connection for connection in connections if _drips(connection)]
        except OSError:
            return


def _drips(connection: socket.socket) -> bool:
    """One more byte of a greeting that never ends; whether anybody still listens."""
    try:
        connection.send(b"2")
    except OSError:
        connection.close()
        return False
    return True


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


_FIRST_SERVERS: dict[str, Callable[[], AbstractContextManager[int | _Sink]]] = {
    "healthy": _healthy,
    "gone": _gone,
    "silent": _silent,
    "dripping": _dripping,
}


if __name__ == "__main__":
    main()
