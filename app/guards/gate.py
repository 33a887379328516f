"""The gate that every counted request passes: one client's throttle, burst, excess and blocks, or one token's throttle.

`web` asks it before anything of a request is read; `cli` lists and lifts blocks with it. `build_gate` wires it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from app.guards.admission import Admission, Policy, Verdict
from app.guards.blocks import KnownBlocks
from app.guards.client_address import typed_client_key
from app.guards.limiter import open_windows
from app.guards.rules import BlockReason, Rules, Window
from app.guards.windows import Count, Spent, Windows
from app.model.clock import Clock, Seconds, monotonic_s, utc_now
from app.observability.metrics import Metrics
from app.settings import GuardSettings
from app.storage import blocks as block_rows
from app.storage.database import Database
from app.storage.times import from_ms, to_ms

_ADMITTED_WITHOUT_LIMIT = Admission(Verdict.ADMITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A standing block as an operator sees it."""

    client: str
    reason: BlockReason
    blocked_at: datetime
    blocked_until: datetime


class Gate:
    """One per process. Its methods may be called by any thread."""

    def __init__(
        self,
        rules: Rules,
        *,
        is_enabled: bool,
        windows: Windows,
        blocks: KnownBlocks,
        database: Database,
        metrics: Metrics,
        clock: Clock,
        now: Seconds,
    ) -> None:
        self._rules = rules
        self._is_enabled = is_enabled
        self._windows = windows
        self._blocks = blocks
        self._database = database
        self._clock = clock
        self._now = now
        self._policies = _policies(rules.throttles)
        self._page_policies = _policies(rules.page_throttles, prefix="page-")
        self._token_policies = _policies(rules.token_throttles)
        self._throttled = metrics.refusals.labels(guard="throttle")
        self._token_throttled = metrics.refusals.labels(guard="token")
        self._blocked = metrics.refusals.labels(guard="block")

    def admit(self, client: str) -> Admission:
        """Count one request of a client (a key of `client_address.client_key`) and decide on it.

        A blocked client's request is not counted and costs one look-up.
        """
        return self._admit(client, self._windows.count, self._rules.throttles, self._policies)

    def admit_page(self, client: str) -> Admission:
        """The same for what is only looked at, which has a budget of its own and never leads to a block."""
        return self._admit(client, self._windows.count_page, self._rules.page_throttles, self._page_policies)

    def is_known_to_be_blocked(self, client: str) -> bool:
        """Whether `admit` would refuse a client without asking the storage; nothing is counted."""
        return self._is_enabled and self._blocks.until(client) is not None

    def may_ask_for_token(self, client: str) -> bool:
        """Whether a token that this client shows, and nobody remembers, may be looked up in the database."""
        return not self._is_enabled or self._blocks.may_ask_for_token(client)

    def _admit(
        self, client: str, count_in: Callable[[str], Count], windows: tuple[Window, ...], policies: tuple[Policy, ...]
    ) -> Admission:
        if not self._is_enabled:
            return _ADMITTED_WITHOUT_LIMIT
        until = self._blocks.until(client)
        if until is None:
            count = count_in(client)
            if not count.blocked_for_s:
                admission = _throttle(count.spent, windows, policies)
                if admission.verdict is Verdict.THROTTLED:
                    self._throttled.inc()
                return admission
            until = self._blocks.add(client, blocked_for_s=count.blocked_for_s, set_here_by=count.blocked_by)
        self._blocked.inc()
        # Nothing is left of any budget until the block ends.
        wait_s = max(0.0, until - self._now())
        return Admission(Verdict.BLOCKED, policies, ((0, wait_s),) * len(policies))

    def admit_token(self, token_id: int) -> Admission:
        """Count one request with a valid access token and decide on it: admitted or throttled, never blocked."""
        if not self._is_enabled:
            return _ADMITTED_WITHOUT_LIMIT
        spent = self._windows.count_token(str(token_id))
        admission = _throttle(spent, self._rules.token_throttles, self._token_policies)
        if admission.verdict is Verdict.THROTTLED:
            self._token_throttled.inc()
        return admission

    def remember_blocks(self) -> None:
        """Know the blocks that stood before this process started, so that a restart frees nobody.

        They are stored by the wall clock, which may have been set back since: none stands longer than it was set for.
        """
        now = self._clock()
        for block in self.list_blocks():
            blocked_for_s = (block.blocked_until - max(now, block.blocked_at)).total_seconds()
            self._blocks.add(block.client, blocked_for_s=blocked_for_s, set_here_by=None)

    def list_blocks(self) -> list[Block]:
        """The blocks of all processes that stand now, the newest first. Raises RecordUnavailable."""
        now_ms = to_ms(self._clock())
        return [
            Block(
                client=row.client,
                reason=BlockReason(row.reason),
                blocked_at=from_ms(row.blocked_at),
                blocked_until=from_ms(row.blocked_until),
            )
            for row in self._database.read(lambda connection: block_rows.standing(connection, now_ms=now_ms))
        ]

    def lift(self, address: str) -> bool:
        """Lift the block of an address (or client key); False when none was on record.

        Processes that share the storage let the client in at once, others when they next look for lifted blocks.
        Raises ValueError when `address` is none, RecordUnavailable when the database does not take it.
        """
        client = typed_client_key(address)
        now_ms = to_ms(self._clock())
        lifted = self._database.write(lambda connection: block_rows.lift(connection, client=client, now_ms=now_ms))
        self._blocks.lift(client)
        return lifted > 0

    def close(self) -> None:
        """Finish what is being written and stop the threads."""
        self._blocks.close()
        self._windows.close()


def build_gate(
    settings: GuardSettings,
    *,
    database: Database,
    metrics: Metrics,
    clock: Clock = utc_now,
    now: Seconds = monotonic_s,
) -> Gate:
    """The gate as the settings want it. Raises SettingsInvalid; does not talk to the storage yet.

    Windows and blocks go by `now`; `clock` says when a block was set, for operators.
    """
    rules = Rules.of(settings)
    windows = open_windows(settings.storage_uri, rules, metrics=metrics, now=now)
    blocks = KnownBlocks(
        database=database,
        record_errors=metrics.record_errors,
        forget=windows.forget,
        clock=clock,
        now=now,
        longest_block_s=max(rules.block_s.values()),
    )
    return Gate(
        rules,
        is_enabled=settings.rate_limit_enabled,
        windows=windows,
        blocks=blocks,
        database=database,
        metrics=metrics,
        clock=clock,
        now=now,
    )


def _throttle(spent: tuple[Spent, ...], windows: tuple[Window, ...], policies: tuple[Policy, ...]) -> Admission:
    verdict = Verdict.ADMITTED
    figures = []
    for window, (requests, ends_in_s) in zip(windows, spent, strict=True):
        if requests > window.limit:
            verdict = Verdict.THROTTLED
        figures.append((max(0, window.limit - requests), ends_in_s))
    return Admission(verdict, policies, tuple(figures))


def _policies(windows: tuple[Window, ...], *, prefix: str = "") -> tuple[Policy, ...]:
    """A throttle's windows by name: `default` when it is only one, else such as `100-per-3600-s`."""
    return tuple(
        Policy(
            f"{prefix}{'default' if len(windows) == 1 else f'{window.limit}-per-{window.seconds}-s'}",
            window.limit,
            window.seconds,
        )
        for window in windows
    )
