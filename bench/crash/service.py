"""The service under test: a process group of its own, which can be killed whole or process by process."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from socket import create_server

from bench.crash.points import Point
from bench.crash.processes import is_alive, members, owner

_ROOT = Path(__file__).parents[2]
_STARTS_WITHIN_S = 60
_DIES_WITHIN_S = 10
_STOPS_WITHIN_S = 30
_LOOK_EVERY_S = 0.02


@dataclass(frozen=True, slots=True)
class Sprung:
    """Word from a trap: who was there."""

    email_id: str
    pid: int | None = None
    is_queued: bool | None = None


class ServiceFailed(Exception):
    """It did not start, did not die, or did not stop."""


class Service:
    """Not running until `start`; whoever makes one calls `end`."""

    def __init__(self, directory: Path, *, database_url: str, smtp_port: int, processes: int) -> None:
        with create_server(("127.0.0.1", 0)) as listener:
            self.port: int = listener.getsockname()[1]
        self._smtp_port = smtp_port
        self._processes = processes
        self._traps = directory / "traps"
        self._traps.mkdir()
        self._log = directory / "log"
        configuration = {"Index": 1, "Host": "127.0.0.1", "Port": smtp_port, "Email": "web@example.com"}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SMTP_", "CORS_"))}
        self._environment = inherited | {
            "SMTP_CONFIGURATIONS": json.dumps([configuration | {"Auth": "none", "Security": "none"}]),
            "SMTP_RECEPTION_EMAIL": "office@example.com",
            "PORT": str(self.port),
            "VAR_DIR": str(directory),
            "DATABASE_URL": database_url,
            "WEB_PROCESSES": str(processes),
            "COOLDOWN_ENABLED": "false",
            "RATE_LIMIT_ENABLED": "false",
            "TOKEN_RATE_LIMIT": "100000000 per minute",
            "LOG_FORMAT": "json",
            "CRASH_TRAPS": str(self._traps),
        }
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start it and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bench.crash.launcher"],
                env=self._environment,
                cwd=_ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + _STARTS_WITHIN_S
        while not await asyncio.to_thread(self._answers):
            if self._is_dead() or time.monotonic() > until:
                raise ServiceFailed("it did not start:\n" + self._log.read_text()[-2000:])
            await asyncio.sleep(_LOOK_EVERY_S)

    async def restart(self) -> None:
        """After a kill: wait until the dead process is replaced, or start a service that is dead altogether.

        Where the same process dies twice within seconds the service gives up, as it should, and ends.
        """
        until = time.monotonic() + _STARTS_WITHIN_S
        while not self._is_dead():
            if len(self.serving()) == self._processes and await asyncio.to_thread(self._answers):
                return
            if time.monotonic() > until:
                raise ServiceFailed("it did not replace a process")
            await asyncio.sleep(_LOOK_EVERY_S)
        self.end()
        await self.start()

    def make_token(self) -> str:
        command = [sys.executable, "-m", "app", "tokens", "create", "--project", "Crash"]
        command += ["--permission", "EMAILS:SEND", "--permission", "EMAILS:VIEW"]
        made = subprocess.run(command, env=self._environment, cwd=_ROOT, capture_output=True, text=True, check=True)
        return made.stdout.strip()

    def serving(self) -> list[int]:
        """The processes that serve."""
        assert self._process
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [child for child in map(int, children) if is_alive(child)]

    def pid_behind(self, client_port: int) -> int | None:
        """Whose connection to the SMTP server it is that comes from this port; None when it has just ended."""
        return owner(self.serving(), local_port=client_port, remote_port=self._smtp_port)

    async def kill(self, pid: int | None) -> None:
        """Kill one process, or with None all of them, and wait until they are dead."""
        assert self._process
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL) if pid is not None else os.killpg(self._process.pid, signal.SIGKILL)
        await self.dead(pid)

    async def dead(self, pid: int | None) -> None:
        assert self._process
        until = time.monotonic() + _DIES_WITHIN_S
        while is_alive(pid) if pid is not None else any(map(is_alive, members(self._process.pid))):
            if time.monotonic() > until:
                raise ServiceFailed("it survived SIGKILL")
            await asyncio.sleep(0.001)

    def set_trap(self, point: Point, *, is_of_all: bool) -> None:
        (self._traps / "sprung").unlink(missing_ok=True)
        unready = self._traps / "unready"
        unready.write_text("all" if is_of_all else "one")
        unready.rename(self._traps / point)

    def sprung(self) -> Sprung | None:
        try:
            return Sprung(**json.loads((self._traps / "sprung").read_text()))
        except FileNotFoundError:
            return None

    async def stop(self) -> int:
        """The exit status after SIGTERM."""
        assert self._process
        self._process.terminate()
        try:
            return await asyncio.to_thread(self._process.wait, _STOPS_WITHIN_S)
        except subprocess.TimeoutExpired as error:
            raise ServiceFailed("it did not stop within 30 seconds") from error

    def end(self) -> None:
        """No process of it is left, whatever has happened."""
        process, self._process = self._process, None
        if process is None:
            return
        # Not reaped before, so that its number, which is the group's, still belongs to it.
        with suppress(ProcessLookupError):
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def tracebacks(self) -> list[str]:
        """What its log says of exceptions that nobody expected."""
        lines = self._log.read_text(errors="replace").splitlines()
        return [line for line in lines if '"exception"' in line or "Traceback" in line or "panicked" in line]

    def _is_dead(self) -> bool:
        assert self._process
        return not is_alive(self._process.pid)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/test", timeout=5):
                return True
        except (OSError, urllib.error.URLError):
            return False
