"""A fast SMTP sink: takes every message, keeps none, counts them; PIPELINING and CHUNKING announced.

A process of its own, `python -m bench.sink PORT`; a line on its standard input is answered with the count so far.
"""

import asyncio
import sys

_EHLO = b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-SIZE 52428800\r\n250 CHUNKING\r\n"
_OK = b"250 2.0.0 OK\r\n"


class Sink(asyncio.Protocol):
    """One connection. Replies to everything that arrived together leave together."""

    accepted = 0

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._chunk_octets = 0
        self._is_last_chunk = False
        self._is_in_data = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        replies = bytearray()
        while (reply := self._next_reply()) is not None:
            replies += reply
        if replies:
            self._transport.write(bytes(replies))

    def _next_reply(self) -> bytes | None:
        """The reply to what stands first in the buffer, empty when it asks for none, None when it is incomplete."""
        if self._chunk_octets:
            taken = min(self._chunk_octets, len(self._buffer))
            del self._buffer[:taken]
            self._chunk_octets -= taken
            if self._chunk_octets:
                return None
            return self._accepted() if self._is_last_chunk else _OK
        if self._is_in_data:
            end = self._buffer.find(b"\r\n.\r\n")
            if end < 0:
                del self._buffer[: max(0, len(self._buffer) - 4)]
                return None
            del self._buffer[: end + 5]
            self._is_in_data = False
            return self._accepted()
        end = self._buffer.find(b"\r\n")
        if end < 0:
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return self._reply_to(line)

    def _reply_to(self, line: bytes) -> bytes:
        verb, _, rest = line.partition(b" ")
        match verb.upper():
            case b"EHLO":
                return _EHLO
            case b"BDAT":
                words = rest.split()
                self._chunk_octets, self._is_last_chunk = int(words[0]), len(words) > 1
                return b"" if self._chunk_octets else self._accepted()
            case b"DATA":
                self._is_in_data = True
                return b"354 go on\r\n"
            case b"QUIT":
                self._transport.write(b"221 2.0.0 bye\r\n")
                self._transport.close()
                return b""
        return _OK

    def _accepted(self) -> bytes:
        type(self).accepted += 1
        return _OK


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Sink, "127.0.0.1", port, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(Sink.accepted, flush=True)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
