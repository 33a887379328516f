"""The test server's side of one connection. Used by `tests.smtp_server`."""

import base64
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.smtp.credentials import are_right
from tests.smtp.faults import Deed, Drip, Drop, Fault, Hang, Late, Raw, Reset
from tests.smtp.received import Received

if TYPE_CHECKING:
    from tests.smtp_server import SMTPServer


class BrokenOff(Exception):
    """The client gave a sign-in up."""


class Over(Exception):
    """This connection has ended."""


@dataclass
class Dialogue:
    """One connection, served by one thread."""

    server: "SMTPServer"
    socket: socket.socket
    number: int
    faults: Mapping[str, Fault]
    unread: bytes = b""
    unsent: bytes = b""
    turns: int = 0
    sender: str | None = None
    mail_parameters: str = ""
    recipients: list[str] = field(default_factory=list)
    login: str | None = None
    is_encrypted: bool = False
    occurrences: dict[str, int] = field(default_factory=dict)

    def run(self) -> None:
        self.perform("CONNECT", "")
        if self.server.is_tls:
            self.encrypt()
        self.answer("GREETING", "220 tests ready")
        while True:
            line = self.read_line()
            verb, _, argument = line.partition(" ")
            handler = getattr(self, f"on_{verb.lower()}", None)
            if self.unread and verb != "BDAT" and "PIPELINING" not in self.server.extensions:
                self.server.violations.append(f"pipelined behind {line!r}")
            if handler is None:
                self.say("500 5.5.1 unknown command")
            else:
                handler(argument.strip())

    def close(self) -> None:
        with suppress(OSError):
            self.socket.close()

    # The commands.

    def on_ehlo(self, name: str) -> None:
        lines = ["tests", *self.server.extensions]
        if self.server.offers_starttls and not self.is_encrypted:
            lines.append("STARTTLS")
        if self.server.credentials:
            lines.append(f"AUTH {self.server.mechanisms}")
        self.answer("EHLO", "\r\n".join(f"250{' ' if line is lines[-1] else '-'}{line}" for line in lines))
        self.begin_message()

    def on_helo(self, name: str) -> None:
        self.answer("HELO", "250 tests")
        self.begin_message()

    def on_starttls(self, argument: str) -> None:
        if self.answer("STARTTLS", "220 2.0.0 go ahead"):
            self.flush()
            self.encrypt()

    def on_auth(self, argument: str) -> None:
        mechanism, _, initial = argument.partition(" ")
        if initial and self.server.initial_response == "ignored":
            argument = mechanism
        elif initial and self.server.initial_response:
            self.say(self.server.initial_response)
            return
        username, password = self.server.credentials or ("", "")
        try:
            is_right = are_right(username, password, argument, self.ask)
        except BrokenOff:
            self.say("501 5.7.0 broken off")
            return
        if self.answer("AUTH", "235 2.7.0 signed in" if is_right else "535 5.7.8 wrong credentials"):
            self.login = username
        self.begin_message()

    def on_mail(self, argument: str) -> None:
        if self.server.credentials and not self.login:
            self.say("530 5.7.0 sign in first")
        elif self.sender is not None:
            self.say("503 5.5.1 nested MAIL")
        elif self.answer("MAIL", "250 2.1.0 ok", argument):
            self.sender, _, self.mail_parameters = argument.removeprefix("FROM:<").partition(">")

    def on_rcpt(self, argument: str) -> None:
        if self.sender is None and "RCPT" not in self.faults:
            self.say("503 5.5.1 MAIL first")
        elif self.answer("RCPT", "250 2.1.5 ok", argument):
            self.recipients.append(argument.removeprefix("TO:<").partition(">")[0])

    def on_data(self, argument: str) -> None:
        if not self.recipients and "DATA" not in self.faults:
            self.say("554 5.5.1 no valid recipients")
        elif self.answer("DATA", "354 go ahead"):
            self.flush()
            content = self.read_content()
            if content or self.recipients:
                self.finish(content, is_chunked=False)
            else:
                self.answer("MESSAGE", "554 5.5.1 no valid recipients")
                self.begin_message()

    def on_bdat(self, argument: str) -> None:
        octets, _, last = argument.partition(" ")
        content = self.read_octets(int(octets))
        if last != "LAST":
            self.server.violations.append("BDAT without LAST")
        if self.recipients:
            self.finish(content, is_chunked=True)
        else:
            self.say("503 5.5.1 no valid recipients")

    def on_rset(self, argument: str) -> None:
        if self.answer("RSET", "250 2.0.0 ok"):
            self.sender, self.recipients = None, []

    def on_noop(self, argument: str) -> None:
        self.answer("NOOP", "250 2.0.0 ok")

    def on_quit(self, argument: str) -> None:
        self.answer("QUIT", "221 2.0.0 bye")
        self.flush()
        raise Over

    def finish(self, content: bytes, *, is_chunked: bool) -> None:
        deed = self.next_deed("MESSAGE", "")
        reply = deed.reply if isinstance(deed, Late) else deed if isinstance(deed, str) else "250 2.0.0 queued"
        self.server.received.append(
            Received(
                sender=self.sender or "",
                recipients=tuple(self.recipients),
                data=content,
                is_accepted=reply.startswith("2") and (deed is None or isinstance(deed, str | Late)),
                is_chunked=is_chunked,
                mail_parameters=self.mail_parameters.strip(),
                login=self.login,
                connection=self.number,
                round_trips=self.turns + 1,
            )
        )
        self.begin_message()
        self.do(deed, reply)

    def begin_message(self) -> None:
        self.sender, self.recipients, self.mail_parameters = None, [], ""
        # The reply that is about to be sent is the last turn of what came before.
        self.turns = -1

    # Answering.

    def answer(self, step: str, healthy: str, argument: str = "") -> bool:
        """The healthy reply, or what the test wants instead; whether it was positive."""
        deed = self.next_deed(step, argument)
        self.do(deed, healthy)
        return (deed if isinstance(deed, str) else healthy)[0] in "23" and not isinstance(deed, Raw)

    def perform(self, step: str, argument: str) -> None:
        """What the test wants at a step that has no reply of its own."""
        deed = self.next_deed(step, argument)
        if deed is not None:
            self.do(deed, "")

    def next_deed(self, step: str, argument: str) -> Deed:
        fault = self.faults.get(step)
        if callable(fault):
            return fault(argument)
        if isinstance(fault, Sequence) and not isinstance(fault, str):
            occurrence = self.occurrences.get(step, 0)
            self.occurrences[step] = occurrence + 1
            return fault[occurrence] if occurrence < len(fault) else None
        return fault

    def do(self, deed: Deed, healthy: str) -> None:
        match deed:
            case None:
                self.say(healthy)
            case str():
                self.say(deed)
            case Raw():
                self.unsent += deed.data
            case Drop():
                self.unsent += deed.last_words
                self.flush()
                raise Over
            case Reset():
                self.unsent += deed.last_words
                self.flush()
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                raise Over
            case Late():
                self.flush()
                self.server.speaks_late.wait(30)
                self.say(deed.reply)
            case Hang():
                self.flush()
                self.server.is_over.wait(30)
                raise Over
            case Drip():
                self.flush()
                while not self.server.is_over.wait(deed.interval_s):
                    for byte in deed.data:
                        self.socket.sendall(bytes([byte]))
                        if self.server.is_over.wait(deed.interval_s):
                            break
                raise Over

    def say(self, reply: str) -> None:
        for line in reply.split("\r\n"):
            self.note(f"S: {line}")
        self.unsent += reply.encode() + b"\r\n"

    def ask(self, challenge: str) -> str:
        """What the client answers; where it breaks off, nothing is right."""
        prompts = self.server.prompts
        number = self.occurrences.get("334", 0)
        self.occurrences["334"] = number + 1
        prompt = prompts[number] if number < len(prompts) else base64.b64encode(challenge.encode()).decode()
        self.say(f"334 {prompt}")
        answer = self.read_line()
        self.server.told.append((prompt, answer))
        if answer == "*":
            raise BrokenOff
        return answer

    def flush(self) -> None:
        if self.unsent:
            if self.server.delay_s:
                time.sleep(self.server.delay_s)
            self.turns += 1
            unsent, self.unsent = self.unsent, b""
            self.socket.sendall(unsent)

    # Reading.

    def receive(self) -> None:
        # A server answers when it has nothing left to read (RFC 2920 section 3.2): then it is the client's turn.
        if not self.unread:
            self.flush()
        data = self.socket.recv(65536)
        if not data:
            raise Over
        self.unread += data

    def receive_content(self, limit: int = 65536) -> bytes:
        data = self.socket.recv(min(limit, 65536))
        if not data:
            raise Over
        return data

    def read_line(self) -> str:
        while b"\r\n" not in self.unread:
            self.receive()
        line, _, self.unread = self.unread.partition(b"\r\n")
        text = line.decode("utf-8", "backslashreplace")
        self.note(f"C: {text}")
        if any(character < " " for character in text):
            self.server.violations.append(f"control character in {text!r}")
        return text

    def read_octets(self, count: int) -> bytes:
        if not self.unread:
            self.unread = self.receive_content()
        self.perform("TRANSFER", "")
        received = bytearray(self.unread[:count])
        self.unread = self.unread[count:]
        while len(received) < count:
            received += self.receive_content(count - len(received))
        return bytes(received)

    def read_content(self) -> bytes:
        """Up to the final dot, leading dots undone; bare CR and LF are noted."""
        if not self.unread:
            self.unread = self.receive_content()
        if self.unread != b".\r\n":
            self.perform("TRANSFER", "")
        received = bytearray(b"\r\n" + self.unread)
        searched = 0
        while (end := received.find(b"\r\n.\r\n", searched)) < 0:
            searched = max(0, len(received) - 4)
            received += self.receive_content()
        self.unread = bytes(received[end + 5 :])
        content = bytes(received[: end + 2])
        if content.replace(b"\r\n", b"").translate(None, b"\r\n") != content.replace(b"\r\n", b""):
            self.server.violations.append("a line end that is not CRLF")
        return content.replace(b"\r\n.", b"\r\n")[2:]

    def encrypt(self) -> None:
        self.perform("TLS", "")
        assert self.server.context is not None
        if self.unread:
            self.server.violations.append("clear text before the handshake")
        plain = self.socket
        encrypted = self.server.context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        self.socket = encrypted
        self.server.replace(plain, encrypted)
        encrypted.do_handshake()
        self.is_encrypted = True

    def note(self, line: str) -> None:
        self.server.transcripts[self.number].append(line)
