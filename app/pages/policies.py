"""The security headers of each kind of answer. What is not set here, `web` sets for every answer."""

from flask import Response

_PAGE = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "frame-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}


def _policy(directives: dict[str, str]) -> str:
    return "; ".join(f"{name} {value}".strip() for name, value in directives.items())


PAGE = _policy(_PAGE)

DOCS = _policy(_PAGE | {"style-src": "'self' 'unsafe-inline'"})
"""Swagger UI writes style attributes."""

MAIL = _policy(
    {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
        "font-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'self'",
        # No scripts, no forms, an origin of its own. A link may open a new tab, because people try their links.
        "sandbox": "allow-popups allow-popups-to-escape-sandbox",
    }
)
"""A stranger's HTML: it can be looked at, and do nothing. It cannot even load an image from another host."""

DOWNLOAD = _policy({"default-src": "'none'", "sandbox": "", "frame-ancestors": "'none'"})


def protect_page(response: Response) -> Response:
    """What every page has that does not bring its own."""
    response.headers.setdefault("Content-Security-Policy", PAGE)
    response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    return response
