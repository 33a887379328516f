"""Time as a parameter, so that tests never sleep."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the current moment, aware and in UTC."""


Seconds = Callable[[], float]
"""Returns seconds that only ever grow; what they count from means nothing."""

# Unlike CLOCK_MONOTONIC of Linux it goes on while the machine sleeps.
_SINCE_BOOT: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def monotonic_s() -> float:
    """Seconds since this machine started, whatever its wall clock is set to."""
    return time.clock_gettime(_SINCE_BOOT)


def utc_now() -> datetime:
    """The real clock."""
    return datetime.now(UTC)
