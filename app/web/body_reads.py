"""How bodies are received: whole or refused, within a deadline, a few at a time of one client, and within a budget.

A small body is received before a thread is taken, a larger one when the view asks for it: the guards come first then.
Everything here but `RequestBody.read` and `read_body` runs in the thread of the event loop, so nothing is locked.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, MutableMapping
from io import BytesIO
from typing import TYPE_CHECKING, Any

from flask import Request
from werkzeug.exceptions import BadRequest, HTTPException, RequestEntityTooLarge, RequestTimeout

from app.errors import Overloaded
from app.guards.client_address import client_key
from app.settings import Settings
from app.web.header_limits import LONGEST_LIST
from app.web.threads import Threads

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

SMALL_BODY = 64 * 1024
"""Octets that a client sends at once."""
FIRST_S = 20.0
OCTETS_PER_S = 100_000
"""A body may take so long, and then a second for so many octets as have arrived."""
MOST_OF_ADDRESS, MOST_OF_TOKEN = 8, 16
"""Bodies that are being received at a time; more of the same client wait in its line."""
LONGEST_LINE_S = 2.0
"""How long they wait there: bodies that are sent at once take milliseconds."""
KEPT_FOR_SMALL = 8
"""One part in so many of the budget that only small bodies may take."""
TURN = "letterbox.turn"
"""Where the WSGI environ has the turn of a request that was counted at the door."""
TOKEN = "letterbox.token"  # noqa: S105 - a key
"""Where the door leaves the id of the access token that a request has shown."""
_MOST_TOKENS = 1024
_BLOCK = 64 * 1024
_CROWDED = "Too many requests are still being received."


class BodyReads:
    """One per process: the lines of all clients, and the budget for all bodies."""

    def __init__(self, settings: Settings) -> None:
        self.most_of_one = settings.limits.request_body
        self._trusted_proxies = settings.guards.trusted_proxies
        self._all = self._free = settings.body_memory
        self._kept_for_small = settings.body_memory // KEPT_FOR_SMALL
        self._receiving: Counter[str] = Counter()
        self._lines: dict[str, deque[asyncio.Future[bool]]] = {}
        self._tokens: dict[str, str] = {}

    def reserve(self, octets: int, *, is_small: bool) -> None:
        """Raises Overloaded; never where no other body is held."""
        if self._free < self._all and octets > self._free - (0 if is_small else self._kept_for_small):
            raise Overloaded(_CROWDED)
        self._free -= octets

    def release(self, octets: int) -> None:
        self._free += octets

    def remember_token(self, environ: "WSGIEnvironment") -> None:
        """A caller whose token was good is known by it from then on, before it is judged again."""
        if (token := environ.get(TOKEN)) is not None:
            if len(self._tokens) >= _MOST_TOKENS:
                self._tokens.clear()
            self._tokens[environ["HTTP_AUTHORIZATION"]] = token

    def client(self, environ: "WSGIEnvironment") -> tuple[str, int]:
        """Who sends the body, and how many at a time."""
        token = environ.get(TOKEN) or self._tokens.get(environ.get("HTTP_AUTHORIZATION", ""))
        if token is not None:
            return f"token {token}", MOST_OF_TOKEN
        forwarded = environ.get("HTTP_X_FORWARDED_FOR", "")
        forwarded = forwarded if len(forwarded) <= LONGEST_LIST else ""
        return client_key(environ["REMOTE_ADDR"], forwarded, self._trusted_proxies), MOST_OF_ADDRESS

    async def begin(self, client: str, most: int) -> None:
        """Wait for the turn of one more body of this client. Raises Overloaded."""
        if self._receiving[client] < most:
            self._receiving[client] += 1
            return
        line = self._lines.setdefault(client, deque())
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        line.append(turn)
        timer = asyncio.get_running_loop().call_later(LONGEST_LINE_S, _set, turn, False)
        if await turn:
            timer.cancel()
        else:
            line.remove(turn)
            if not line:
                self._lines.pop(client, None)
            raise Overloaded(_CROWDED)

    def end(self, client: str) -> None:
        """The next one of this client may begin."""
        line = self._lines.get(client)
        while line:
            turn = line.popleft()
            if not turn.done():
                turn.set_result(True)
                return
        self._lines.pop(client, None)
        self._receiving[client] -= 1
        if not self._receiving[client]:
            del self._receiving[client]


def _set(turn: "asyncio.Future[bool]", value: bool) -> None:
    if not turn.done():
        turn.set_result(value)


class RequestBody:
    """`wsgi.input` of one request. What goes wrong is raised when the view asks for the body, so that it answers."""

    def __init__(self, reads: BodyReads, threads: Threads, environ: "WSGIEnvironment", receive: Receive) -> None:
        self._reads, self._threads, self._environ, self._receive = reads, threads, environ, receive
        self._loop = asyncio.get_running_loop()
        declared = environ.get("CONTENT_LENGTH", "")
        self.length = int(declared) if declared.isascii() and declared.isdigit() else None
        """None of a chunked body."""
        self._is_whole = self.length == 0 or (self.length is None and "HTTP_TRANSFER_ENCODING" not in environ)
        self._arrived, self._reserved = 0, 0
        self._rest = b""
        self._client: str | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._pending: asyncio.Future[MutableMapping[str, Any]] | None = None
        self._is_late = False
        self._error: Exception | None = None

    @property
    def is_broken(self) -> bool:
        """Whether something of it was not received: nothing more can be asked through this connection."""
        return not self._is_whole

    @property
    def _is_small(self) -> bool:
        return self.length is not None and self.length <= SMALL_BODY

    async def receive_small(self) -> None:
        """All of it, when it is one that clients send at once."""
        if self._is_small and not self._is_whole:
            await self._fill(SMALL_BODY)

    def read(self, size: int = -1) -> bytes:
        """At most `size` octets; fewer only at the end. Called in a thread of the pool.

        Raises Overloaded, BadRequest for a body that ended early, and RequestTimeout.
        """
        wanted = size if size >= 0 else self._reads.most_of_one + 1
        if self._error is None and not self._is_whole and len(self._rest) < wanted:
            with self._threads.away() as may_wait:
                if not may_wait:
                    raise Overloaded(_CROWDED)
                asyncio.run_coroutine_threadsafe(self._fill(wanted), self._loop).result()
        if self._error is not None:
            raise self._error
        octets, self._rest = self._rest[:wanted], self._rest[wanted:]
        return octets

    def close(self) -> None:
        """The request is over, and nobody holds the body any more."""
        self._leave()
        self._reads.release(self._reserved)
        self._reserved = 0

    async def _fill(self, size: int) -> None:
        blocks = [self._rest]
        missing = size - len(self._rest)
        try:
            await self._enter()
            while missing > 0 and not self._is_whole:
                blocks.append(await self._next_block())
                missing -= len(blocks[-1])
        except (HTTPException, Overloaded) as error:
            self._error = error
            blocks.clear()
        if self._is_whole or self._error is not None:
            self._leave()
        self._rest = b"".join(blocks)

    async def _enter(self) -> None:
        if self._client is not None:
            return
        client, most = self._reads.client(self._environ)
        await self._reads.begin(client, most)
        self._client = client
        self._deadline = self._loop.time() + FIRST_S
        self._timer = self._loop.call_at(self._deadline, self._look_at_the_time)
        # Of one that is too large nothing is kept: it is only taken in for a browser that looks for its answer later.
        if self.length is not None and self.length <= self._reads.most_of_one:
            self._reserve(self.length)

    def _leave(self) -> None:
        if self._client is not None:
            self._reads.end(self._client)
            self._client = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _reserve(self, octets: int) -> None:
        self._reads.reserve(octets, is_small=self._reserved + octets <= SMALL_BODY)
        self._reserved += octets

    async def _next_block(self) -> bytes:
        message = await self._message()
        if message["type"] != "http.request":
            raise BadRequest("The request body ended early.")
        block: bytes = message.get("body", b"")
        self._arrived += len(block)
        self._deadline += len(block) / OCTETS_PER_S
        if self.length is None:
            if self._arrived <= self._reads.most_of_one + _BLOCK:
                self._reserve(len(block))
            self._is_whole = not message.get("more_body")
        else:
            self._is_whole = self._arrived >= self.length
            if not self._is_whole and not message.get("more_body"):
                raise BadRequest("The request body ended early.")
        return block

    async def _message(self) -> MutableMapping[str, Any]:
        if not self._is_late:
            self._pending = asyncio.ensure_future(self._receive())
            try:
                return await self._pending
            except asyncio.CancelledError:
                if not self._is_late:
                    raise
            finally:
                self._pending = None
        raise RequestTimeout("The request body took too long to arrive.")

    def _look_at_the_time(self) -> None:
        """What has arrived since the timer was set may have moved the deadline."""
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._look_at_the_time)
            return
        self._is_late = True
        if self._pending is not None:
            self._pending.cancel()


def read_body(request: Request) -> bytes:
    """The whole body, once in memory. Raises RequestEntityTooLarge, and what `RequestBody.read` does.

    werkzeug collects it in an array of bytes and copies that: twice the memory, and 20 ms for 33 MB.
    """
    length, limit = request.content_length, request.max_content_length
    if length is not None and limit is not None and length > limit:
        raise RequestEntityTooLarge
    body = BytesIO()
    while (length is None or body.tell() < length) and (block := request.stream.read(_BLOCK)):
        body.write(block)
    # Of a chunked body werkzeug returns what the limit allows and says nothing of the rest.
    if length is None and limit is not None and body.tell() >= limit:
        raise RequestEntityTooLarge
    if length is not None and body.tell() < length:
        raise BadRequest("The request body ended early.")
    return body.getvalue()
