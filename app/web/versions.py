"""API versions: one mechanism that turns every way of naming a version into one canonical path, before routing.

A view never hears of versions: it is registered under `/api/v1/...` (or `/api/v2/...`), and the routes themselves say
which versions a resource has. Spec: email-api, section 1.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

import structlog
from werkzeug.routing import Rule

from app.web.current import current_request

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = structlog.get_logger(__name__)

_MOST_PATHS_REMEMBERED = 1024
_LONGEST_PATH_REMEMBERED = 200

_ENVIRON_KEY = "letterbox.api_call"
_VERSION = re.compile(r"(0|[1-9][0-9]{0,3})(?:\.(0|[1-9][0-9]{0,3}))?")
_OPTIONAL_WHITE_SPACE = " \t"
"""Around the value of a header field (RFC 9110, section 5.6.3)."""
_ROUTE = re.compile(r"/api/v(?P<version>[0-9.]+)/(?P<resource>[^/]+)")


class VersionSource(StrEnum):
    """Where the client named the version; the values are what `versiontest` answers."""

    URL = "URL Path"
    QUERY = "Query String"
    HEADER = "Header"


@dataclass(frozen=True, slots=True, kw_only=True)
class APICall:
    """What the path of a request under `/api` means.

    `requested` is the version as the client wrote it, empty when none was named. `version` is its normal form, None
    when the resource does not have it. `supported` are the versions of the resource, or all that exist when it is
    not a known one.
    """

    resource: str
    is_known: bool
    requested: str
    source: VersionSource | None
    version: str | None
    supported: tuple[str, ...]


def supported_versions(rules: Iterable[Rule]) -> dict[str, tuple[str, ...]]:
    """Resource -> its versions in ascending order, read off the routes."""
    found: dict[str, set[tuple[int, int]]] = {}
    for rule in rules:
        match = _ROUTE.match(rule.rule)
        if match and (version := _parse(match["version"])):
            found.setdefault(match["resource"], set()).add(version)
    return {
        resource: tuple(f"{major}.{minor}" for major, minor in sorted(versions)) for resource, versions in found.items()
    }


class VersionNegotiation:
    """WSGI middleware: reads the version of a request under `/api` and rewrites its path to the canonical one.

    Refusals are left to `web.door`, because the guards come first. Slashes are merged, a trailing one is dropped, and
    `/api`, version and resource are matched without case, so that what is counted is also what is routed.
    """

    def __init__(self, application: "WSGIApplication", supported: Mapping[str, tuple[str, ...]]) -> None:
        self._application = application
        self._supported = supported
        self._everything = tuple(sorted({version for versions in supported.values() for version in versions}))
        # Reading a path takes 4 us, and most requests have the one of those before them and nothing else to read.
        self._remembered = lru_cache(_MOST_PATHS_REMEMBERED)(lambda path: self._read(path, {}))

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        may_name_it = "HTTP_X_VERSION" in environ or environ.get("QUERY_STRING")
        if may_name_it or len(path) > _LONGEST_PATH_REMEMBERED:
            read = self._read(path, environ)
        else:
            read = self._remembered(path)
        if read is not None:
            environ[_ENVIRON_KEY], environ["PATH_INFO"] = read
        return self._application(environ, start_response)

    def _read(self, path: str, environ: "WSGIEnvironment") -> tuple[APICall, str] | None:
        """What the path means and its canonical form; None outside `/api`. `environ` may name the version as well."""
        segments = [segment for segment in path.split("/") if segment]
        if not segments or segments[0].lower() != "api":
            return None
        segments = segments[1:]
        requested, source = "", None
        head = segments[0].lower() if segments else ""
        if head.startswith("v") and head not in self._supported:
            # WSGI has the path's octets as characters; the client wrote UTF-8.
            named = segments[0][1:].encode("latin-1", "replace").decode("utf-8", "replace")
            requested, source = named, VersionSource.URL
            segments = segments[1:]
        if not requested:
            requested, source = _named_outside_the_path(environ)
        resource = segments[0].lower() if segments else ""
        supported = self._supported.get(resource, ())
        version = _normalise(requested)
        if version not in supported:
            version = None
        call = APICall(
            resource=resource,
            is_known=bool(supported),
            requested=requested,
            source=source,
            version=version,
            supported=supported or self._everything,
        )
        if version:
            return call, "/".join(("", "api", _segment(version), resource, *segments[1:]))
        return call, "/".join(("", "api", *segments))


def api_call() -> APICall | None:
    """The meaning of the current request's path; None outside `/api`."""
    call: APICall | None = current_request().environ.get(_ENVIRON_KEY)
    return call


def location_of(resource: str, identifier: str) -> str:
    """The path of one item, in the form in which the client named the version of its own request."""
    call, root = api_call(), current_request().environ.get("SCRIPT_NAME", "")
    if call is None or call.version is None or call.source is VersionSource.URL:
        version = call.version if call and call.version else "1.0"
        return f"{root}/api/{_segment(version)}/{resource}/{identifier}"
    return f"{root}/api/{resource}/{identifier}?api-version={call.version}"


def page_of(resource: str, **changes: str) -> str:
    """The path and query of another page of the current request's collection, in the form that the client used.

    The query is the request's, with `changes` in place of the parameters of those names (matched without case).
    """
    call, root = api_call(), current_request().environ.get("SCRIPT_NAME", "")
    replaced = {name.lower() for name in changes} | {"api-version"}
    kept = [(name, value) for name, value in current_request().args.items(multi=True) if name.lower() not in replaced]
    if call is None or call.version is None or call.source is VersionSource.URL:
        version = call.version if call and call.version else "1.0"
        return f"{root}/api/{_segment(version)}/{resource}?{urlencode([*kept, *changes.items()])}"
    return f"{root}/api/{resource}?{urlencode([('api-version', call.version), *kept, *changes.items()])}"


def _named_outside_the_path(environ: "WSGIEnvironment") -> tuple[str, VersionSource | None]:
    header = environ.get("HTTP_X_VERSION", "").strip(_OPTIONAL_WHITE_SPACE)
    query = ""
    query_string = environ.get("QUERY_STRING", "")
    if "api-version" in query_string.lower():
        named = (value for name, value in parse_qsl(query_string) if name.lower() == "api-version")
        # As it was written: what is only like a version is none, and another program may read it as another one.
        query = next((value for value in named if value), "")
    if query:
        if header and _normalise(header) != _normalise(query):
            log.warning("the query names another API version than the header; the query decides")
        return query, VersionSource.QUERY
    return (header, VersionSource.HEADER) if header else ("", None)


def _parse(text: str) -> tuple[int, int] | None:
    match = _VERSION.fullmatch(text)
    return (int(match[1]), int(match[2] or 0)) if match else None


def _normalise(text: str) -> str | None:
    version = _parse(text)
    return f"{version[0]}.{version[1]}" if version else None


def _segment(version: str) -> str:
    return "v" + version.removesuffix(".0")
