"""The DevTools protocol over Chromium's pipe (`--remote-debugging-pipe`): JSON, each message ended by a zero byte.

Needs nothing but the standard library. Used by `browser`. Source: https://chromedevtools.github.io/devtools-protocol/
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

COMMAND_TIMEOUT_S = 60.0
"""Two cores may be busy with other tests."""

# Chromium reads the protocol from descriptor 3 and writes it to 4. Both are put out of the way first, because one pipe
# may have the number that the other one needs.
_LAUNCH = (
    "import fcntl, os, sys; ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD_CLOEXEC, 10) for end in sys.argv[1:3]]; "
    "os.dup2(ends[0], 3); os.dup2(ends[1], 4); os.execv(sys.argv[3], sys.argv[3:])"
)


class DevToolsError(Exception):
    """The browser refused a command, or did not answer it."""


class DevTools:
    """A running browser process; commands may be sent from one thread."""

    def __init__(self, command: Sequence[str], *, log_path: Path) -> None:
        self._answers: dict[int, dict[str, Any]] = {}
        self._events: dict[str, list[dict[str, Any]]] = {}
        self._changed = threading.Condition()
        self._is_closed = False
        self._last_id = 0
        commands_out, self._commands = os.pipe()
        self._incoming, events_in = os.pipe()
        with log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _LAUNCH, str(commands_out), str(events_in), *command],
                pass_fds=(commands_out, events_in),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A group of its own, so that its helpers can be ended with it.
                start_new_session=True,
            )
        os.close(commands_out)
        os.close(events_in)
        self._reader = threading.Thread(target=self._read, name="devtools", daemon=True)
        self._reader.start()

    def send(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        """Send a command and wait for its result. Raises DevToolsError."""
        self._last_id += 1
        message: dict[str, Any] = {"id": self._last_id, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        content = json.dumps(message).encode() + b"\0"
        while content:
            content = content[os.write(self._commands, content) :]
        with self._changed:
            has_answer = self._changed.wait_for(
                lambda: self._last_id in self._answers or self._is_closed, COMMAND_TIMEOUT_S
            )
            answer = self._answers.pop(self._last_id, None)
        if answer is None:
            raise DevToolsError(f"{method}: {'the browser has ended' if has_answer else 'no answer'}")
        if "error" in answer:
            raise DevToolsError(f"{method}: {answer['error'].get('message')}")
        result: dict[str, Any] = answer["result"]
        return result

    def events(self, session: str, method: str) -> list[dict[str, Any]]:
        """The parameters of what has happened in a session until now."""
        with self._changed:
            return [event["params"] for event in self._events.get(session, ()) if event["method"] == method]

    def wait_for_events(self, session: str, method: str, count: int, *, timeout_s: float) -> bool:
        """Wait until that has happened `count` times; False when it did not."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while sum(event["method"] == method for event in self._events.get(session, ())) < count:
                if self._is_closed or not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    return False
        return True

    def forget(self, session: str) -> None:
        with self._changed:
            self._events.pop(session, None)

    def close(self) -> None:
        """Ask the browser to end, and see to it."""
        try:
            self.send("Browser.close")
        except (DevToolsError, OSError):
            self.process.kill()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        # They would go by themselves, a moment later, and write into the profile until then.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self._reader.join(timeout=10)
        os.close(self._commands)

    def _read(self) -> None:
        pending = b""
        # Its end is the end of the process.
        while chunk := os.read(self._incoming, 1 << 20):
            *messages, pending = (pending + chunk).split(b"\0")
            with self._changed:
                for message in map(json.loads, messages):
                    if "id" in message:
                        self._answers[message["id"]] = message
                    else:
                        self._events.setdefault(message.get("sessionId", ""), []).append(message)
                self._changed.notify_all()
        os.close(self._incoming)
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
