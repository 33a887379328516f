"""The sink and the load generator, which are written in C so that neither limits what is measured.

`build` compiles them into `bench/var/`, which git ignores, when their source is newer.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.certificate import Certificate
from bench.processes import Tree

HERE = Path(__file__).parent
BUILT = HERE / "var"

_C = HERE / "c"
_SOURCES = {
    "load": ("load.c", "exchange.c"),
    "sink": ("sink.c", "dialogue.c", "outgoing.c"),
    "sink-tls": ("sink.c", "dialogue.c", "outgoing.c"),
}
_OPTIONS = {"sink-tls": ("-DWITH_TLS", "-lssl", "-lcrypto")}
_PATIENCE_S = 120.0
"""Beyond what a run is to take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the load generator saw of one run. `failed` answers had another status, or did not come."""

    seconds: float
    answered: int
    failed: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Counters:
    """What the sink counted so far. `answers` are the times that it spoke: once for all that had arrived together."""

    messages: int
    octets: int
    answers: int
    connections: int
    refused: int

    def __sub__(self, earlier: "Counters") -> "Counters":
        return Counters(
            self.messages - earlier.messages,
            self.octets - earlier.octets,
            self.answers - earlier.answers,
            self.connections - earlier.connections,
            self.refused - earlier.refused,
        )


class Sink:
    """A running sink."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdin
        assert process.stdout
        self.tree = Tree(process.pid)
        self._questions, self._answers = process.stdin, process.stdout
        self.port = int(self._answers.readline())

    def counters(self) -> Counters:
        self._questions.write("\n")
        self._questions.flush()
        return Counters(*map(int, self._answers.readline().split()))


def build(name: str) -> Path:
    """The program of that name, compiled when it is older than its source. Raises RuntimeError where that fails."""
    program = BUILT / name
    newest = max(file.stat().st_mtime for file in _C.iterdir())
    if program.exists() and program.stat().st_mtime > newest:
        return program
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise RuntimeError("the benchmark needs a C compiler (cc or gcc)")
    BUILT.mkdir(exist_ok=True)
    sources = [_C / source for source in _SOURCES[name]]
    made = BUILT / f"{name}-{os.getpid()}"
    command = [compiler, "-O2", "-Wall", "-Wextra", "-o", made, *sources, *_OPTIONS.get(name, ())]
    compiled = subprocess.run(command, capture_output=True, text=True, check=False)
    if compiled.returncode:
        raise RuntimeError(f"{name} does not compile here (its TLS needs the headers of OpenSSL): {compiled.stderr}")
    made.replace(program)
    return program


@contextmanager
def sink(*, delay_ms: float = 0, certificate: Certificate | None = None, sign_in: str | None = None) -> Iterator[Sink]:
    """A sink on loopback until the block ends. `sign_in` is the response to AUTH PLAIN that it demands."""
    command: list[str | Path] = [build("sink-tls" if certificate else "sink"), "-d", str(delay_ms)]
    if certificate is not None:
        command += ["-c", certificate.chain, "-k", certificate.key]
    if sign_in is not None:
        command += ["-a", sign_in]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield Sink(process)
        finally:
            process.kill()


def load(
    port: int,
    request: Path,
    *,
    connections: int,
    seconds: float | None = None,
    requests: int | None = None,
    first_number: int = 0,
    status: int = 201,
    values: Path | None = None,
    smtp_replies: int = 0,
) -> Load:
    """Send the request for that long, or that often; see load.c. Raises RuntimeError when an answer was wrong."""
    given: dict[str, Any] = {
        "-p": port,
        "-n": connections,
        "-t": seconds,
        "-r": requests,
        "-e": status,
        "-f": first_number,
        "-v": values,
        "-s": smtp_replies,
    }
    command = [str(build("load"))]
    for option, value in given.items():
        if value is not None:
            command += [option, str(value)]
    finished = subprocess.run(
        [*command, str(request)], capture_output=True, text=True, timeout=(seconds or 0) + _PATIENCE_S, check=False
    )
    if finished.returncode:
        raise RuntimeError(f"the load generator failed: {finished.stderr.strip()} {finished.stdout.strip()}")
    return Load(**json.loads(finished.stdout))
