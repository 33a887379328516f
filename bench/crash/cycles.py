"""One run: a service under load, killed and started again so many times, and what is left of its mail."""

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.crash.clients import Clients
from bench.crash.database import database
from bench.crash.ledgers import Record, compare
from bench.crash.plans import Plan, Report
from bench.crash.points import OF_SERVER, Point
from bench.crash.server import Server
from bench.crash.service import Service, Sprung

SETTLED_WITHIN_S = 60
"""The promise, counted from the restart, for whatever does not say itself when it will be tried again."""

_CLIENTS = 8
_LONG_LIFE_EVERY = 4
_LONG_LIFE_S = 2.0
"""Now and then the service lives long enough to look after what its predecessors left behind."""
_SPRUNG_WITHIN_S = 20
_LOOK_EVERY_S = 0.5
_LATE_S = 10
"""A next attempt may come so much later than announced."""
_LONGEST_WAIT_S = 180
_PAGE = 200
_NEXT_PAGE = re.compile(r"<[^>]*(/api/[^>]*)>; rel=\"next\"")


async def run(plan: Plan, directory: Path) -> Report:
    """Leaves no process and no database behind, however it ends; the log stays in the directory."""
    chance = random.Random(plan.seed)
    with ExitStack() as stack:
        database_url = stack.enter_context(database(plan.database, directory))
        async with Server(chance=chance, refused_share=plan.refused_share, late_share=plan.late_share) as server:
            service = Service(directory, database_url=database_url, smtp_port=server.port, processes=plan.processes)
            stack.callback(service.end)
            await service.start()
            token = await asyncio.to_thread(service.make_token)
            clients = Clients(service.port, token, chance)
            return await _Run(plan, service, server, clients, chance).run()


class _Run:
    def __init__(self, plan: Plan, service: Service, server: Server, clients: Clients, chance: random.Random) -> None:
        self._plan = plan
        self._service = service
        self._server = server
        self._clients = clients
        self._chance = chance
        self._report = Report(plan=plan)
        self._sprung: list[tuple[Point, Sprung]] = []
        self._in_doubt_since: dict[Record, float] = {}
        self._restarted_at = time.monotonic()

    async def run(self) -> Report:
        async with self._load():
            for number, point in enumerate(self._plan.points, 1):
                long_s = 0.0 if number % _LONG_LIFE_EVERY else _LONG_LIFE_S
                await asyncio.sleep(long_s + self._chance.random() * self._plan.life_s)
                await self._kill_at(point)
        self._server.refused_share = 0.0
        await self._settle()
        return await self._conclude()

    @asynccontextmanager
    async def _load(self) -> AsyncIterator[None]:
        clients = [asyncio.create_task(self._clients.post_until_over()) for _ in range(_CLIENTS)]
        watch = asyncio.create_task(self._watch())
        try:
            yield
            self._clients.is_over = True
            await asyncio.gather(*clients)
        finally:
            for task in (*clients, watch):
                task.cancel()
            await asyncio.gather(*clients, watch, return_exceptions=True)

    # One cycle.

    async def _kill_at(self, point: Point) -> None:
        share_of_one = 0.25 if self._plan.processes == 1 else 0.5
        is_of_all = self._chance.random() >= share_of_one
        if point is Point.ANY_MOMENT:
            await self._service.kill(None if is_of_all else self._chance.choice(self._service.serving()))
        else:
            where = await (self._trap_at_server if point in OF_SERVER else self._trap_in_service)(point, is_of_all)
            self._sprung.append((point, where))
        self._report.kills[point] += 1
        self._report.kills_of_one += not is_of_all
        await self._service.restart()
        self._restarted_at = time.monotonic()

    async def _trap_in_service(self, point: Point, is_of_all: bool) -> Sprung:
        self._service.set_trap(point, is_of_all=is_of_all)
        async with asyncio.timeout(_SPRUNG_WITHIN_S):
            while (where := self._service.sprung()) is None:
                await asyncio.sleep(0.005)
        await self._service.dead(None if is_of_all else where.pid)
        return where

    async def _trap_at_server(self, point: Point, is_of_all: bool) -> Sprung:
        killed: asyncio.Future[Sprung] = asyncio.get_running_loop().create_future()

        async def kill(email_id: str, client_port: int) -> None:
            try:
                pid = None if is_of_all else self._service.pid_behind(client_port)
                await self._service.kill(pid)
            except Exception as error:  # noqa: BLE001 - it belongs to who waits for the kill
                killed.set_exception(error)
            else:
                killed.set_result(Sprung(email_id))

        self._server.trap = (point, kill)
        async with asyncio.timeout(_SPRUNG_WITHIN_S):
            return await killed

    # What is not settled.

    async def _watch(self) -> None:
        while True:
            await self._look_for_doubt()
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _look_for_doubt(self) -> None:
        """Note how long emails are Sending or Queued: those that a kill met stay it for a while."""
        with suppress(OSError, EOFError):
            in_doubt = {*await self._records("Sending"), *await self._records("Queued")}
            now = time.monotonic()
            for record in self._in_doubt_since.keys() - in_doubt:
                # A kill may have met it once more, and the service begins its minute anew at each start.
                since = max(self._in_doubt_since.pop(record), self._restarted_at)
                self._report.in_doubt_s = max(self._report.in_doubt_s, now - since)
            for record in in_doubt:
                self._in_doubt_since.setdefault(record, now)

    async def _settle(self) -> None:
        """Wait until nothing waits any more, as long as it may."""
        finishing = asyncio.create_task(self._clients.finish())
        until = self._restarted_at + SETTLED_WITHIN_S
        try:
            quiet_looks = 0
            while time.monotonic() < min(until, self._restarted_at + _LONGEST_WAIT_S):
                deferred = await self._records("Deferred")
                await self._look_for_doubt()
                # One look can miss an email that changes its status at that moment.
                is_quiet = finishing.done() and not deferred and not self._in_doubt_since
                quiet_looks = quiet_looks + 1 if is_quiet else 0
                if quiet_looks > 1:
                    break
                for record in deferred:
                    assert record.next_attempt_at
                    wait_s = (record.next_attempt_at - datetime.now(UTC)).total_seconds()
                    until = max(until, time.monotonic() + wait_s + _LATE_S)
                await asyncio.sleep(_LOOK_EVERY_S)
            self._report.settled_after_s = time.monotonic() - self._restarted_at
        finally:
            self._clients.abandon()
            await asyncio.gather(finishing, return_exceptions=True)

    async def _records(self, status: str | None = None) -> list[Record]:
        """All emails of the service, or those with a status."""
        found: list[Record] = []
        path = f"/api/v1/emails?limit={_PAGE}" + ("" if status is None else f"&status={status}")
        while path:
            answered, headers, page = await self._clients.get(path)
            if answered != 200:
                raise OSError(f"GET {path} was answered {answered}")
            found += map(_record, page)
            following = _NEXT_PAGE.search(headers.get("link", ""))
            path = following[1] if following else ""
        return found

    # The end.

    async def _conclude(self) -> Report:
        report, posts = self._report, self._clients.posts
        records = await self._records()
        status = await self._service.stop()
        report.findings = compare(posts, records, self._server.accepted, self._sprung)
        if status != 0:
            report.findings.violations.append(f"the service ended with status {status} on SIGTERM")
        if report.in_doubt_s > SETTLED_WITHIN_S:
            report.findings.violations.append(f"an email was in doubt for {report.in_doubt_s:.0f} s")
        report.posts = len(posts)
        report.accepted = len(self._server.accepted)
        report.late = self._server.late
        for post in posts:
            report.answers["nothing" if post.answer is None else str(post.answer.status)] += 1
        report.tracebacks = self._service.tracebacks()
        return report


def _record(resource: dict[str, Any]) -> Record:
    moment = resource["nextAttemptAt"]
    return Record(
        resource["id"],
        resource["status"],
        resource["receptionEmail"],
        next_attempt_at=None if moment is None else datetime.fromisoformat(moment),
    )
