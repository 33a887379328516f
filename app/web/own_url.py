"""Where this service is for browsers: scheme, host and path prefix, told by PUBLIC_URL, a trusted proxy or `Host`.

`OwnAddress` writes it into the WSGI environ before anything else reads that, so `url_for`, `request.host`,
`request.is_secure` and `request.script_root` are the browser's everywhere. Spec: configuration.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Flask, request

from app.guards.client_address import Network, parse_address
from app.model.origin import is_local, origin_of
from app.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?", re.ASCII)
_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+){1,20}", re.ASCII)
_PAIR = re.compile(r'\s*([A-Za-z]+)=("(?:[^"\\]|\\.)*"|[^\s;,"]*)\s*(;|,|\Z)')
"""One pair of a `Forwarded` header, and what follows it: another one, the next hop, or the end."""
_LONGEST_HEADER = 2048
_TELLING = ("HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_FORWARDED", "HTTP_X_FORWARDED_PREFIX")
_ASKED_HOST = "letterbox.asked_host"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What a setting or a proxy says; None and empty where it does not."""

    scheme: str | None = None
    host: str | None = None
    prefix: str = ""


class OwnAddress:
    """WSGI middleware: puts the browser's address of the service in place of what the server sees.

    A prefix is taken off the path when the proxy has left it there. `own_segments` are the first segments of all
    routes: where a prefix is called like one of them, it is only taken off when a route follows.
    """

    def __init__(self, application: "WSGIApplication", settings: Settings, *, own_segments: Collection[str]) -> None:
        self._application = application
        self._proxies = settings.guards.trusted_proxies
        self._own_segments = own_segments
        self._public: _Told | None = None
        if settings.public_url is not None:
            parts = urlsplit(settings.public_url)
            self._public = _Told(scheme=parts.scheme, host=parts.netloc, prefix=parts.path)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        is_proxy = _is_trusted(environ.get("REMOTE_ADDR", ""), self._proxies)
        told = self._public or (_told_by_proxy(environ, self._proxies) if is_proxy else None)
        environ[_ASKED_HOST] = None if is_proxy and told and told.host else environ.get("HTTP_HOST", "")
        if told is not None:
            environ["wsgi.url_scheme"] = told.scheme or environ["wsgi.url_scheme"]
            environ["HTTP_HOST"] = told.host or environ.get("HTTP_HOST", "")
            self._mount(environ, told.prefix)
        return self._application(environ, start_response)

    def _mount(self, environ: "WSGIEnvironment", prefix: str) -> None:
        if not prefix:
            return
        environ["SCRIPT_NAME"] = prefix
        path = environ.get("PATH_INFO", "")
        if path != prefix and not path.startswith(f"{prefix}/"):
            return
        rest = path[len(prefix) :] or "/"
        if _first(prefix) not in self._own_segments or _first(rest) in self._own_segments:
            environ["PATH_INFO"] = rest


def register(app: Flask, settings: Settings) -> None:
    """Called last, when all routes are known: it is the outermost."""
    if settings.public_url is not None or settings.guards.trusted_proxies:
        segments = frozenset(_first(rule.rule) for rule in app.url_map.iter_rules())
        app.wsgi_app = OwnAddress(app.wsgi_app, settings, own_segments=segments)  # type: ignore[method-assign]


def own_url(settings: Settings) -> str:
    """Scheme, host and prefix as the reader's browser used them, without a slash at the end.

    It ends up in a shell or in the code of a page, so a `Host` that is more than a name and a port is not repeated.
    """
    return f"{_own_origin(settings)}{request.script_root}"


def asked_host() -> str | None:
    """The host that the client wrote into `Host`; None where a trusted proxy vouches for the name that was used."""
    named: str | None = request.environ.get(_ASKED_HOST, request.host)
    return named


def own_origins(settings: Settings) -> frozenset[str]:
    """The origins that this service's own pages have in a browser.

    Without PUBLIC_URL either scheme: a proxy that ended TLS may not have said so. With it, that one alone, and those of
    this machine while it is none of production.
    """
    if settings.public_url is None:
        host = _own_host(settings)
        return frozenset({f"http://{host}", f"https://{host}"})
    origins = {_own_origin(settings)}
    if not settings.is_production and is_local(asked := f"http://{asked_host()}"):
        origins.add(asked)
    return frozenset(origins)


def page_origin(settings: Settings) -> str:
    """The origin of this service as the browser of the current request sees it.

    `Sec-Fetch-Site: same-origin` is a browser's word for it that no page can put there, and sent over TLS and on this
    machine alone, so it holds where a proxy has replaced `Host` and nobody said by what.
    """
    claimed = request.headers.get("Origin") or origin_of(request.headers.get("Referer", ""))
    if claimed in own_origins(settings):
        return claimed
    is_same = settings.public_url is None and request.headers.get("Sec-Fetch-Site") == "same-origin"
    return claimed if is_same and claimed and origin_of(claimed) == claimed else _own_origin(settings)


def _own_origin(settings: Settings) -> str:
    return f"{'https' if request.is_secure else 'http'}://{_own_host(settings)}"


def _own_host(settings: Settings) -> str:
    return request.host if _HOST.fullmatch(request.host) else f"{settings.host}:{settings.port}"


def _first(path: str) -> str:
    return path.lstrip("/").partition("/")[0].lower()


def _is_trusted(peer: str, proxies: Sequence[Network]) -> bool:
    address = parse_address(peer)
    return address is not None and any(address in network for network in proxies)


def _told_by_proxy(environ: "WSGIEnvironment", proxies: Sequence[Network]) -> _Told | None:
    """What the proxies have written into their headers.

    Of a list the last entry counts, which the nearest one wrote. Where `Forwarded` and `X-Forwarded-*` disagree, one of
    the two came from the client, and neither counts.
    """
    if not any(key in environ for key in _TELLING):
        return None
    hosts, schemes = _forwarded(environ.get("HTTP_FORWARDED", ""), proxies)
    if host := _last(environ, "HTTP_X_FORWARDED_HOST"):
        hosts.add(host.lower())
    if scheme := _last(environ, "HTTP_X_FORWARDED_PROTO"):
        schemes.add(scheme.lower())
    host = hosts.pop() if len(hosts) == 1 else ""
    scheme = schemes.pop() if len(schemes) == 1 else ""
    prefix = _last(environ, "HTTP_X_FORWARDED_PREFIX").rstrip("/")
    return _Told(
        scheme=scheme if scheme in ("http", "https") else None,
        host=host if _HOST.fullmatch(host) else None,
        prefix=prefix if _PREFIX.fullmatch(prefix) else "",
    )


def _last(environ: "WSGIEnvironment", key: str) -> str:
    value: str = environ.get(key, "")
    return value.rpartition(",")[2].strip() if len(value) <= _LONGEST_HEADER else ""


def _forwarded(header: str, proxies: Sequence[Network]) -> tuple[set[str], set[str]]:
    """`host` and `proto` of a `Forwarded` header (RFC 7239), as the farthest trusted proxy wrote them; else empty."""
    if not header or len(header) > _LONGEST_HEADER:
        return set(), set()
    hops: list[dict[str, str]] = [{}]
    place = 0
    while place < len(header):
        match = _PAIR.match(header, place)
        if match is None:
            return set(), set()
        value = re.sub(r"\\(.)", r"\1", match[2][1:-1]) if match[2].startswith('"') else match[2]
        hops[-1][match[1].lower()] = value
        if match[3] == ",":
            hops.append({})
        place = match.end()
    hop = hops.pop()
    # Its writer names whom it heard; if that is a trusted proxy, the entry before it can be believed as well.
    while hops and _is_trusted(hop.get("for", ""), proxies):
        hop = hops.pop()
    host, scheme = hop.get("host", "").lower(), hop.get("proto", "").lower()
    return {host} if host else set(), {scheme} if scheme else set()
