"""The headers of every answer: CORS for the allowed origins, security, the request's id, the limits' figures.

The outermost layer, so that errors and refusals carry them too and a form's script can read them.
"""

import re
from collections.abc import Sequence
from secrets import token_hex
from urllib.parse import urlsplit

import structlog
from flask import Flask, Response, current_app, g, request

from app.guards.client_address import Network, parse_address
from app.settings import Settings
from app.web.surfaces import Surface, surface
from app.web.versions import api_call

EXPOSED_HEADERS = (
    "Idempotency-Replayed, Link, Location, Preference-Applied, RateLimit, RateLimit-Policy, Retry-After, X-Request-ID, "
    "api-supported-versions"
)
_PREFLIGHT_HEADERS = (
    ("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, OPTIONS"),
    ("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, Prefer, X-Request-ID, X-Version"),
    ("Access-Control-Max-Age", "600"),
)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LOCAL_HOSTS = ("localhost", "127.0.0.1")
_DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"


def register(app: Flask, settings: Settings) -> None:
    """Name the request before anything else, answer preflights, and dress every response."""
    allowed = frozenset(settings.cors_origins)

    @app.before_request
    def open_request() -> Response | None:
        named = request.headers.get("X-Request-ID", "")
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
        headers = response.headers
        headers["X-Request-ID"] = g.request_id
        headers["X-Content-Type-Options"] = "nosniff"
        headers.setdefault("X-Frame-Options", "DENY")
        headers["Referrer-Policy"] = "strict-origin-when-cross-origin"
        headers.setdefault("Content-Security-Policy", _DATA_POLICY)
        if _is_encrypted(settings.guards.trusted_proxies):
            headers["Strict-Transport-Security"] = "max-age=31536000"
        if call := api_call():
            headers["api-supported-versions"] = ", ".join(call.supported)
        if surface() is not Surface.PAGES:
            headers["Cache-Control"] = "no-store"
        if admission := g.get("admission"):
            headers["RateLimit-Policy"] = admission.rate_limit_policy
            headers["RateLimit"] = admission.rate_limit
        headers.add("Vary", "Origin")
        origin = request.headers.get("Origin")
        if origin is not None and is_allowed_origin(origin, allowed):
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
            if g.get("is_preflight"):
                headers.extend(_PREFLIGHT_HEADERS)
        return response


def _is_encrypted(trusted_proxies: Sequence[Network]) -> bool:
    """Whether the browser's own connection is TLS, be it to a trusted proxy that says so."""
    if request.is_secure or request.headers.get("X-Forwarded-Proto") != "https":
        return request.is_secure
    peer = parse_address(request.environ.get("REMOTE_ADDR", ""))
    return peer is not None and any(peer in network for network in trusted_proxies)


def is_allowed_origin(origin: str, allowed: frozenset[str]) -> bool:
    """True for an allowed origin, compared exactly, and for this machine's own pages on any port."""
    if origin in allowed:
        return True
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or parts.hostname not in _LOCAL_HOSTS:
        return False
    # Compared with what a browser would send, so that user names, paths and odd spellings do not slip through.
    return origin == f"{parts.scheme}://{parts.hostname}" + (f":{port}" if port is not None else "")
