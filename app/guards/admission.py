"""What a guard answers to one request. `web` turns the verdict into a status and the figures into headers."""

from dataclasses import dataclass
from enum import StrEnum
from math import ceil


class Verdict(StrEnum):
    """Whether a request may go on."""

    ADMITTED = "admitted"
    THROTTLED = "throttled"
    """Over the throttle: this request is refused, the next window takes requests again."""
    BLOCKED = "blocked"
    """The client sent far too much: everything is refused until the block ends."""


@dataclass(frozen=True, slots=True)
class Policy:
    """One window of the throttle as clients are told of it: `limit` requests in `window_s` seconds."""

    name: str
    limit: int
    window_s: int


@dataclass(frozen=True, slots=True)
class Admission:
    """The verdict on one request with the figures right after it was counted.

    `figures` holds, for each of `policies`, the requests that are left and the seconds until there are all of them
    again. Without policies (protection turned off) the header values are empty and no header belongs in the answer. The
    form is that of draft-ietf-httpapi-ratelimit-headers-10: lists of strings with parameters (RFC 9651).
    """

    verdict: Verdict
    policies: tuple[Policy, ...] = ()
    figures: tuple[tuple[int, float], ...] = ()

    @property
    def rate_limit_policy(self) -> str:
        """The value of `RateLimit-Policy`, such as `"default";q=10;w=60`."""
        return ", ".join(f'"{policy.name}";q={policy.limit};w={policy.window_s}' for policy in self.policies)

    @property
    def rate_limit(self) -> str:
        """The value of `RateLimit`, such as `"default";r=3;t=42`; seconds are rounded up, so nobody comes too early."""
        return ", ".join(
            f'"{policy.name}";r={remaining};t={ceil(reset_s)}'
            for policy, (remaining, reset_s) in zip(self.policies, self.figures, strict=True)
        )

    @property
    def wait_s(self) -> int:
        """Whole seconds until a refused client may come again; 0 for an admitted one."""
        if self.verdict is Verdict.ADMITTED:
            return 0
        return ceil(max(reset_s for remaining, reset_s in self.figures if not remaining))
