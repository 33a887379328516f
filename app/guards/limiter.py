"""From RATE_LIMIT_STORAGE_URI to the windows that requests are counted in. Used by `gate`."""

from typing import Any, cast
from urllib.parse import urlsplit

from flask import Flask
from flask_limiter import Limiter
from limits.errors import ConfigurationError
from limits.storage import RedisStorage, Storage

from app.errors import SettingsInvalid
from app.guards.limit_storage import BoundedMemoryStorage
from app.guards.outage import OutageTolerantWindows
from app.guards.redis_windows import RedisWindows
from app.guards.rules import Rules
from app.guards.windows import LibraryWindows, Windows
from app.model.clock import Seconds, monotonic_s
from app.observability.metrics import Metrics

# A storage that takes longer is treated as gone: waiting for it would cost every request that much.
_STORAGE_TIMEOUT_S = 0.25

_KEY_PREFIX = "letterbox"

_REDIS_SCHEMES = ("redis", "rediss", "redis+unix")


def open_windows(storage_uri: str, rules: Rules, *, metrics: Metrics, now: Seconds = monotonic_s) -> Windows:
    """The windows in the storage of this URI. Raises SettingsInvalid; does not talk to the storage yet.

    `now` is the clock of what is counted in this process; Redis has its own, unless a test replaces both.
    """
    storage = _limiter(storage_uri, now=now).storage
    if not isinstance(storage, RedisStorage):
        return LibraryWindows(cast(BoundedMemoryStorage, storage), rules, now=now)
    return OutageTolerantWindows(
        RedisWindows(storage, rules, now=None if now is monotonic_s else now),
        LibraryWindows(BoundedMemoryStorage(now=now), rules, now=now),
        errors=_errors_of(storage),
        try_writing=lambda: storage.incr("PROBE/letterbox", 1),
        limited_locally=metrics.limit_storage_errors,
        now=now,
    )


def _limiter(uri: str, *, now: Seconds) -> Limiter:
    """flask-limiter on an application of its own that serves nothing.

    Its hooks would add 70 us to each request of the real application, only to find that no view has a limit. The gate
    counts in its storage directly, and so does the command line, which has no application.
    """
    scheme = urlsplit(uri).scheme
    options: dict[str, Any]
    try:
        if scheme == "memory":
            uri, options = f"{BoundedMemoryStorage.STORAGE_SCHEME[0]}://", {"now": now}
        elif scheme in _REDIS_SCHEMES:
            options = _redis_options()
        else:
            raise SettingsInvalid([_problem(uri)])
        limiter = Limiter(_no_request, storage_uri=uri, storage_options=options, strategy="fixed-window")
        limiter.init_app(Flask("letterbox-limits"))
    except (ConfigurationError, ImportError, ValueError) as error:
        raise SettingsInvalid([_problem(uri)]) from error
    return limiter


def _redis_options() -> dict[str, Any]:
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return {
        "key_prefix": _KEY_PREFIX,
        "socket_timeout": _STORAGE_TIMEOUT_S,
        "socket_connect_timeout": _STORAGE_TIMEOUT_S,
        # By itself it would try ten times with growing pauses, while the request waits.
        "retry": Retry(NoBackoff(), 0),
    }


def _errors_of(storage: Storage) -> tuple[type[Exception], ...]:
    errors = storage.base_exceptions
    return (*(errors if isinstance(errors, tuple) else (errors,)), OSError)


def _no_request() -> str:
    """flask-limiter's key function, for limits on views. There are none."""
    return ""


def _problem(uri: str) -> str:
    # Only the scheme is told, because the rest may hold a password.
    return (
        f"RATE_LIMIT_STORAGE_URI begins with {urlsplit(uri).scheme!r} and cannot be used. Expected is memory:// for "
        "one process or redis://host:6379/0 for several; that needs the package redis (pip install 'letterbox[redis]')."
    )
