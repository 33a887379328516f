"""What the kernel says of a connection, and what it does not say on systems that only look like Linux."""

import errno
import select
import socket
from typing import Any

from app.smtp.wire import Wire


class _ImitatedLinux(socket.socket):
    """A socket of a system that knows TCP_INFO and counts nothing, as gVisor does."""

    def getsockopt(self, level: int, option: int, size: int = 0) -> Any:
        if (level, option) == (socket.IPPROTO_TCP, socket.TCP_INFO):
            return (b"\x01" + bytes(103))[:size]
        if (level, option) == (socket.SOL_SOCKET, 55):
            raise OSError(errno.ENOPROTOOPT, "no such option")
        return super().getsockopt(level, option, size)


def test_a_kernel_that_counts_nothing_has_never_heard_of_the_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        imitated = _ImitatedLinux()
        imitated.connect(listener.getsockname())
        accepted, _ = listener.accept()
        wire = Wire(imitated)
        assert wire.unheard_s() == float("inf")
        # Nor does it say what lies unread, so that is looked at.
        assert wire.is_established()
        assert not wire.has_unread()
        accepted.sendall(b"421 4.4.2 idle\r\n")
        assert select.select([imitated], [], [], 5)[0]
        assert not wire.is_established()
        assert wire.has_unread()
        accepted.close()
        wire.close()
