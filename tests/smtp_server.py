"""A real SMTP server for tests: it listens on loopback, speaks SMTP over sockets, and misbehaves when it is told to.

    with SMTPServer() as server:
        deliver_something(server.configuration())
        assert server.messages[0].parsed["Subject"] == "Hello"
        assert server.messages[0].round_trips == 1

`faults` maps a step of the dialogue to what happens there instead of the healthy reply:

    SMTPServer(faults={"RCPT": "550 5.1.1 no such user"})       a reply; lines are separated by "\\r\\n"
    SMTPServer(faults={"MESSAGE": Drop()})                      also Reset, Hang, Drip, Late and Raw
    SMTPServer(faults={"RCPT": refuse("gone@example.com")})     a function of the command's argument; None is healthy
    SMTPServer(faults={"MAIL": [None, "421 4.3.2 closing"]})    only the first MAIL of a connection is healthy
    SMTPServer(scripts=[{"GREETING": Drop()}])                  the first connection only; `faults` rules the others

`initial_response` is what AUTH with one is answered, or "ignored"; empty, it is taken. `prompts` are the texts of the
334s as they are on the wire, instead of the usual ones.

Steps: CONNECT (before anything else), TLS (before the handshake), GREETING, EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA,
TRANSFER (the content has begun to arrive), MESSAGE (the reply to the final dot or to BDAT LAST), RSET, QUIT.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

from app.model.smtp import Account, Security, SMTPConfiguration
from tests.smtp.certificates import authority
from tests.smtp.dialogue import Dialogue, Over
from tests.smtp.faults import Deed, Drip, Drop, Fault, Hang, Late, Raw, Reset, refuse
from tests.smtp.received import Received

__all__ = [
    "CHUNKING",
    "PIPELINING",
    "PLAIN",
    "Deed",
    "Drip",
    "Drop",
    "Fault",
    "Hang",
    "Late",
    "Raw",
    "Received",
    "Reset",
    "SMTPServer",
    "authority",
    "refuse",
]

PLAIN = ("SIZE 33554432", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8")
PIPELINING = ("PIPELINING", *PLAIN)
CHUNKING = ("CHUNKING", *PIPELINING)


class SMTPServer:
    """The server; see the module's docstring. Everything that it saw is read from its attributes.

    received      every message that arrived to its end, whatever the answer was
    messages      those of them that were answered 2xx
    connections, open_connections, peak_connections: how many there were, which there are, and how many at once
    transcripts   one list per connection: "C: EHLO x", "S: 250 ok"
    told          what the client answered to each 334, both as they are on the wire
    violations    what the client did against the RFCs; leaving the `with` block asserts that it is empty
    """

    def __init__(
        self,
        extensions: Sequence[str] = CHUNKING,
        *,
        tls: bool = False,
        starttls: bool = False,
        context: ssl.SSLContext | None = None,
        credentials: tuple[str, str] | None = None,
        mechanisms: str = "PLAIN LOGIN",
        initial_response: str = "",
        prompts: Sequence[str] = (),
        faults: Mapping[str, Fault] | None = None,
        scripts: Sequence[Mapping[str, Fault]] = (),
        delay_s: float = 0.0,
    ) -> None:
        self.extensions = tuple(extensions)
        self.is_tls = tls
        self.offers_starttls = starttls
        self.context = context
        self.credentials = credentials
        self.mechanisms = mechanisms
        self.initial_response = initial_response
        self.prompts = prompts
        self.told: list[tuple[str, str]] = []
        self.faults: Mapping[str, Fault] = faults or {}
        self.scripts = list(scripts)
        self.delay_s = delay_s
        self.received: list[Received] = []
        self.transcripts: list[list[str]] = []
        self.violations: list[str] = []
        self.is_over = threading.Event()
        self.speaks_late = threading.Event()
        self.peak_connections = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.host = "127.0.0.1"
        self.port: int = self._listener.getsockname()[1]
        if context is None and (tls or starttls):
            self.context = authority().server_context("127.0.0.1", "localhost")

    @property
    def messages(self) -> list[Received]:
        return [message for message in self.received if message.is_accepted]

    @property
    def open_connections(self) -> list[socket.socket]:
        with self._lock:
            return list(self._open)

    @property
    def connections(self) -> int:
        return len(self.transcripts)

    def configuration(self, index: int = 1, **changes: Any) -> SMTPConfiguration:
        """An SMTP configuration for this server; by name every field can be set otherwise."""
        username, password = self.credentials or ("sender@example.com", None)
        account = Account("sender@example.com", username, password)
        values: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "account": account,
            "test_account": account,
            "timeout_s": 5.0,
            "ca_file": authority().ca_file if self.context else None,
            "security": Security.TLS if self.is_tls else Security.AUTO,
        }
        values |= changes
        return SMTPConfiguration(index=index, **values)

    def reply_late(self) -> None:
        """Lets out the replies that are late, and from now on every one at once."""
        self.speaks_late.set()

    def drop_connections(self) -> None:
        """Ends all open connections, as a server does that restarts."""
        with self._lock:
            sockets = list(self._open)
        for each in sockets:
            with suppress(OSError):
                # Past the TLS layer, which is not made for two threads.
                socket.socket.shutdown(each, socket.SHUT_RDWR)

    def stop_listening(self) -> None:
        """Nobody can connect any more; open connections stay."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def wait_until(self, condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
        """For what the server does after the client has gone on, such as noticing a QUIT."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.005)

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.is_over.set()
        self.speaks_late.set()
        self.stop_listening()
        self.drop_connections()
        for thread in self._threads:
            thread.join(5)
        assert kind is not None or not self.violations

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open.add(accepted)
                self.peak_connections = max(self.peak_connections, len(self._open))
                number = len(self.transcripts)
                self.transcripts.append([])
            self._start(self._serve, accepted, number)

    def replace(self, old: socket.socket, new: socket.socket) -> None:
        """A connection goes on behind TLS."""
        with self._lock:
            self._open.discard(old)
            self._open.add(new)

    def _serve(self, accepted: socket.socket, number: int) -> None:
        faults = self.scripts[number] if number < len(self.scripts) else self.faults
        dialogue = Dialogue(self, accepted, number, faults)
        try:
            dialogue.run()
        except (OSError, Over):
            pass
        finally:
            with self._lock:
                self._open.discard(dialogue.socket)
            dialogue.close()
