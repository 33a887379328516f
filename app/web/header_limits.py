"""How much a request's head may hold, looked at before anything in it is parsed (spec: abuse protection).

Parsing a header into its elements costs a hundred times what receiving it costs, so a few kilobytes of `Accept` would
keep a processor busy. What is left of a blocked client's request is parsed within microseconds.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from werkzeug.exceptions import HTTPException, RequestHeaderFieldsTooLarge, RequestURITooLarge

from app.guards.client_address import client_key
from app.guards.gate import Gate
from app.settings import GuardSettings
from app.web.current import current_request

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

MOST_OCTETS = 32 * 1024
"""Of all header fields together; more is 431."""
LONGEST_TARGET = 8 * 1024
"""Octets of path and query; more is 414."""
LONGEST_LIST = 2 * 1024
"""Octets of one field that is parsed into elements; a longer one is treated as absent."""
_LONGEST_LIST_OF_A_BLOCKED_CLIENT = 256
"""What browsers send is shorter, so that a visitor is told in a language that they read."""

_LISTS = (
    "CONTENT_TYPE",
    *(
        f"HTTP_{name}"
        for name in (
            "ACCEPT",
            "ACCEPT_CHARSET",
            "ACCEPT_ENCODING",
            "ACCEPT_LANGUAGE",
            "ACCESS_CONTROL_REQUEST_HEADERS",
            "CACHE_CONTROL",
            "CONTENT_ENCODING",
            "COOKIE",
            "IF_MATCH",
            "IF_MODIFIED_SINCE",
            "IF_NONE_MATCH",
            "IF_RANGE",
            "IF_UNMODIFIED_SINCE",
            "PREFER",
            "RANGE",
            "X_FORWARDED_HOST",
            "X_FORWARDED_PREFIX",
            "X_FORWARDED_PROTO",
        )
    ),
)
_ADDRESSES = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR")
"""They say who the client is; without them it is the proxy that sent them."""
_KEPT = frozenset({"HTTP_HOST", "HTTP_ORIGIN", *_ADDRESSES})
"""Of a head that is too large: what decides whom it is counted for, and who may read the answer."""
_TOO_LARGE = "letterbox.too_large"


class HeaderLimits:
    """WSGI middleware around everything else.

    What is too large is answered by `demand_small_head`, once it has been counted.
    """

    def __init__(self, application: "WSGIApplication", guards: GuardSettings, gate: Gate) -> None:
        self._application = application
        self._gate = gate
        self._trusted_proxies = guards.trusted_proxies

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if len(environ["PATH_INFO"]) + len(environ.get("QUERY_STRING", "")) > LONGEST_TARGET:
            environ[_TOO_LARGE] = RequestURITooLarge
            environ["PATH_INFO"] = environ["PATH_INFO"][:_LONGEST_LIST_OF_A_BLOCKED_CLIENT]
            environ["QUERY_STRING"] = ""
        _drop_longer(_LISTS, environ, LONGEST_LIST)
        _drop_longer(_ADDRESSES, environ, LONGEST_LIST)
        if _octets(environ) > MOST_OCTETS:
            environ[_TOO_LARGE] = RequestHeaderFieldsTooLarge
            for name in [name for name in environ if name.startswith("HTTP_") and name not in _KEPT]:
                del environ[name]
        if self._gate.is_known_to_be_blocked(self._client(environ)):
            _drop_longer(_LISTS, environ, _LONGEST_LIST_OF_A_BLOCKED_CLIENT)
        return self._application(environ, start_response)

    def _client(self, environ: "WSGIEnvironment") -> str:
        return client_key(
            environ.get("REMOTE_ADDR", ""), environ.get("HTTP_X_FORWARDED_FOR", ""), self._trusted_proxies
        )


def demand_small_head() -> None:
    """Raises RequestURITooLarge and RequestHeaderFieldsTooLarge for the current request."""
    too_large: type[HTTPException] | None = current_request().environ.get(_TOO_LARGE)
    if too_large is not None:
        raise too_large


def _octets(environ: "WSGIEnvironment") -> int:
    """Of the header fields as they came: name, colon, space, value and line end."""
    return sum(len(name) - 1 + len(value) for name, value in environ.items() if name.startswith("HTTP_"))


def _drop_longer(names: Sequence[str], environ: "WSGIEnvironment", longest: int) -> None:
    for name in names:
        if len(environ.get(name, "")) > longest:
            del environ[name]
