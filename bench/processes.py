"""Processes that the benchmark starts, with what their trees use of CPU and memory. All are stopped by their id."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
_STOPS_WITHIN_S = 10.0
_LOOK_EVERY_S = 0.05
_NEXT_PEAK = "5"
"""Written to `clear_refs`, it sets the peak of the resident memory back to what is resident now (proc(5))."""


class Tree:
    """A process and its descendants."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def cpu_s(self) -> float:
        """User and system time of all of them so far."""
        total = 0
        for pid in self.pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / _CLOCK_TICKS

    def resident_mb(self) -> float:
        """What is in memory now; pages that they share count for each of them."""
        return self._status_mb("VmRSS")

    def peak_mb(self) -> float:
        """The most that was in memory, of each of them, since its start or `forget_peak`."""
        return self._status_mb("VmHWM")

    def forget_peak(self) -> None:
        """Begin the peak anew."""
        for pid in self.pids():
            Path(f"/proc/{pid}/clear_refs").write_text(_NEXT_PEAK)

    def pids(self) -> list[int]:
        """Those that are alive now, the first one first."""
        return [self.pid, *descendants(self.pid)]

    def _status_mb(self, name: str) -> float:
        lines = [line for pid in self.pids() for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
        return sum(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


@contextmanager
def running(
    command: Sequence[str | Path], *, directory: Path, environment: Mapping[str, str], log: Path
) -> Iterator[Tree]:
    """A process that runs until the block ends. What it says goes to `log`; of the environment it gets what is named.

    It has a process group of its own, so that Ctrl-C reaches this process only, which then stops it in order.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL") if name in os.environ}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=directory,
            env=kept | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Tree(process.pid)
    finally:
        _stop(process)


def await_listening(tree: Tree, port: int, *, log: Path, within_s: float = 60.0) -> None:
    """Wait until somebody listens on that port of loopback. Raises RuntimeError with the end of the log."""
    give_up_at = time.monotonic() + within_s
    while time.monotonic() < give_up_at and is_alive(tree.pid):
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(_LOOK_EVERY_S)
    raise RuntimeError(f"nobody listens on port {port}; the log ends with\n{log.read_text(errors='replace')[-2000:]}")


def is_alive(pid: int) -> bool:
    """Whether it runs; one that has ended and was not waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def descendants(pid: int) -> list[int]:
    """The children of all its threads, and theirs."""
    found = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (thread / "children").read_text().split()):
            found += [child, *descendants(child)]
    return found


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_STOPS_WITHIN_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        # Whatever is left of its group; it was made for this process alone.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
