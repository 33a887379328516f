"""One connected socket with deadlines, in clear text or TLS. Used by `session` alone.

The socket stays blocking and the kernel keeps the time (SO_RCVTIMEO, SO_SNDTIMEO): a Python socket timeout would poll
before every call, and each poll hands the GIL over. TLS runs in memory (`ssl.SSLObject`) on top of the same two calls,
because an `ssl.SSLSocket` either polls as well or, blocking, never comes back from a kernel timeout.
"""

import contextlib
import re
import socket
import ssl
import struct
import sys
from time import monotonic

from app.smtp.reply import ReplyMalformed

RECEIVE_SIZE = 16 * 1024
TLS_BLOCK_SIZE = 256 * 1024
"""So much of a message is encrypted at a time: large enough to be fast, small enough for 64 threads at once."""
SLACK_S = 0.02
"""A deadline may be overrun by this much, which saves setting the kernel's timer anew for every message."""

_TCP_ESTABLISHED = 1
_TCP_INFO_SIZE = 60
_LAST_RECEIVED_MS = struct.Struct("@52xII")
"""Where `struct tcp_info` of linux/tcp.h says how long ago data last came, and how long ago an acknowledgement."""
_SO_MEMINFO = 55
"""asm-generic/socket.h; its first number says how much of the receive buffer is taken."""
_NOTHING = bytes(4)
_LAST_LINE = re.compile(rb"^(?![0-9]{3}-)[^\n]*\n", re.MULTILINE)
_IS_LINUX = sys.platform == "linux"


class Wire:
    """Sends bytes and reads lines, each until a deadline (`time.monotonic`).

    Raises TimeoutError when the deadline passes and ConnectionError when the other side is gone.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._unread = b""
        self._timers: dict[int, float] = {}
        self._tls: ssl.SSLObject | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS layer with its certificate and version; None in clear text."""
        return self._tls

    @property
    def local_address(self) -> str:
        return str(self._socket.getsockname()[0])

    @property
    def peer_address(self) -> str:
        return str(self._socket.getpeername()[0])

    def start_tls(self, context: ssl.SSLContext, host: str, deadline: float) -> None:
        """Shakes hands; from here on everything is encrypted. Raises ssl.SSLError too."""
        tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                self._send_raw(self._outgoing.read(), deadline)
                self._incoming.write(self._receive_raw(deadline))
            except ssl.SSLError:
                # The alert tells the server why; that it cannot be sent changes nothing.
                with contextlib.suppress(OSError):
                    self._send_raw(self._outgoing.read(), deadline)
                raise
            else:
                break
        self._send_raw(self._outgoing.read(), deadline)
        self._tls = tls

    def send(self, data: bytes | memoryview, deadline: float) -> None:
        """Everything, or an exception: after one the other side has at most a part."""
        if self._tls is None:
            self._send_raw(data, deadline)
            return
        view = memoryview(data)
        for start in range(0, len(view), TLS_BLOCK_SIZE):
            block = view[start : start + TLS_BLOCK_SIZE]
            while block:
                # OpenSSL takes one record (16 KB) at a time.
                block = block[self._tls.write(block) :]
            self._send_raw(self._outgoing.read(), deadline)

    def read_line(self, deadline: float, *, limit: int) -> bytes:
        """One line without its line end, of at most `limit` octets."""
        while (end := self._unread.find(b"\n")) < 0:
            if len(self._unread) > limit:
                break
            self._unread += self._receive(deadline)
        if end < 0 or end > limit:
            raise ReplyMalformed(f"a reply line is longer than {limit} octets")
        line, self._unread = self._unread[:end], self._unread[end + 1 :]
        return line[:-1] if line.endswith(b"\r") else line

    def is_established(self) -> bool:
        """Whether the kernel knows of no end of this connection, and nothing unread lies in it.

        Costs no hand-over of the GIL, where the kernel tells both.
        """
        try:
            state = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] if _IS_LINUX else 0
        except OSError:
            return False
        if state:
            return state == _TCP_ESTABLISHED and not self.has_unread()
        return self.is_silent()

    def unheard_s(self) -> float:
        """How long ago the other side's kernel last gave a sign of life, if only to a keepalive; inf if unknown."""
        if not _IS_LINUX:
            return float("inf")
        try:
            data_ms, acknowledgement_ms = _LAST_RECEIVED_MS.unpack(
                self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_SIZE)
            )
        except (OSError, struct.error):
            return float("inf")
        # Systems that imitate Linux (gVisor) leave what they do not count at 0. The last reply is seconds old where
        # somebody asks, so a kernel that counts says more than 0 about data.
        return float(acknowledgement_ms) / 1000 if data_ms else float("inf")

    def has_unread(self) -> bool:
        """Whether the other side sent something that nobody has read: between commands a sign of trouble.

        The end of the connection does not count; the next reading or writing notices it. Where the kernel says that
        nothing lies in the socket, nothing is received, which saves a hand-over of the GIL.
        """
        if self._unread:
            return True
        if not self._incoming.pending and self._is_buffer_empty():
            return False
        with contextlib.suppress(OSError):
            self.receive_waiting()
        return bool(self._unread)

    def is_silent(self) -> bool:
        """Whether the other side has neither closed nor said anything since its last reply (a 421, say)."""
        try:
            return not self._unread and not self.receive_waiting() and not self._unread
        except OSError:
            return False

    def receive_waiting(self) -> bool:
        """Takes in what has arrived, without waiting; whether that was text. Raises OSError at the end of it."""
        try:
            raw = self._socket.recv(RECEIVE_SIZE, socket.MSG_DONTWAIT)
        except BlockingIOError:
            raw = b""
        else:
            if not raw:
                raise ConnectionResetError("the server closed the connection")
        if self._tls is None:
            self._unread += raw
            return bool(raw)
        self._incoming.write(raw)
        try:
            # A late session ticket is no word of the server: only decrypted text is.
            text = self._tls.read(RECEIVE_SIZE)
        except ssl.SSLWantReadError:
            return False
        self._unread += text
        return True

    def has_whole_reply(self, *, limit: int) -> bool:
        """Whether `read_line` need not wait before a reply has ended, or has become longer than `limit`."""
        return _LAST_LINE.search(self._unread) is not None or len(self._unread) > limit

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def _is_buffer_empty(self) -> bool:
        """Whether the kernel says that nothing is to be received; False also where it does not say."""
        try:
            return _IS_LINUX and self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4) == _NOTHING
        except OSError:
            return False

    def _receive(self, deadline: float) -> bytes:
        if self._tls is None:
            return self._receive_raw(deadline)
        while True:
            if not self._incoming.pending:
                self._incoming.write(self._receive_raw(deadline))
            try:
                plain = self._tls.read(RECEIVE_SIZE)
            except ssl.SSLWantReadError:
                if self._outgoing.pending:
                    self._send_raw(self._outgoing.read(), deadline)
                self._incoming.write(self._receive_raw(deadline))
            except ssl.SSLZeroReturnError as error:
                raise ConnectionResetError("the server closed the connection") from error
            else:
                return plain

    def _receive_raw(self, deadline: float) -> bytes:
        while True:
            self._arm(socket.SO_RCVTIMEO, deadline)
            try:
                data = self._socket.recv(RECEIVE_SIZE)
            except BlockingIOError:
                continue
            if not data:
                raise ConnectionResetError("the server closed the connection")
            return data

    def _send_raw(self, data: bytes | memoryview, deadline: float) -> None:
        while data:
            self._arm(socket.SO_SNDTIMEO, deadline)
            try:
                sent = self._socket.send(data)
            except BlockingIOError:
                continue
            if sent == len(data):
                return
            data = memoryview(data)[sent:]

    def _arm(self, option: int, deadline: float) -> None:
        """Sees to it that the next call does not outlast the deadline.

        A timer that is shorter than what remains is left as it is: when it fires early, the loops come back here.
        """
        remaining = deadline - monotonic()
        if remaining <= 0:
            raise TimeoutError("timed out")
        if self._timers.get(option, float("inf")) > remaining + SLACK_S:
            timer = max(remaining, 0.001)
            seconds = int(timer)
            self._socket.setsockopt(
                socket.SOL_SOCKET, option, struct.pack("@ll", seconds, int((timer - seconds) * 1_000_000))
            )
            self._timers[option] = timer
