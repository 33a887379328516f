"""Which clients this process knows to be blocked, the rows that tell operators of it, and what they lifted.

Used by `gate`. A known client is refused without asking any storage. The database is talked to on a thread of its own,
so that no request fails or waits long when it is gone.
"""

import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from math import inf

from prometheus_client import Counter

from app.errors import RecordUnavailable
from app.guards.rules import BlockReason
from app.model.clock import Clock, Seconds
from app.storage import blocks as rows
from app.storage.blocks import BlockRow
from app.storage.database import Database
from app.storage.times import to_ms

_log = logging.getLogger(__name__)

# Beyond this the oldest is asked for again in the limits' storage.
_MOST_KNOWN = 50_000
_MOST_UNWRITTEN = 1_000

_LOOK_EVERY_S = 1.0
_TOKEN_EVERY_S = 1.0
_LOOK_AGAIN_AFTER_FAILURE_S = 30.0
_LONGEST_WAIT_FOR_A_LOOK_S = 0.25

# Lifts are looked for from this much before the newest one seen: another machine's clock or commit may lag behind.
_OVERLAP_MS = 60_000


@dataclass(slots=True)
class _KnownBlock:
    """`until` and `token_asked_at` as `now` counts; the latter is when a token of this client was last looked up."""

    until: float
    token_asked_at: float = -inf


class KnownBlocks:
    """One per process. `forget` empties a client's windows in the limits' storage.

    Blocks end by `now`, which is monotonic: a wall clock that is set frees nobody and keeps nobody out. Rows, which
    other processes and operators read, are written and looked up by `clock`.
    """

    def __init__(
        self,
        *,
        database: Database,
        record_errors: Counter,
        forget: Callable[[str], None],
        clock: Clock,
        now: Seconds,
        longest_block_s: float,
    ) -> None:
        self._database = database
        self._record_errors = record_errors
        self._forget = forget
        self._clock = clock
        self._now = now
        self._known: OrderedDict[str, _KnownBlock] = OrderedDict()
        self._unwritten: deque[BlockRow] = deque(maxlen=_MOST_UNWRITTEN)
        self._changing = threading.Lock()
        self._desk: ThreadPoolExecutor | None = ThreadPoolExecutor(1, thread_name_prefix="blocks")
        self._next_look_at = 0.0
        # A block that was lifted longer ago has ended by now, whether or not anybody took it out of the storage.
        self._since_ms = to_ms(clock()) - int(longest_block_s * 1000)
        self._seen_lifts: set[int] = set()

    def until(self, client: str) -> float | None:
        """When a known block of this client ends, as `now` counts; None when it is not known to be blocked.

        For a blocked client, but at most once a second, it is first looked up what operators have lifted.
        """
        if client not in self._known:
            return None
        now = self._now()
        if now >= self._next_look_at:
            self._look_for_lifts(now)
        known = self._known.get(client)
        if known is not None and known.until <= now:
            with self._changing:
                self._known.pop(client, None)
            return None
        return None if known is None else known.until

    def may_ask_for_token(self, client: str) -> bool:
        """Whether a token that this client shows may be looked up in the database: of a blocked one, once a second.

        Behind its address there may be somebody whose token is good, and who is not to be refused for long.
        """
        known, now = self._known.get(client), self._now()
        if known is None or known.until <= now:
            return True
        if now - known.token_asked_at < _TOKEN_EVERY_S:
            return False
        known.token_asked_at = now
        return True

    def add(self, client: str, *, blocked_for_s: float, set_here_by: BlockReason | None) -> float:
        """Remember a block; the process that set it also writes its row, soon. Returns when it ends."""
        now = self._now()
        until = now + blocked_for_s
        with self._changing:
            self._known[client] = _KnownBlock(until)
            if len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
        if set_here_by is not None:
            _log.warning("Blocked %s for %.0f s: %s", client, blocked_for_s, set_here_by)
            at_ms = to_ms(self._clock())
            until_ms = at_ms + int(blocked_for_s * 1000)
            row = BlockRow(client=client, reason=set_here_by, blocked_at=at_ms, blocked_until=until_ms)
            self._unwritten.append(row)
            self._at_the_desk(self._write_rows)
        return until

    def lift(self, client: str) -> None:
        """Let a client in again, with fresh windows."""
        with self._changing:
            self._known.pop(client, None)
        self._forget(client)

    def close(self) -> None:
        """Write what is left to write, and stop."""
        with self._changing:
            desk, self._desk = self._desk, None
        if desk is not None:
            desk.shutdown(wait=True)

    def _at_the_desk(self, task: Callable[[], None]) -> "Future[None] | None":
        with self._changing:
            return None if self._desk is None else self._desk.submit(task)

    def _write_rows(self) -> None:
        unwritten = []
        while self._unwritten:
            unwritten.append(self._unwritten.popleft())
        if not unwritten:
            return
        try:
            self._database.write(lambda connection: rows.add(connection, unwritten))
        except RecordUnavailable as error:
            # They are written together with the next ones; the blocks themselves stand all the same.
            self._unwritten.extendleft(reversed(unwritten))
            self._record_errors.inc()
            _log.error("%d blocks could not be written to the database: %s", len(unwritten), error.__cause__)

    def _look_for_lifts(self, now: float) -> None:
        with self._changing:
            if now < self._next_look_at:
                return
            self._next_look_at = now + _LOOK_EVERY_S
        look = self._at_the_desk(self._apply_lifts)
        if look is not None:
            wait([look], _LONGEST_WAIT_FOR_A_LOOK_S)

    def _apply_lifts(self) -> None:
        self._write_rows()
        now_ms = to_ms(self._clock())
        # The clock may have been set back since the newest lift that was seen.
        since_ms = min(self._since_ms, now_ms) - _OVERLAP_MS
        try:
            lifts = self._database.read(
                lambda connection: rows.lifted_since(connection, since_ms=since_ms, now_ms=now_ms)
            )
        except RecordUnavailable as error:
            self._next_look_at = self._now() + _LOOK_AGAIN_AFTER_FAILURE_S
            _log.error("Could not look up which blocks were lifted: %s", error.__cause__)
            return
        for client in {lift.client for lift in lifts if lift.block_id not in self._seen_lifts}:
            self.lift(client)
            _log.info("The block of %s was lifted", client)
        self._seen_lifts = {lift.block_id for lift in lifts}
        self._since_ms = max(self._since_ms, *(lift.lifted_at for lift in lifts), 0)
