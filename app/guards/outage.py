"""Goes on limiting when the storage is gone. Used by `gate` around windows outside this process's memory."""

import logging
import threading
from collections.abc import Callable

from prometheus_client import Counter

from app.guards.windows import Count, Spent, Windows
from app.model.clock import Seconds

_log = logging.getLogger(__name__)

PAUSE_S = 1.0
"""How long the watcher waits between two tries."""

# What is caught up with after an outage; more than that is not worth the memory, since blocks are also known locally.
_MOST_TO_CATCH_UP = 10_000


class OutageTolerantWindows:
    """Counts in `shared` while that answers, else in `local`, which holds only what came during outages.

    During an outage no request touches the shared storage, so none waits for it: a thread that lives as long as the
    outage tries to write there. Once that works, blocks that were set or lifted meanwhile are set or lifted there too.
    `now` is the clock of the local windows, `errors` what the shared ones raise when they are gone.
    """

    def __init__(
        self,
        shared: Windows,
        local: Windows,
        *,
        errors: tuple[type[Exception], ...],
        try_writing: Callable[[], object],
        limited_locally: Counter,
        now: Seconds,
    ) -> None:
        self._shared = shared
        self._local = local
        self._errors = errors
        self._try_writing = try_writing
        self._limited_locally = limited_locally
        self._now = now
        self._changing = threading.Lock()
        self._is_shared_gone = False
        self._is_closed = threading.Event()
        self._catching_up: dict[str, float | None] = {}
        """Client -> when the block ends that was set during the outage; None: lifted."""

    def count(self, client: str) -> Count:
        if not self._is_shared_gone:
            try:
                return self._shared.count(client)
            except self._errors as error:
                self._begin_outage(error)
        self._limited_locally.inc()
        count = self._local.count(client)
        if count.blocked_by is not None:
            self._catch_up_with(client, self._now() + count.blocked_for_s)
        return count

    def count_page(self, client: str) -> Count:
        if not self._is_shared_gone:
            try:
                return self._shared.count_page(client)
            except self._errors as error:
                self._begin_outage(error)
        self._limited_locally.inc()
        return self._local.count_page(client)

    def count_token(self, token: str) -> tuple[Spent, ...]:
        if not self._is_shared_gone:
            try:
                return self._shared.count_token(token)
            except self._errors as error:
                self._begin_outage(error)
        self._limited_locally.inc()
        return self._local.count_token(token)

    def block(self, client: str, seconds: float) -> None:
        self._local.block(client, seconds)
        self._catch_up_with(client, self._now() + seconds)

    def forget(self, client: str) -> None:
        """Never fails: what cannot be forgotten now is forgotten when the storage is back."""
        self._local.forget(client)
        if not self._is_shared_gone:
            try:
                self._shared.forget(client)
            except self._errors as error:
                self._begin_outage(error)
            else:
                return
        self._catch_up_with(client, None)

    def close(self) -> None:
        """End the watcher, if there is one."""
        self._is_closed.set()

    def _catch_up_with(self, client: str, blocked_until: float | None) -> None:
        with self._changing:
            if len(self._catching_up) < _MOST_TO_CATCH_UP or client in self._catching_up:
                self._catching_up[client] = blocked_until

    def _begin_outage(self, error: Exception) -> None:
        with self._changing:
            if self._is_shared_gone:
                return
            self._is_shared_gone = True
        _log.error("The limits' storage is gone, and this process limits on its own meanwhile: %s", error)
        threading.Thread(target=self._watch, name="limit-storage-watcher", daemon=True).start()

    def _watch(self) -> None:
        while not self._is_closed.wait(PAUSE_S):
            try:
                self._try_writing()
                self._catch_up()
            except self._errors:
                continue
            with self._changing:
                self._is_shared_gone = False
            _log.warning("The limits' storage is back")
            return

    def _catch_up(self) -> None:
        while self._catching_up:
            with self._changing:
                client, blocked_until = next(iter(self._catching_up.items()))
            if blocked_until is None:
                self._shared.forget(client)
            elif (seconds := blocked_until - self._now()) > 0:
                self._shared.block(client, seconds)
            with self._changing:
                if self._catching_up.get(client) == blocked_until:
                    del self._catching_up[client]
