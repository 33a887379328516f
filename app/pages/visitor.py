"""Who may see the inbox, and whose requests may change it. Used before every view under `/inbox` and `/demo`.

The inbox asks nobody to sign in: it shows mail to whoever reaches the machine. A browser on that machine reaches it on
behalf of any site it visits, so two things are checked.

- The name in `Host`. A hostile site can point a name of its own at 127.0.0.1 (DNS rebinding) and would then read the
  inbox as its own pages. A name like that is refused; `localhost` and its subdomains, the configured HOST, the one of
  PUBLIC_URL, and any IP address are served. An address cannot be rebound, so this holds in a container, behind a
  forwarded port (`localhost`) and on another machine of the network (its address). For a name of its own, set
  PUBLIC_URL.
- `Sec-Fetch-Site` and `Origin`. A form or a script of another site is refused; a plain link to a page is not.
"""

from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Blueprint, Request, Response, abort, request

from app.settings import Settings
from app.web.own_url import asked_host, own_origins


def keep_private(pages: Blueprint, settings: Settings, *, what: str) -> None:
    """Show pages with mail, which are called `what`, to this machine's own visitors alone, and let nobody keep them."""

    @pages.before_request
    def refuse_strangers() -> None:
        if not _is_known_name(asked_host(), settings):
            abort(
                403,
                f"The {what} is shown under localhost, an IP address, HOST or the host of PUBLIC_URL only. "
                "A proxy that calls the service something else belongs into TRUSTED_PROXIES.",
            )
        if is_foreign(request, own_origins(settings)):
            abort(403, "The request came from another site.")

    @pages.after_request
    def forbid_keeping(response: Response) -> Response:
        response.headers.setdefault("Cache-Control", "no-store")
        return response


def _is_known_name(host: str | None, settings: Settings) -> bool:
    if host is None or names_this_host(host, configured=settings.host):
        return True
    return settings.public_url is not None and host.lower() == urlsplit(settings.public_url).netloc


def names_this_host(host: str, *, configured: str) -> bool:
    """Whether the value of `Host` is one that nobody else can have pointed here. `configured` is the setting HOST."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name in ("localhost", configured.lower()) or name.endswith(".localhost"):
        return bool(name)
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def is_foreign(request: Request, own: Collection[str]) -> bool:
    """Whether a script or a form of another origin made the request; for POST, also when that cannot be ruled out.

    Browsers send `Sec-Fetch-Site` to https and to localhost, and `Origin` with every POST. `own` are our origins.
    """
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    is_safe = request.method in ("GET", "HEAD")
    if site is not None:
        is_own = site in ("same-origin", "none")
        return not is_own and not (is_safe and origin is None)
    if origin is not None:
        return origin not in own
    return not is_safe
