"""`python -m bench.blocked`: what the requests of one blocked client cost, in CPU of the whole service.

The service runs as it comes. This machine's address posts until it is blocked; then each kind of request is sent many
times, on a new connection each time, as somebody would who wants to wear the service out. Wanted: less than a
millisecond each, whatever is sent.
"""

import argparse
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.processes import Tree, await_listening, free_port, running

_UNTIL_BLOCKED = 25
_FORM = b"Content-Type: application/x-www-form-urlencoded\r\nOrigin: http://localhost:3000\r\n"
_TOKEN = b"Authorization: Bearer lbx_" + b"A" * 43 + b"\r\n"
_JSON = b"Content-Type: application/json\r\n"


def _request(method: str, path: str, headers: bytes = b"", body: bytes = b"") -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} {path} HTTP/1.1\r\nHost: bench\r\n{length}".encode() + headers + b"\r\n" + body


def _elements(name: str, octets: int) -> bytes:
    return f"{name}: ".encode() + b"a;q=0.1," * (octets // 8) + b"\r\n"


def _kinds() -> dict[str, bytes]:
    """One request of each kind, by what is remarkable in it."""
    json = b'{"Email":"a@example.com","Message":"Hello!"}'
    form = b"email=a%40example.com&message=Hello"
    headers_2k = _elements("Accept", 2000) + _elements("Accept-Language", 2000) + _elements("Cookie", 2000)
    headers_30k = b"".join(_elements(name, 7500) for name in ("Accept", "Accept-Language", "Cookie", "If-None-Match"))
    return {
        "POST /api, small": _request("POST", "/api/v1/emails", _JSON, json),
        "POST /api, a wrong token": _request("POST", "/api/v1/emails", _JSON + _TOKEN, json),
        "POST /api, 100 KB": _request("POST", "/api/v1/emails", _JSON, b" " * 100_000 + json),
        "POST /api, query of 8 KB": _request("POST", "/api/emails?" + "api-version&" * 680, _JSON, json),
        "POST /apiops": _request("POST", "/apiops/auth/token", _JSON, json),
        "GET of a snippet, a wrong token": _request("GET", "/forms/default/snippet", _TOKEN),
        "POST /forms, small": _request("POST", "/forms/default", _FORM, form),
        "POST /forms, JSON wanted": _request("POST", "/forms/default", _FORM + b"Accept: application/json\r\n", form),
        "POST /forms, 100 KB": _request("POST", "/forms/default", _FORM, form + b"%" * 100_000),
        "POST /forms, headers of 2 KB": _request("POST", "/forms/default", _FORM + headers_2k, form),
        "POST /forms, 30 KB of headers": _request("POST", "/forms/default", _FORM + headers_30k, form),
        "POST /forms, 30 KB and a token": _request("POST", "/forms/default", _FORM + headers_30k + _TOKEN, form),
        "GET /forms/default": _request("GET", "/forms/default"),
        "GET /openapi.json": _request("GET", "/openapi.json"),
        "GET /": _request("GET", "/"),
        "380 KB of headers": _request(
            "GET", "/forms/default", _elements("Accept", 190_000) + _elements("Cookie", 190_000)
        ),
        "(for comparison) GET /test": _request("GET", "/test"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=500, help="how many of each kind")
    parser.add_argument("--database-url", default="", help="default: SQLite")
    parser.add_argument("--most-ms", type=float, default=1.0, help="end with 1 where a blocked request costs more")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, _service(Path(directory), options.database_url) as (port, tree):
        kinds = _kinds()
        for _ in range(_UNTIL_BLOCKED):
            status = _send(port, kinds["POST /api, small"])
        if status != 403:
            sys.exit(f"after {_UNTIL_BLOCKED} requests the answer is {status}")
        print(f"{'ms of CPU for each request':<34} {'mean':>6}   answers")
        costs = [_measure(name, request, port, tree, options.requests) for name, request in kinds.items()]
    sys.exit(1 if max(costs) > options.most_ms else 0)


def _measure(name: str, request: bytes, port: int, tree: Tree, requests: int) -> float:
    for _ in range(20):
        _send(port, request)
    statuses: Counter[int] = Counter()
    began_s = tree.cpu_s()
    for _ in range(requests):
        statuses[_send(port, request)] += 1
    time.sleep(0.1)
    cost_ms = (tree.cpu_s() - began_s) * 1000 / requests
    seen = ", ".join(f"{number} x {status or 'closed'}" for status, number in sorted(statuses.items()))
    print(f"{name:<34} {cost_ms:>6.2f}   {seen}", flush=True)
    return cost_ms


def _send(port: int, request: bytes) -> int:
    """The status of the answer; 0 where the connection was closed without one."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        received = b""
        # The service may close the connection while it is still being sent to.
        with suppress(ConnectionError):
            connection.sendall(request)
        with suppress(ConnectionError):
            while b"\r\n\r\n" not in received and (block := connection.recv(65536)):
                received += block
    return int(received.split(b" ", 2)[1]) if received.startswith(b"HTTP/") else 0


@contextmanager
def _service(directory: Path, database_url: str) -> Iterator[tuple[int, Tree]]:
    """The port that it listens on, and its processes."""
    port, log = free_port(), directory / "log"
    environment = {"PORT": str(port), "VAR_DIR": str(directory), "LOG_LEVEL": "error", "DATABASE_URL": database_url}
    command = [sys.executable, "-m", "app", "serve"]
    with running(command, directory=Path(__file__).parents[1], environment=environment, log=log) as tree:
        await_listening(tree, port, log=log)
        yield port, tree


if __name__ == "__main__":
    main()
