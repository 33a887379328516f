"""Which client a request counts for (spec: abuse protection, "Per client IP").

Used by `web` for every request and by `Gate.lift` for what an operator types. Pure functions. A client cannot choose
its own key: `X-Forwarded-For` is read from the right, and only as far as trusted proxies wrote it.
"""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

UNKNOWN_CLIENT = "unknown"
"""The one client that everybody counts as whose peer has no address, such as the other end of a Unix socket."""

# "[", 39 characters of IPv6, "%" and a zone, "]:65535". Longer text is no address, and must not fill the caches.
_LONGEST_ADDRESS = 80
_BITS_OF_A_V6_CLIENT = 64


def client_key(peer: str, forwarded_for: str = "", trusted_proxies: Sequence[Network] = ()) -> str:
    """The key that a request's client is counted by: `203.0.113.7`, `2001:db8:1:2::/64` or `unknown`.

    `peer` is the socket's other end. `forwarded_for` holds all X-Forwarded-For lines, joined with commas in the order
    of their arrival. It is looked at only when the peer is a trusted proxy: then the right-most address that is not
    trusted is the client. An entry that is no address ends the search, because whatever stands left of it is hearsay;
    the client is then the proxy that passed it on.
    """
    if not trusted_proxies:
        return _key_of_text(peer) if len(peer) <= _LONGEST_ADDRESS else UNKNOWN_CLIENT
    address = parse_address(peer)
    if address is None:
        return UNKNOWN_CLIENT
    unread = forwarded_for
    while unread and any(address in network for network in trusted_proxies):
        unread, _, entry = unread.rpartition(",")
        farther = parse_address(entry)
        if farther is None:
            break
        address = farther
    return _key_of(address)


def typed_client_key(text: str) -> str:
    """The key of what an operator types: an address, or a key as it is listed. Raises ValueError when it is neither."""
    if text.strip() == UNKNOWN_CLIENT:
        return UNKNOWN_CLIENT
    address = parse_address(text.removesuffix(f"/{_BITS_OF_A_V6_CLIENT}"))
    if address is None:
        raise ValueError(f"{text[:_LONGEST_ADDRESS]!r} is no IP address")
    return _key_of(address)


def parse_address(text: str) -> Address | None:
    """An address as sockets and proxies write it, with or without port, brackets and zone id; None when it is none.

    An IPv4-mapped IPv6 address is the IPv4 address, so that nobody has two budgets.
    """
    return _parse_address(text) if len(text) <= _LONGEST_ADDRESS else None


@lru_cache(maxsize=4096)
def _parse_address(text: str) -> Address | None:
    host, port = _split_port(text.strip(" \t"))
    if port is not None and not _is_port(port):
        return None
    host, has_zone, _ = host.partition("%")
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or address
    return None if has_zone else address


def _split_port(text: str) -> tuple[str, str | None]:
    """Host and port of `host`, `host:port`, `[host]` and `[host]:port`. Without brackets two colons mean IPv6."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or ":" not in host:
            return "", None
        return (host, None) if not rest else (host, rest.removeprefix(":") if rest.startswith(":") else "")
    host, colon, port = text.partition(":")
    return (host, port) if colon and ":" not in port else (text, None)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535


@lru_cache(maxsize=4096)
def _key_of_text(peer: str) -> str:
    address = parse_address(peer)
    return UNKNOWN_CLIENT if address is None else _key_of(address)


@lru_cache(maxsize=4096)
def _key_of(address: Address) -> str:
    """One provider's customer usually holds a whole /64, so that is one client."""
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, _BITS_OF_A_V6_CLIENT), strict=False))
    return str(address)
