"""Sessions whose server owes the reply to a whole message, listened to when nobody waits for it any more.

Used by `delivery`. One thread and one selector serve all of them, from the first late one to the end of the process.
"""

import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from queue import Empty, SimpleQueue
from time import monotonic

import structlog

from app.model.clock import Clock
from app.model.outcome import Attempt, Late, Outcome
from app.smtp.failure import SessionFailed
from app.smtp.final_reply import FinalReply
from app.smtp.outcome import Verdict
from app.smtp.session import SMTPSession

log = structlog.get_logger(__name__)

LONGEST_WAIT_S = 600.0
"""From the final dot on: RFC 5321 section 4.5.3.2.6. Giving up earlier is what doubles mail."""
SESSIONS_LIMIT = 200
"""So many at most are listened to; each is an open file, and a connection at a server."""
_REST_OF_REPLY_S = 1.0
"""How long the rest of a reply may take once its first line is there: the others wait meanwhile."""
_STOP_S = 5.0


class LateReply:
    """The reply that one attempt lacks. Kept until somebody asks for it, should it come before that."""

    def __init__(self, final: FinalReply, attempt: Attempt, *, until: float, clock: Clock) -> None:
        self.final = final
        self.until = until
        self._attempt = attempt
        self._clock = clock
        self._lock = threading.Lock()
        self._then: Late | None = None
        self._is_over = False
        self._ended: Attempt | None = None

    def listen(self, then: Late) -> None:
        """Calls `then` once: at the end, or at once where it has come to one."""
        with self._lock:
            self._then = then
            is_over = self._is_over
        if is_over:
            then(self._ended)

    def end(self, verdict: Verdict | None) -> None:
        """The reply has come, or with None it will not come any more."""
        if verdict is not None and verdict.outcome is not Outcome.UNKNOWN:
            self._ended = self._corrected(verdict)
        with self._lock:
            self._is_over = True
            then = self._then
        if then is not None:
            then(self._ended)

    def _corrected(self, verdict: Verdict) -> Attempt:
        """The attempt, whose outcome was unknown, with what the reply came to."""
        return replace(
            self._attempt,
            outcome=verdict.outcome,
            stage=verdict.stage,
            code=verdict.code,
            enhanced_code=verdict.enhanced_code,
            detail=verdict.detail,
            refused=self.final.refused,
            deferred=self.final.deferred,
            duration_ms=round((self._clock() - self._attempt.started_at).total_seconds() * 1000),
        )


class LateReplies:
    """Listens until `close`. Thread-safe."""

    def __init__(self, *, clock: Clock, retire: Callable[[SMTPSession], None]) -> None:
        self._clock = clock
        self._retire = retire
        self._lock = threading.Lock()
        self._count = 0
        self._is_closed = False
        self._new: SimpleQueue[LateReply] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._waker: socket.socket | None = None

    def wait_for(self, final: FinalReply, attempt: Attempt) -> LateReply | None:
        """Listens to the session of an attempt from now on; it is closed at the end of that.

        None, with nothing done, where the longest wait is over, there are too many already, or the system gives no
        thread to listen in, and after `close`.
        """
        late = LateReply(final, attempt, until=final.handed_over_at + LONGEST_WAIT_S, clock=self._clock)
        if late.until <= monotonic():
            return None
        with self._lock:
            if self._is_closed or self._count >= SESSIONS_LIMIT:
                log.warning("a late reply is not listened for", smtp_id=attempt.smtp_id, listened_for=self._count)
                return None
            try:
                self._start()
            except (OSError, RuntimeError) as error:
                log.warning("a late reply is not listened for", smtp_id=attempt.smtp_id, cause=str(error))
                return None
            self._count += 1
            self._new.put(late)
            self._wake()
        return late

    def close(self) -> None:
        """No reply is listened for any more; what was late stays unknown."""
        with self._lock:
            self._is_closed = True
            thread, waker = self._thread, self._waker
            if thread is not None:
                self._wake()
            self._thread = self._waker = None
        if thread is not None and waker is not None:
            thread.join(_STOP_S)
            waker.close()

    def _start(self) -> None:
        # Not before the first late reply: a server that forks its workers must not lose the thread on the way.
        if self._thread is not None:
            return
        waker, woken = socket.socketpair()
        thread = threading.Thread(target=self._run, args=(woken,), name="smtp late replies", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            waker.close()
            woken.close()
            raise
        waker.setblocking(False)
        self._thread, self._waker = thread, waker

    def _wake(self) -> None:
        if self._waker is not None:
            # A full pair wakes as well, and a thread that has ended need not be woken.
            with suppress(OSError):
                self._waker.send(b"\0")

    def _run(self, woken: socket.socket) -> None:
        with selectors.DefaultSelector() as selector, woken:
            selector.register(woken, selectors.EVENT_READ)
            under_way: set[LateReply] = set()
            while not self._is_closed:
                self._add_new(selector, under_way)
                nearest = min((late.until for late in under_way), default=None)
                pause_s = None if nearest is None else max(0.0, nearest - monotonic())
                for key, _ in selector.select(pause_s):
                    if key.fileobj is woken:
                        woken.recv(4096)
                    elif key.data in under_way:
                        self._look(selector, under_way, key.data)
                for late in [late for late in under_way if late.until <= monotonic()]:
                    self._end(selector, under_way, late, None)
            self._add_new(selector, under_way)
            for late in list(under_way):
                self._end(selector, under_way, late, None)

    def _add_new(self, selector: selectors.BaseSelector, under_way: set[LateReply]) -> None:
        with suppress(Empty):
            while True:
                late = self._new.get_nowait()
                under_way.add(late)
                selector.register(late.final.session.fileno(), selectors.EVENT_READ, late)
                # What has come already, as far as into the TLS layer, wakes no selector.
                self._look(selector, under_way, late)

    def _look(self, selector: selectors.BaseSelector, under_way: set[LateReply], late: LateReply) -> None:
        try:
            verdict = late.final.take_late(_REST_OF_REPLY_S)
        except SessionFailed:
            self._end(selector, under_way, late, None)
        else:
            if verdict is not None:
                self._end(selector, under_way, late, verdict)

    def _end(
        self,
        selector: selectors.BaseSelector,
        under_way: set[LateReply],
        late: LateReply,
        verdict: Verdict | None,
    ) -> None:
        session = late.final.session
        selector.unregister(session.fileno())
        under_way.discard(late)
        with self._lock:
            self._count -= 1
        if session.is_reusable:
            self._retire(session)
        else:
            session.close()
        try:
            late.end(verdict)
        except Exception:
            log.exception("a late reply could not be noted", smtp_id=session.configuration.index)
