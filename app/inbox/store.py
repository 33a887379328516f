"""Where received messages are kept: a directory with one .eml file each, readable by any process and after a restart.

A file begins with the trace fields of a final delivery (RFC 5321, section 4.4) that keep the envelope, closed by
`Received`; what follows is the message, byte for byte as it came. Written by `server`, read by the pages.
"""

import re
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.inbox.message import StoredAttachment, StoredMessage, Summary
from app.inbox.reader import read_message
from app.model.clock import Clock, utc_now

_ID = re.compile(r"[0-9a-f]{22}", re.ASCII)
_TRACE = re.compile(rb"Return-Path: <([^\r\n]*)>\r\n((?:Delivered-To: [^\r\n]*\r\n)*)Received: [^\r\n]*\r\n")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ABANDONED_S = 3600


class InboxStore:
    """The messages of the embedded inbox. Beyond `capacity` messages or `capacity_bytes`, the oldest are dropped.

    An id is 22 hex digits: the microsecond of arrival, so that names sort by age, and a random end.
    """

    def __init__(
        self,
        directory: Path,
        *,
        capacity: int = 200,
        capacity_bytes: int = 200 * 1024 * 1024,
        clock: Clock = utc_now,
    ) -> None:
        self._directory = directory
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._clock = clock
        self._adding = threading.Lock()
        self._last_arrival = 0
        self._summaries: dict[str, Summary] = {}
        # Other people's mail: for this user only.
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sweep()

    def add(self, envelope_from: str, recipients: Sequence[str], content: bytes) -> str:
        """Keep a message and return its id. It is there as a whole or not at all; raises OSError when it cannot be."""
        with self._adding:
            now = self._clock()
            # Two messages of one microsecond keep their order.
            self._last_arrival = max((now - _EPOCH) // _MICROSECOND, self._last_arrival + 1)
            id = f"{self._last_arrival:014x}{secrets.token_hex(4)}"
            unfinished = self._directory / f".{id}.tmp"
            try:
                unfinished.write_bytes(_trace(envelope_from, recipients, now) + content)
                unfinished.replace(self._path(id))
            except OSError:
                unfinished.unlink(missing_ok=True)
                raise
            self._drop_oldest()
        return id

    def ids(self) -> list[str]:
        """The ids of all messages, newest first."""
        return sorted((path.stem for path in self._files()), reverse=True)

    def list(self) -> list[Summary]:
        """All messages, newest first. A message is read once; a file never changes."""
        known = self._summaries
        summaries = {}
        for id in self.ids():
            summary = known.get(id)
            if summary is None:
                message = self.get(id)
                if message is None:
                    continue  # dropped or deleted meanwhile
                summary = message.summary
            summaries[id] = summary
        self._summaries = summaries
        return [*summaries.values()]

    def get(self, id: str) -> StoredMessage | None:
        """The decoded message, or None when there is no such message (any string may be asked for)."""
        raw = self._read(id)
        if raw is None:
            return None
        trace = _TRACE.match(raw)
        return read_message(
            raw[trace.end() :] if trace else raw,
            id=id,
            received_at=_EPOCH + int(id[:14], 16) * _MICROSECOND,
            envelope_from=trace[1].decode("utf-8", "replace") if trace else "",
            recipients=_delivered_to(trace[2]) if trace else (),
        )

    def source(self, id: str) -> bytes | None:
        """The message as it came over the wire, or None."""
        raw = self._read(id)
        if raw is None:
            return None
        trace = _TRACE.match(raw)
        return raw[trace.end() :] if trace else raw

    def attachment(self, id: str, number: int) -> StoredAttachment | None:
        """One attachment, counted from 1, or None."""
        message = self.get(id)
        if message is None or not 1 <= number <= len(message.attachments):
            return None
        return message.attachments[number - 1]

    def delete(self, id: str) -> bool:
        """Remove one message; false when it is not there."""
        if not _ID.fullmatch(id):
            return False
        try:
            self._path(id).unlink()
        except FileNotFoundError:
            return False
        return True

    def clear(self) -> None:
        """Remove every message."""
        for path in self._files():
            path.unlink(missing_ok=True)

    def _path(self, id: str) -> Path:
        return self._directory / f"{id}.eml"

    def _files(self) -> Iterator[Path]:
        return (path for path in self._directory.glob("*.eml") if _ID.fullmatch(path.stem))

    def _read(self, id: str) -> bytes | None:
        if not _ID.fullmatch(id):
            return None
        try:
            return self._path(id).read_bytes()
        except FileNotFoundError:
            return None

    def _drop_oldest(self) -> None:
        """The newest always stays, however large it is."""
        kept_bytes = 0
        for kept, id in enumerate(self.ids()):
            with suppress(FileNotFoundError):
                kept_bytes += self._path(id).stat().st_size
            if kept and (kept >= self._capacity or kept_bytes > self._capacity_bytes):
                self._path(id).unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Remove what a killed process was writing; a young one may still be in the hands of another process."""
        for path in self._directory.glob(".*.tmp"):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _ABANDONED_S:
                    path.unlink()


def _trace(envelope_from: str, recipients: Sequence[str], now: datetime) -> bytes:
    lines = [
        f"Return-Path: <{_one_line(envelope_from)}>",
        *(f"Delivered-To: {_one_line(recipient)}" for recipient in recipients),
        f"Received: by localhost with ESMTP; {now:%a, %d %b %Y %H:%M:%S +0000}",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "replace")


def _one_line(address: str) -> str:
    return address.replace("\r", " ").replace("\n", " ")


def _delivered_to(fields: bytes) -> tuple[str, ...]:
    return tuple(
        line.removeprefix(b"Delivered-To: ").decode("utf-8", "replace") for line in fields.split(b"\r\n") if line
    )
