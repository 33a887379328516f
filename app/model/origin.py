"""Origins as browsers write them (RFC 6454, section 6.1). Used by whoever compares where a request comes from."""

from urllib.parse import urlsplit

_LOCAL_HOSTS = ("localhost", "127.0.0.1")


def is_local(origin: str) -> bool:
    """Whether it is an origin of this machine's own pages, on any port, written as a browser would write it."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or parts.hostname not in _LOCAL_HOSTS:
        return False
    # Compared with what a browser would send, so that user names, paths and odd spellings do not slip through.
    return origin == f"{parts.scheme}://{parts.hostname}" + (f":{port}" if port is not None else "")


def origin_of(address: str) -> str | None:
    """The origin of a page's address as Referer has it; None where it is none that a browser would send."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.netloc or "@" in parts.netloc or "\\" in address:
        return None
    origin = f"{parts.scheme}://{parts.netloc}"
    # urlsplit lets white space and control characters fall away, and makes letters of the scheme small.
    return origin if address == origin or address.startswith((f"{origin}/", f"{origin}?")) else None
