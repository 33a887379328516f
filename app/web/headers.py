"""The headers of every answer: CORS for the allowed origins, security, the request's id, the limits' figures.

The outermost layer, so that errors and refusals carry them too and a form's script can read them.
"""

import re
from secrets import token_hex

import structlog
from flask import Flask, Request, Response, current_app

from app.model.origin import is_local
from app.settings import Settings
from app.web.current import current_globals, current_request
from app.web.surfaces import Surface, surface
from app.web.versions import api_call

EXPOSED_HEADERS = (
    "Idempotency-Replayed, Link, Location, Preference-Applied, RateLimit, RateLimit-Policy, Retry-After, X-Request-ID, "
    "api-supported-versions"
)
_PREFLIGHT_HEADERS = (
    ("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, OPTIONS"),
    ("Access-Control-Max-Age", "600"),
)
_REQUEST_HEADERS = ("Authorization", "Content-Type", "Idempotency-Key", "Prefer", "X-Request-ID", "X-Version")
"""What the documentation names; a page may send more, because libraries add headers of their own."""
_NOT_FOR_FORMS = frozenset({"authorization", "cookie"})
"""There is nothing behind `/forms` that they would open."""
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_LONGEST_LIST = 2048
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ALWAYS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
)
_UNLESS_THE_PAGE_SAYS = (
    ("X-Frame-Options", "DENY"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
)
_OF_DATA = (*_ALWAYS, *_UNLESS_THE_PAGE_SAYS, ("Cache-Control", "no-store"))


def register(app: Flask, settings: Settings) -> None:
    """Name the request before anything else, answer preflights, and dress every response."""
    allowed = frozenset(settings.cors_origins)

    @app.before_request
    def open_request() -> Response | None:
        request, g = current_request(), current_globals()
        named = request.environ.get("HTTP_X_REQUEST_ID", "")
        g.request_id = named if _REQUEST_ID.fullmatch(named) else token_hex(8)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(trace_id=g.request_id)
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            # A preflight asks before the real request; it names no version and counts against no budget.
            g.is_preflight = True
            return current_app.response_class(status=204)
        return None

    @app.after_request
    def dress(response: Response) -> Response:
        request, g = current_request(), current_globals()
        headers = [("X-Request-ID", g.request_id)]
        if request.is_secure:
            headers.append(("Strict-Transport-Security", "max-age=31536000"))
        if call := api_call():
            headers.append(("api-supported-versions", ", ".join(call.supported)))
        if admission := g.get("admission"):
            headers.append(("RateLimit-Policy", admission.rate_limit_policy))
            headers.append(("RateLimit", admission.rate_limit))
        origin = request.environ.get("HTTP_ORIGIN")
        # A form knows the pages that it stands in.
        if origin is not None and (is_allowed_origin(origin, allowed) or origin in g.get("form_origins", ())):
            headers.append(("Access-Control-Allow-Origin", origin))
            headers.append(("Access-Control-Expose-Headers", EXPOSED_HEADERS))
            if "is_preflight" in g:
                headers.extend(_PREFLIGHT_HEADERS)
                headers.append(("Access-Control-Allow-Headers", _allowed_headers(request)))
        if surface() in (Surface.PAGES, Surface.FORMS):
            response.headers.update((*headers, *_ALWAYS))
            for name, value in _UNLESS_THE_PAGE_SAYS:
                response.headers.setdefault(name, value)
        else:
            # Adding them takes 5 us and setting them 50, because each is looked for among the others. No view of data
            # says any of these itself.
            response.headers.extend((*headers, *_OF_DATA))
        response.headers.add("Vary", "Origin, Access-Control-Request-Headers" if "is_preflight" in g else "Origin")
        return response


def _allowed_headers(request: Request) -> str:
    """What a preflight may hear: every name that is one (RFC 9110, section 5.1), besides those that are documented."""
    where = surface()
    names = {name.lower(): name for name in _REQUEST_HEADERS}
    asked = request.environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")
    if where in (Surface.API, Surface.FORMS) and len(asked) <= _LONGEST_LIST:
        for name in map(str.strip, asked.split(",")):
            if _HEADER_NAME.fullmatch(name):
                names.setdefault(name.lower(), name)
    if where is Surface.FORMS:
        names = {lower: name for lower, name in names.items() if lower not in _NOT_FOR_FORMS}
    return ", ".join(names.values())


def is_allowed_origin(origin: str, allowed: frozenset[str]) -> bool:
    """True for an allowed origin, compared exactly, and for this machine's own pages on any port."""
    return origin in allowed or is_local(origin)
