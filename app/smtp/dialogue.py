"""Commands and replies over a wire, each phase with a deadline. The lower half of `session.SMTPSession`.

`smtplib` writes and reads through `send` and `getreply`; both end here. Its own reading has a timer per read, which a
server stretches without end by dripping, and trusts the length of what it is told.
"""

import smtplib
import ssl
from time import monotonic
from typing import Any

from app.model.outcome import Stage
from app.smtp.failure import SessionFailed
from app.smtp.reply import CLOSING, Reply, ReplyMalformed, parse_line
from app.smtp.wire import Wire

REPLY_LINE_LIMIT = 4096
"""RFC 5321 section 4.5.3.1.5 asks for 512; some servers are chattier."""
REPLY_LINES_LIMIT = 128
ONE_REPLY_TOO_MANY = "the server sent more replies than it was asked for"


class Dialogue(smtplib.SMTP):
    """`smtplib.SMTP` with its ends turned to a `Wire`. Every method raises SessionFailed when the dialogue breaks off.

    `limit` is the moment (`time.monotonic`) that no phase may outlast; its owner sets it anew for every message.
    """

    def __init__(self, *, timeout_s: float, limit: float) -> None:
        # A name is given so that smtplib does not ask the DNS for one; it is replaced once an address is known.
        super().__init__(local_hostname="localhost")
        self.limit = limit
        self.stage = Stage.DNS
        self.in_step = False
        """Whether every command has got its reply; a session that is out of step is of no use any more."""
        self.is_closing = False
        """Whether the server said 421, after which it hangs up."""
        self._timeout_s = timeout_s
        self._deadline = limit
        self._connection: Wire | None = None

    @property
    def is_reusable(self) -> bool:
        return self._connection is not None and self.in_step and not self.is_closing

    @property
    def is_encrypted(self) -> bool:
        return self.tls is not None

    @property
    def tls(self) -> ssl.SSLObject | None:
        return self._connection.tls if self._connection else None

    @property
    def peer_address(self) -> str:
        return self._wire.peer_address

    def announced(self, extension: str) -> str | None:
        """The parameters that EHLO announced an extension with; None without it."""
        return self.esmtp_features.get(extension)

    def begin(self, stage: Stage, timeout_s: float | None = None) -> None:
        """A new phase with a new deadline, which `limit` may shorten."""
        self.stage = stage
        self._deadline = min(monotonic() + (timeout_s or self._timeout_s), self.limit)

    def begin_final_wait(self, timeout_s: float) -> None:
        """The wait for the reply to a whole message: the one that `limit` does not shorten."""
        self.stage = Stage.MESSAGE
        self._deadline = monotonic() + timeout_s

    def is_alive(self, *, thoroughly: bool) -> bool:
        """Whether nothing speaks against using this session again."""
        if self._connection is None:
            return False
        return self._connection.is_silent() if thoroughly else self._connection.is_established()

    def unheard_s(self) -> float:
        """How long the other side's kernel has given no sign of life; inf where that is not known."""
        return float("inf") if self._connection is None else self._connection.unheard_s()

    @property
    def has_unread(self) -> bool:
        """Whether the server said more than it was asked for."""
        return self._connection is not None and self._connection.has_unread()

    def write(self, data: bytes | memoryview, *, is_continued: bool = False) -> None:
        """Sends everything, or raises: then the server has a part at most.

        What lies unread before a command, or before a message, would be taken for the reply to it: nothing is sent
        then. `is_continued` says that it goes on with what was begun, where a server may interrupt.
        """
        self.in_step = False
        wire = self._wire
        if not is_continued and wire.has_unread():
            surplus = self.read_reply()
            if surplus.code == CLOSING:
                raise SessionFailed(self.stage, reply=surplus)
            raise SessionFailed(self.stage, detail=f"{ONE_REPLY_TOO_MANY}: {surplus.detail}")
        try:
            wire.send(data, self._deadline)
        except OSError as error:
            raise self._failure(error) from error

    def read_reply(self) -> Reply:
        """The next reply, of bounded length, before the phase's deadline."""
        wire = self._wire
        try:
            code, is_last, text = parse_line(wire.read_line(self._deadline, limit=REPLY_LINE_LIMIT))
            reply = Reply(code, text) if is_last else _read_further(wire, self._deadline, text)
        except (OSError, ReplyMalformed) as error:
            raise self._failure(error) from error
        if reply.code == CLOSING:
            self.is_closing = True
        return reply

    def read_reply_that_came(self) -> Reply | None:
        """The next reply where all of it is there; None until then. Waits for nothing."""
        wire = self._wire
        try:
            while not wire.has_whole_reply(limit=REPLY_LINE_LIMIT):
                if not wire.receive_waiting():
                    return None
        except OSError as error:
            raise self._failure(error) from error
        return self.read_reply()

    def fileno(self) -> int:
        """The socket's number, for a selector."""
        return self._wire.fileno()

    def close(self) -> None:
        wire, self._connection = self._connection, None
        self.in_step = False
        if wire is not None:
            wire.close()

    # What smtplib calls.

    def send(self, s: Any) -> None:
        self.write(s.encode(self.command_encoding) if isinstance(s, str) else s)

    def putcmd(self, cmd: str, args: str = "") -> None:
        self.begin(self.stage)
        super().putcmd(cmd, args)

    def getreply(self) -> tuple[int, bytes]:
        reply = self.read_reply()
        if reply.code == CLOSING:
            raise SessionFailed(self.stage, reply=reply)
        return reply.code, reply.text

    @property
    def _wire(self) -> Wire:
        if self._connection is None:
            raise SessionFailed(self.stage, detail="the session is closed")
        return self._connection

    def _failure(self, error: Exception) -> SessionFailed:
        if isinstance(error, TimeoutError):
            return SessionFailed(self.stage, detail="no answer in time")
        if isinstance(error, ssl.SSLCertVerificationError):
            return SessionFailed(self.stage, detail=f"certificate not accepted: {error.verify_message}")
        return SessionFailed(self.stage, detail=str(error) or type(error).__name__)


def _read_further(wire: Wire, deadline: float, first: bytes) -> Reply:
    """The reply whose first line was not its last; its last line's code counts."""
    texts = [first]
    while len(texts) < REPLY_LINES_LIMIT:
        code, is_last, text = parse_line(wire.read_line(deadline, limit=REPLY_LINE_LIMIT))
        texts.append(text)
        if is_last:
            return Reply(code, b"\n".join(texts))
    raise ReplyMalformed(f"a reply has more than {REPLY_LINES_LIMIT} lines")
