"""Clients that post without end and remember what they were told.

Some wait for the delivery, some prefer not to; some name an Idempotency-Key, and repeat their request after a broken
connection until it is answered. Who named no key does not repeat anything.
"""

import asyncio
import json
import random
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

_PRIORITIES = ("Low", "Normal", "High", "Urgent")
_LONGEST_PAUSE_S = 0.1
_LARGE_SHARE = 0.03
_LARGE = 100_000
"""Characters: more than what leaves together with the envelope."""
_ANSWERED_WITHIN_S = 90
"""More than any request may take; a client that waits longer has found a defect."""
_STILL_UNDER_WAY = 409


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer that arrived whole. `email_id` is that of a 201 or 202, and of a 502 that names it."""

    status: int
    title: str = ""
    email_id: str | None = None


@dataclass(slots=True)
class Post:
    """One request to send; `recipient` is its own, so that its messages are told from all others."""

    number: int
    body: bytes
    key: str | None
    is_async: bool
    answer: Answer | None = None
    """None while nothing was told."""
    is_broken: bool = False
    """Whether a connection broke while its answer was awaited."""
    is_given_up: bool = False
    """Whether a request with a key got no final answer in all the time it had."""

    @property
    def recipient(self) -> str:
        return recipient_of(self.number)


def recipient_of(number: int) -> str:
    return f"post-{number}@example.com"


@dataclass(slots=True)
class Clients:
    """All clients of one service."""

    port: int
    token: str
    chance: random.Random
    posts: list[Post] = field(default_factory=list)
    is_over: bool = False
    _repeating: set[asyncio.Task[None]] = field(default_factory=set)

    async def post_until_over(self) -> None:
        """One client."""
        while not self.is_over:
            post = self._next()
            if not await self._ask_once(post) and post.key is not None:
                # Somebody else goes on meanwhile: the load must not die down while killed requests are cleared up.
                task = asyncio.create_task(self._repeat(post))
                self._repeating.add(task)
                task.add_done_callback(self._repeating.discard)
            await asyncio.sleep(self.chance.random() * _LONGEST_PAUSE_S)

    async def finish(self) -> None:
        """Wait for every request that is being repeated."""
        await asyncio.gather(*self._repeating)

    def abandon(self) -> None:
        for task in self._repeating:
            task.cancel()

    async def get(self, path: str) -> tuple[int, dict[str, str], Any]:
        """Status, headers and JSON; raises OSError and EOFError when the service is not there."""
        return await self._exchange(f"GET {path} HTTP/1.1\r\n".encode())

    def _next(self) -> Post:
        number = len(self.posts)
        is_large = self.chance.random() < _LARGE_SHARE
        body = {
            "Email": f"visitor-{number}@example.com",
            "Message": "Hello! Do you have a table for two on Friday evening?\n" * (_LARGE // 54 if is_large else 40),
            "Priority": self.chance.choice(_PRIORITIES),
            "To": [recipient_of(number)],
        }
        key = f"key-{number}" if self.chance.random() < 0.5 else None
        post = Post(number, json.dumps(body).encode(), key, is_async=self.chance.random() < 0.5)
        self.posts.append(post)
        return post

    async def _repeat(self, post: Post) -> None:
        """Until it is answered, or abandoned at the end."""
        post.is_given_up = True
        while not await self._ask_once(post):
            await asyncio.sleep(0.2 + self.chance.random() * 0.3)
        post.is_given_up = False

    async def _ask_once(self, post: Post) -> bool:
        """Whether there was a final answer; False for a broken connection and for a 409."""
        head = "POST /api/v1/emails HTTP/1.1\r\nContent-Type: application/json\r\n"
        if post.key is not None:
            head += f"Idempotency-Key: {post.key}\r\n"
        if post.is_async:
            head += "Prefer: respond-async\r\n"
        while True:
            try:
                status, _, body = await self._exchange(head.encode(), post.body)
            except ConnectionRefusedError:
                # It is being started again and has got nothing, so asking once more is not repeating.
                await asyncio.sleep(0.05)
                if self.is_over:
                    post.is_broken = True
                    return False
            except (OSError, EOFError):
                post.is_broken = True
                return False
            else:
                if status == _STILL_UNDER_WAY:
                    return False
                post.answer = Answer(status, body.get("title", ""), body.get("id") or body.get("emailId"))
                return True

    async def _exchange(self, head: bytes, body: bytes = b"") -> tuple[int, dict[str, str], Any]:
        """One request on a connection of its own. An answer that is cut off raises EOFError."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            common = f"Host: crash\r\nAuthorization: Bearer {self.token}\r\nConnection: close\r\n"
            writer.write(head + f"{common}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            async with asyncio.timeout(_ANSWERED_WITHIN_S):
                lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                fields = [line.partition(": ") for line in lines[1:] if line]
                headers = {name.lower(): value for name, _, value in fields}
                content = await reader.readexactly(int(headers["content-length"]))
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        return int(lines[0].split()[1]), headers, json.loads(content)
