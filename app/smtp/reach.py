"""Where a configuration may lead: whoever creates connections must not use this service to look into its network.

Used by `session` for the addresses that a host was looked up to, and where connections are validated.
"""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from app.model.smtp import Reach

_GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All of IPv6 that is assigned for it (RFC 4291 section 2.4); `is_global` also holds for what is merely unassigned."""
_NAT64 = IPv6Network("64:ff9b::/96")
"""RFC 6052 section 2.1: the last 32 bits are an IPv4 address."""
_NOT_PUBLIC = (
    IPv4Network("168.63.129.16/32"),
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv6Network("2001::/23"),
    IPv6Network("3fff::/20"),
)
"""Public by their numbers, or to some versions of Python: two hosters' metadata (Azure, Oracle), and the ranges that
IANA keeps for protocols, relays and documentation."""


def may_reach(address: str, reach: Reach) -> bool:
    """Whether a connection to this IP address is allowed; what is no IP address is not.

    An IPv6 address that only carries an IPv4 address is judged by that one, because that is where it leads.
    """
    if not reach.is_limited:
        return True
    try:
        given = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    meant: Sequence[IPv4Address | IPv6Address] = list(_inside(given)) or [given]
    return _is_allowed(given, reach) or all(_is_allowed(each, reach) or _is_public(each) for each in meant)


def _inside(address: IPv4Address | IPv6Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that an IPv6 address carries: mapped, 6to4, Teredo (server and client) and NAT64."""
    if isinstance(address, IPv4Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if address in _NAT64:
        yield IPv4Address(int(address) & 0xFFFFFFFF)


def _is_allowed(address: IPv4Address | IPv6Address, reach: Reach) -> bool:
    return any(address in network for network in reach.allowed_networks)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return address.is_global and not address.is_multicast and not any(address in network for network in _NOT_PUBLIC)
