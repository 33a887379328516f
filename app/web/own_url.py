"""The address under which a browser reaches this service, for pages that show it to be copied elsewhere."""

import re

from flask import request

from app.guards.client_address import parse_address
from app.settings import Settings

_ADDRESS = re.compile(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?", re.ASCII)


def own_url(settings: Settings) -> str:
    """Scheme, host and prefix as the reader's browser used them, without a slash at the end.

    It ends up in a shell or in the code of a page, so a `Host` that is more than a name and a port is not repeated.
    """
    host = request.host if _ADDRESS.fullmatch(request.host) else f"{settings.host}:{settings.port}"
    return f"{_scheme(settings)}://{host}{request.script_root}"


def _scheme(settings: Settings) -> str:
    """The browser's: a trusted proxy that ended TLS says so."""
    peer = parse_address(request.environ.get("REMOTE_ADDR", ""))
    is_trusted = peer is not None and any(peer in network for network in settings.guards.trusted_proxies)
    is_encrypted = request.is_secure or (is_trusted and request.headers.get("X-Forwarded-Proto") == "https")
    return "https" if is_encrypted else "http"
