"""An SMTP server whose ledger is the truth: every message that it accepted, by the id of its email.

Connections differ in what is announced, so that messages come by BDAT, by pipelined DATA, and command by command. Some
emails are refused temporarily once, some replies are late. At two points it can have the service killed, and then cuts
the line.
"""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from bench.crash.points import Point

_EXTENSIONS = (
    ("8BITMIME", "SMTPUTF8", "SIZE 33554432", "PIPELINING", "CHUNKING"),
    ("8BITMIME", "SMTPUTF8", "SIZE 33554432", "PIPELINING"),
    ("8BITMIME", "SMTPUTF8", "SIZE 33554432"),
)
_EMAIL_ID = re.compile(rb"^X-Email-Id: ([0-9A-F]{8})\r$", re.MULTILINE)
_LARGEST = 1024 * 1024
_LONGEST_PAUSE_S = 0.03
"""Between a message and its reply, so that kills meet emails there."""
FINAL_REPLY_S = 0.5
"""So long the service under test waits for the reply to a message, before it only listens."""
_LATE_S = 3 * FINAL_REPLY_S
"""How late a late reply is: the service only listens by then."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """One message that the server has taken responsibility for."""

    email_id: str
    recipient: str


class _Cut(Exception):
    """The line to a client that has been killed."""


class Server:
    """Listens on loopback inside `async with`."""

    def __init__(self, *, chance: random.Random, refused_share: float, late_share: float) -> None:
        self.accepted: list[Accepted] = []
        self.late = 0
        """How many replies were late."""
        self._late_share = late_share
        self.refused_share = refused_share
        """Of the emails, so many are refused with a 4xx on their first try."""
        self.trap: tuple[Point, Callable[[str, int], Awaitable[None]]] | None = None
        """Called once with the id of the email and the port of the client, at the first message that gets there."""
        self._chance = chance
        self._tried: set[str] = set()
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_LARGEST, backlog=512)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        try:
            await self._converse(reader, writer)
        except (OSError, EOFError, _Cut, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client_port: int = writer.get_extra_info("peername")[1]
        extensions = self._chance.choice(_EXTENSIONS)
        recipient = ""
        reply = "220 ledger ESMTP"
        while True:
            writer.write(reply.encode() + b"\r\n")
            await writer.drain()
            line = (await reader.readuntil(b"\r\n")).decode().rstrip()
            verb, _, argument = line.upper().partition(" ")
            match verb:
                case "EHLO":
                    reply = "\r\n".join(f"250-{name}" for name in ("ledger", *extensions)) + "\r\n250 HELP"
                case "RCPT":
                    recipient = line.partition("<")[2].partition(">")[0]
                    reply = "250 2.1.5 ok"
                case "DATA":
                    writer.write(b"354 go on\r\n")
                    reply = await self._take(reader, None, recipient, client_port)
                case "BDAT":
                    reply = await self._take(reader, int(argument.split()[0]), recipient, client_port)
                case "QUIT":
                    writer.write(b"221 2.0.0 bye\r\n")
                    return
                case _:
                    reply = "250 2.0.0 ok"

    async def _take(self, reader: asyncio.StreamReader, octets: int | None, recipient: str, client_port: int) -> str:
        """One message, by its length or up to the final dot; the reply to it."""
        content = await reader.readexactly(octets // 2 if octets is not None else 1024)
        await self._pass_by(Point.IN_DATA, content, client_port)
        if octets is not None:
            content += await reader.readexactly(octets - octets // 2)
        else:
            content += await reader.readuntil(b"\r\n.\r\n")
        email_id = _id_of(content)
        if email_id not in self._tried:
            self._tried.add(email_id)
            if self._chance.random() < self.refused_share:
                return "451 4.3.0 not now"
        self.accepted.append(Accepted(email_id, recipient))
        await self._pass_by(Point.DOT_SENT, content, client_port)
        if self._chance.random() < self._late_share:
            self.late += 1
            await asyncio.sleep(_LATE_S)
        await asyncio.sleep(self._chance.random() * _LONGEST_PAUSE_S)
        return "250 2.0.0 taken"

    async def _pass_by(self, point: Point, content: bytes, client_port: int) -> None:
        if self.trap is None or self.trap[0] is not point:
            return
        _, kill = self.trap
        self.trap = None
        # The line is cut when the client is dead: one that saw it cut could still write down what that means.
        await kill(_id_of(content), client_port)
        raise _Cut


def _id_of(content: bytes) -> str:
    found = _EMAIL_ID.search(content)
    if found is None:
        raise ValueError("a message without an X-Email-Id among its first octets")
    return found[1].decode()
