"""The SMTP server of the embedded inbox: accepts every message and puts it into the store. Started by the assembly."""

import asyncio
import logging
import socket
import threading

from aiosmtpd.smtp import SMTP, Envelope, Session

from app.inbox.store import InboxStore

SIZE_LIMIT = 40 * 1024 * 1024
"""Octets of one message, announced as SIZE: well above what the API lets in, base64 included."""

_STOP_TIMEOUT_S = 5.0


class EmbeddedInbox:
    """Listens on 127.0.0.1 only, so it needs neither TLS nor a sign-in. Runs in a daemon thread of its own."""

    def __init__(self, store: InboxStore, *, port: int = 0) -> None:
        self._store = store
        self._port = port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> int:
        """Listen, and return the port (a free one when 0 was asked for). Raises OSError when it is taken.

        Connections are accepted by the kernel from here on, whether or not the thread already runs.
        """
        # aiosmtpd logs whole addresses and every command on its info level.
        logging.getLogger("mail.log").setLevel(logging.WARNING)
        listener = socket.create_server(("127.0.0.1", self._port), backlog=128)
        port: int = listener.getsockname()[1]
        is_serving = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(listener, is_serving)), name="embedded-inbox", daemon=True
        )
        self._thread.start()
        is_serving.wait(_STOP_TIMEOUT_S)
        return port

    def stop(self) -> None:
        """Close the port and every connection. Does nothing when it does not run."""
        if self._thread is None or self._loop is None or self._stopping is None:
            return
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(_STOP_TIMEOUT_S)
        self._thread = self._loop = self._stopping = None

    async def _serve(self, listener: socket.socket, is_serving: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        dialogues: set[_Dialogue] = set()
        server = await self._loop.create_server(lambda: _Dialogue(_Handler(self._store), dialogues), sock=listener)
        is_serving.set()
        async with server:
            await self._stopping.wait()
            server.close()
            for dialogue in list(dialogues):
                dialogue.hang_up()


class _Handler:
    """What aiosmtpd calls; a command without a method here gets aiosmtpd's own, positive answer."""

    def __init__(self, store: InboxStore) -> None:
        self._store = store

    async def handle_EHLO(  # noqa: N802 - the name aiosmtpd looks for
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        # Commands are read one line after the other from a buffer, which is all that PIPELINING (RFC 2920) asks for.
        return [*responses[:-1], "250-PIPELINING", responses[-1]]

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.original_content or b""
        try:
            # In a thread, because the disk may be slow and other dialogues go on.
            id = await asyncio.to_thread(self._store.add, envelope.mail_from or "", envelope.rcpt_tos, content)
        except OSError as error:
            return f"452 4.3.1 The inbox cannot write: {error.strerror}"
        return f"250 2.0.0 Kept as {id}"


class _Dialogue(SMTP):
    """One connection, known to its server so that stopping leaves none open."""

    # The inbox shows what was sent, it does not judge it: lines over 998 octets are a matter for who composed them.
    line_length_limit = 1024 * 1024

    def __init__(self, handler: _Handler, dialogues: "set[_Dialogue]") -> None:
        super().__init__(
            handler,
            data_size_limit=SIZE_LIMIT,
            enable_SMTPUTF8=True,
            decode_data=False,
            # Without a name aiosmtpd would ask the DNS for one, on every connection.
            hostname="localhost",
            ident="Letterbox embedded inbox",
            loop=asyncio.get_running_loop(),
        )
        self._dialogues = dialogues

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._dialogues.add(self)
        # asyncio does this itself only for sockets that name their protocol, which those of create_server do not.
        # Without it, the second of several pipelined replies waits 40 ms for the acknowledgement of the first.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._dialogues.discard(self)
        super().connection_lost(error)

    def hang_up(self) -> None:
        if isinstance(self.transport, asyncio.Transport):
            self.transport.abort()
