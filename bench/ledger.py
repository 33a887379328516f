"""An SMTP server that keeps account of what it took: every message counts by its X-Email-Id, before the reply leaves.

In a thread of the bench's own process; without PIPELINING and CHUNKING, so that there is time between the steps.
"""

import asyncio
import re
import threading
from collections import Counter
from contextlib import suppress

_EMAIL_ID = re.compile(rb"^X-Email-Id: *([0-9A-F]{8})\r$", re.MULTILINE | re.IGNORECASE)


class Ledger:
    """`accepted` says how often each id was taken; each reply to a message comes `reply_s` after it."""

    def __init__(self, *, reply_s: float) -> None:
        self.accepted: Counter[str] = Counter()
        self._reply_s = reply_s
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._converse, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def total(self) -> int:
        return sum(self.accepted.values())

    @property
    def doubled(self) -> int:
        return sum(count - 1 for count in self.accepted.values())

    def __enter__(self) -> "Ledger":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            writer.write(b"220 ledger ESMTP\r\n")
            while line := (await reader.readline()).upper():
                if line.startswith(b"EHLO"):
                    writer.write(b"250-ledger\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n")
                elif line.startswith(b"DATA"):
                    writer.write(b"354 go on\r\n")
                    message = await reader.readuntil(b"\r\n.\r\n")
                    found = _EMAIL_ID.search(message)
                    self.accepted[found[1].decode() if found else "?"] += 1
                    await asyncio.sleep(self._reply_s)
                    writer.write(b"250 2.0.0 taken\r\n")
                elif line.startswith(b"QUIT"):
                    writer.write(b"221 2.0.0 bye\r\n")
                    break
                else:
                    writer.write(b"250 2.0.0 OK\r\n")
                await writer.drain()
        writer.close()
