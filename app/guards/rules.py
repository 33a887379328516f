"""The numbers of the abuse protection as windows of the limits library. Used by the windows and by `gate`."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from limits import RateLimitItem, RateLimitItemPerSecond, parse_many

from app.errors import SettingsInvalid
from app.settings import GuardSettings


class BlockReason(StrEnum):
    """Which rule blocked a client; the value is what the table `blocks` holds."""

    BURST = "burst"
    """Too many requests within seconds."""
    EXCESS = "excess"
    """Too many requests within minutes."""


class Window:
    """One limit: at most `limit` requests within `seconds`. Its keys are the library's (`RateLimitItem.key_for`)."""

    __slots__ = ("_before", "_behind", "limit", "seconds")

    def __init__(self, item: RateLimitItem) -> None:
        self.limit = item.amount
        self.seconds = item.get_expiry()
        # Building a key with `key_for` costs more than counting in it, so it is done once, around a gap.
        self._before, self._behind = item.key_for("\0").split("\0")

    def key(self, client: str) -> str:
        return f"{self._before}{client}{self._behind}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the windows of one client and of one access token are, and what follows when one is full.

    `throttles` are for what sends, `page_throttles` for what is only looked at. The windows of all throttles are fixed,
    burst and excess move. Those two hold one request less than what blocks, because the request that reaches the
    threshold is the first one they do not take.
    """

    throttles: tuple[Window, ...]
    page_throttles: tuple[Window, ...]
    burst: Window
    excess: Window
    token_throttles: tuple[Window, ...]
    block_s: dict[BlockReason, int]

    @classmethod
    def of(cls, settings: GuardSettings) -> Self:
        """Raises SettingsInvalid when RATE_LIMIT, PAGE_RATE_LIMIT or TOKEN_RATE_LIMIT cannot be read."""
        throttles = _parse("RATE_LIMIT", settings.rate_limit)
        page_throttles = _parse("PAGE_RATE_LIMIT", settings.page_rate_limit)
        token_throttles = _parse("TOKEN_RATE_LIMIT", settings.token_rate_limit)
        return cls(
            throttles=tuple(Window(item) for item in throttles),
            page_throttles=_windows(page_throttles, namespace="PAGE"),
            burst=Window(RateLimitItemPerSecond(settings.burst_limit - 1, settings.burst_window_s, "BURST")),
            excess=Window(RateLimitItemPerSecond(settings.excess_limit, settings.excess_window_s, "EXCESS")),
            # In a namespace of their own, so that a flood of addresses pushes none of them out of a bounded storage.
            token_throttles=_windows(token_throttles, namespace="TOKEN"),
            block_s={BlockReason.BURST: settings.burst_block_s, BlockReason.EXCESS: settings.excess_block_s},
        )

    def block_of(self, *, is_burst: bool, is_excess: bool) -> BlockReason:
        """The reason that blocks longer, when both rules are broken at once."""
        if is_burst and is_excess:
            return max(self.block_s, key=self.block_s.__getitem__)
        return BlockReason.BURST if is_burst else BlockReason.EXCESS

    def keys(self, client: str) -> tuple[str, ...]:
        """Every key that the storage may hold for a client, the block's first."""
        windows = (*self.throttles, *self.page_throttles, self.burst, self.excess)
        return (block_key(client), *(window.key(client) for window in windows))


def _windows(items: list[RateLimitItem], *, namespace: str) -> tuple[Window, ...]:
    return tuple(Window(type(item)(item.amount, item.multiples, namespace=namespace)) for item in items)


def _parse(variable: str, text: str) -> list[RateLimitItem]:
    try:
        return parse_many(text)
    except ValueError as error:
        raise SettingsInvalid(
            [f"{variable} is {text!r}, but must read like '10 per minute' or '10/minute;100/hour'."]
        ) from error


def block_key(client: str) -> str:
    """A block is a counter in the storage: whoever counts 1 in it has set the block, and it lives as long."""
    return f"BLOCK/{client}"
