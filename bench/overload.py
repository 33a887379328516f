"""`python -m bench.overload`: every SMTP server is slow, and 200 clients post at once.

The service runs as it comes, in front of two servers that take their time for each message. While the first callers
wait for them, the surplus has to be told so in under 100 ms, and whoever asks for `/test`, `/health/ready` or an email
must not notice anything (50 ms). Each asks every 50 ms on a connection of its own; the clients keep theirs open.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.processes import Tree, await_listening, free_port, running
from bench.sink import Sink

_PROBE_EVERY_S = 0.05
_WAVES = 4
"""How often the clients post at once: first all of them, then those who were refused, while the others still wait."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="how long each server takes for each message")
    parser.add_argument("--clients", type=int, default=200, help="how many post at once")
    parser.add_argument("--spread", type=float, default=0.0, help="over how many seconds they come; 0: in one instant")
    options = parser.parse_args()
    asyncio.run(_measure(options))


class _SlowSink(Sink):
    """Takes `seconds` for each message, once it is told to."""

    seconds = 0.0

    def _accepted(self) -> bytes:
        Sink.accepted += 1
        asyncio.get_running_loop().call_later(self.seconds, self._transport.write, b"250 2.0.0 OK\r\n")
        return b""


@dataclass(slots=True)
class _Times:
    """How long answers took, and how many of each status there were."""

    name: str
    taken_ms: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    def note(self, answer: "_Answer") -> None:
        self.statuses[answer.status] += 1
        self.taken_ms.append(answer.taken_s * 1000)

    def __str__(self) -> str:
        ranked = sorted(self.taken_ms)
        if not ranked:
            return f"{self.name:<22} none"
        p50, p99 = (ranked[len(ranked) * share // 100] for share in (50, 99))
        statuses = ", ".join(f"{number} x {status}" for status, number in sorted(self.statuses.items()))
        return f"{self.name:<22} {p50:>8.1f} {p99:>8.1f} {ranked[-1]:>8.1f}   {statuses}"


async def _measure(options: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(_SlowSink, "127.0.0.1", 0, backlog=512) for _ in range(2)]
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    with tempfile.TemporaryDirectory() as directory, _service(Path(directory), ports) as (port, tree):
        clients = [await _Client.connect(port) for _ in range(options.clients)]
        location = await _send_one(clients[0])
        probes = [_Probe(port, path) for path in ("/test", "/health/ready", location)]
        await asyncio.sleep(1)
        print(f"{'ms':<22} {'p50':>8} {'p99':>8} {'longest':>8}   answers")
        print("before", *(probe.take() for probe in probes), sep="\n")
        memory_mb, threads = tree.resident_mb(), _threads(tree)

        _SlowSink.seconds = options.seconds
        crowd = _Crowd(clients, spread_s=options.spread)
        await crowd.post()
        print("while all are waiting", *crowd.times(), *(probe.take() for probe in probes), sep="\n")
        _SlowSink.seconds = 0.0

        after = _Times("POST, one by one")
        for _ in clients:
            # The service has ended connections that were idle for half a minute.
            fresh = await _Client.connect(port)
            after.note(await fresh.post(1))
            fresh.close()
        print("afterwards", after, *(probe.take() for probe in probes), sep="\n")
        print(f"memory {memory_mb:.0f} MB before, {tree.resident_mb():.0f} MB afterwards")
        print(f"threads {threads} before, {_threads(tree)} afterwards")
        for probe in probes:
            await probe.stop()
        for client in clients:
            client.close()
    for server in servers:
        server.close()


async def _send_one(client: "_Client") -> str:
    """The path of an email that was sent."""
    answer = await client.post(1)
    if answer.status != 201:
        sys.exit(f"the first email was answered {answer.status}")
    return next(line for line in answer.head.split("\r\n") if line.lower().startswith("location:")).split()[1]


class _Crowd:
    """Clients that post together; those who are refused come again together, a second later."""

    def __init__(self, clients: "list[_Client]", *, spread_s: float) -> None:
        self._clients = clients
        self._spread_s = spread_s
        self._accepted = _Times("accepted")
        self._refused = [_Times(f"surplus, wave {number}") for number in range(1, 1 + _WAVES)]

    async def post(self) -> None:
        await asyncio.gather(*(self._run(number, client) for number, client in enumerate(self._clients)))

    def times(self) -> list[_Times]:
        return [*self._refused, self._accepted]

    async def _run(self, number: int, client: "_Client") -> None:
        began = time.perf_counter() + self._spread_s * number / len(self._clients)
        for position, refused in enumerate(self._refused):
            await asyncio.sleep(began + position * max(1.0, self._spread_s) - time.perf_counter())
            answer = await client.post(number % 2 + 1)
            if answer.status != 503:
                self._accepted.note(answer)
                return
            refused.note(answer)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    head: str
    taken_s: float


class _Client(asyncio.Protocol):
    """One connection that is kept. Cheap, because it shares the processors with the service that it measures."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answered: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        self._began = 0.0

    @classmethod
    async def connect(cls, port: int) -> "_Client":
        _, client = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if separator and len(body) == int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]):
            taken_s = time.perf_counter() - self._began
            self._answered.set_result(_Answer(int(head.split()[1]), head.decode(), taken_s))

    def connection_lost(self, error: Exception | None) -> None:
        if not self._answered.done():
            self._answered.set_exception(ConnectionResetError("the service hung up"))

    async def post(self, smtp_id: int) -> _Answer:
        body = json.dumps({"Email": f"visitor-{time.time_ns()}@example.com", "Message": "Hello!"}).encode()
        return await self.ask("POST", f"/api/v1/emails?smtpId={smtp_id}", body)

    async def ask(self, method: str, path: str, body: bytes = b"") -> _Answer:
        head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\n"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self._received.clear()
        self._answered = asyncio.get_running_loop().create_future()
        self._began = time.perf_counter()
        self._transport.write(head.encode() + b"\r\n" + body)
        return await self._answered

    def close(self) -> None:
        self._transport.close()


class _Probe:
    """Asks for a path again and again, each time on a new connection, and does not wait for one answer to ask anew."""

    def __init__(self, port: int, path: str) -> None:
        self._port, self._path = port, path
        self._times = _Times(path)
        self._asking: set[asyncio.Task[None]] = set()
        self._task = asyncio.create_task(self._run())

    def take(self) -> _Times:
        """What was measured since the last time."""
        times, self._times = self._times, _Times(self._path)
        return times

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(*self._asking)

    async def _run(self) -> None:
        while True:
            self._asking.add(asyncio.create_task(self._ask(self._times)))
            await asyncio.sleep(_PROBE_EVERY_S)

    async def _ask(self, times: _Times) -> None:
        began = time.perf_counter()
        client = await _Client.connect(self._port)
        answer = await client.ask("GET", self._path)
        times.note(replace(answer, taken_s=time.perf_counter() - began))
        client.close()


@contextmanager
def _service(directory: Path, smtp_ports: list[int]) -> Iterator[tuple[int, Tree]]:
    """The port that it listens on, and its processes."""
    port, log = free_port(), directory / "log"
    common = {"Host": "127.0.0.1", "Email": "web@example.com", "Auth": "none", "Security": "none"}
    configurations = [common | {"Index": index, "Port": each} for index, each in enumerate(smtp_ports, start=1)]
    environment = {
        "SMTP_CONFIGURATIONS": json.dumps(configurations),
        "SMTP_RECEPTION_EMAIL": "office@example.com",
        "PORT": str(port),
        "VAR_DIR": str(directory),
        "RATE_LIMIT_ENABLED": "false",
        "COOLDOWN_ENABLED": "false",
        "LOG_LEVEL": "error",
    }
    command = [sys.executable, "-m", "app", "serve"]
    with running(command, directory=Path(__file__).parents[1], environment=environment, log=log) as tree:
        await_listening(tree, port, log=log)
        yield port, tree


def _threads(tree: Tree) -> int:
    return sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in tree.pids())


if __name__ == "__main__":
    main()
