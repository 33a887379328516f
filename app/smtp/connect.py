"""The first of several addresses that answers, within one deadline. Used by `session`."""

import errno
import os
import selectors
import socket
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest
from time import monotonic

from app.smtp.resolver import Address

STAGGER_S = 0.25
"""The head start of each address before the next is tried beside it (RFC 8305 section 5)."""
KEEPALIVE_S = 3
"""Silence after which the kernel asks whether the other side is still there, and again so often."""
KEEPALIVES_LIMIT = 20
"""Unanswered ones end the connection: no reply is to be expected from a machine that is gone for a minute."""


def connect(addresses: Sequence[Address], deadline: float) -> socket.socket:
    """A connected, blocking socket without Nagle's delay. Raises OSError; TimeoutError when nobody answered.

    One dead IPv6 route must not cost the whole deadline, so the attempts overlap and the first to succeed is kept.
    """
    begun: set[socket.socket] = set()
    try:
        winner = _race(deque(_interleaved(addresses)), begun, deadline)
        winner.setblocking(True)
        winner.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _ask_for_signs_of_life(winner)
        begun.discard(winner)
        return winner
    finally:
        for loser in begun:
            loser.close()


def _ask_for_signs_of_life(connected: socket.socket) -> None:
    """The kernel asks the other side's kernel on a silent connection, which also reminds firewalls of it.

    Nothing of it reaches the server. Where these options do not exist, the kernel asks after two hours.
    """
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_S)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_S)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVES_LIMIT)


def _race(waiting: deque[Address], begun: set[socket.socket], deadline: float) -> socket.socket:
    error: OSError = OSError(errno.EADDRNOTAVAIL, "the host has no address")
    with selectors.DefaultSelector() as selector:
        while waiting or selector.get_map():
            if waiting:
                try:
                    candidate = _begin(waiting.popleft(), begun)
                except OSError as refused:
                    error = refused
                    continue
                selector.register(candidate, selectors.EVENT_WRITE, candidate)
            remaining = deadline - monotonic()
            if remaining <= 0:
                raise TimeoutError("timed out")
            for key, _ in selector.select(min(remaining, STAGGER_S) if waiting else remaining):
                finished: socket.socket = key.data
                code = finished.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code == 0:
                    return finished
                selector.unregister(finished)
                error = OSError(code, os.strerror(code))
    raise error


def _begin(address: Address, begun: set[socket.socket]) -> socket.socket:
    candidate = socket.socket(address.family, socket.SOCK_STREAM)
    begun.add(candidate)
    candidate.setblocking(False)
    code = candidate.connect_ex(address.sockaddr)
    if code not in (0, errno.EINPROGRESS):
        raise OSError(code, os.strerror(code))
    return candidate


def _interleaved(addresses: Sequence[Address]) -> Iterator[Address]:
    """Alternates between the families, beginning with the system's first choice."""
    first = [address for address in addresses if address.family == addresses[0].family]
    others = [address for address in addresses if address.family != addresses[0].family]
    return (address for address in chain.from_iterable(zip_longest(first, others)) if address is not None)
