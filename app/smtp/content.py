"""The bytes of one message, checked once, and cut into what goes on the wire. Used by `delivery` and `transaction`.

A 25 MB message exists once: what a server needs differently (the `From` field before it, doubled dots) is made block
by block while it is sent.
"""

import re
from collections.abc import Iterator

LINE_LIMIT = 998
"""RFC 5322 section 2.1.1, without the line end."""
BLOCK_SIZE = 256 * 1024

_UNEVEN_SIZE = 64 * 1024
_CR_ALONE = re.compile(rb"\r(?!\n)")
_HARMLESS = bytes(set(range(256)) - set(b"\r\n\0"))


class MessageUnsafe(ValueError):
    """These bytes would not arrive as they are: see RFC 5321 section 2.3.8 and 4.1.1.4."""


class Content:
    """A message's bytes behind its `From` field. Raises MessageUnsafe for what must never reach the wire."""

    def __init__(self, content: bytes) -> None:
        _check(content)
        self._content = content
        # A last line without its end would be ended by DATA and not by BDAT: the same bytes must arrive on every way.
        self._end = b"" if not content or content.endswith(b"\r\n") else b"\r\n"
        self.is_ascii = content.isascii()
        self.size = len(content) + len(self._end)

    def whole(self, before: bytes, head: bytes) -> bytes:
        """Everything in one piece, behind `before` and the `From` field: for messages that fit into one write."""
        return b"".join((before, head, self._content, self._end))

    def blocks(self, before: bytes, head: bytes) -> Iterator[bytes | memoryview]:
        """The same in blocks, for BDAT (RFC 3030), whose octets are counted and never changed."""
        if self.size <= BLOCK_SIZE:
            yield self.whole(before, head)
            return
        yield before + head
        view = memoryview(self._content)
        for start in range(0, len(view), BLOCK_SIZE):
            yield view[start : start + BLOCK_SIZE]
        if self._end:
            yield self._end

    def stuffed_blocks(self, head: bytes) -> Iterator[bytes]:
        """The same for DATA: leading dots doubled (RFC 5321 section 4.5.2), the final dot included."""
        content = self._content
        first = head
        start = 0
        while start < len(content):
            # Blocks end at line ends, so that no line's first dot hides behind a border.
            end = content.find(b"\n", start + BLOCK_SIZE) + 1 or len(content)
            block = content[start:end].replace(b"\r\n.", b"\r\n..")
            dot = b"." if block.startswith(b".") else b""
            last = self._end + b".\r\n" if end == len(content) else b""
            yield b"".join((first, dot, block, last))
            first = b""
            start = end
        if not content:
            yield head + b".\r\n"


def _check(content: bytes) -> None:
    """Raises MessageUnsafe. A large message is looked at in pieces, each of which begins and ends with a line."""
    start, length = 0, len(content)
    while length - start > BLOCK_SIZE:
        end = _end_of_even_lines(content, start)
        if end is None:
            end = content.find(b"\n", start + _UNEVEN_SIZE) + 1 or length
            _check_lines(content[start:end])
        start = end
    _check_lines(content[start:])


def _end_of_even_lines(content: bytes, start: int) -> int | None:
    """The end of a block of lines that are fit to be sent and all as long as the first one; None for any others.

    These are the lines of an attachment: 25 MB take 19 ms in this way and 46 in the other, because what is to be at the
    ends of lines is compared where it has to be, and one pass shows that it is nowhere else.
    """
    width = content.find(b"\n", start, start + LINE_LIMIT + 2) + 1 - start
    if not 2 <= width <= BLOCK_SIZE:
        return None
    count = BLOCK_SIZE // width
    end = start + count * width
    block = content[start:end]
    is_even = (
        block[width - 2 :: width] == b"\r" * count
        and block[width - 1 :: width] == b"\n" * count
        and block.translate(None, _HARMLESS) == b"\r\n" * count
    )
    return end if is_even else None


def _check_lines(content: bytes) -> None:
    # Every CR goes before an LF, and no LF is without one. Counting CRLF itself takes twice as long as this search.
    if _CR_ALONE.search(content) or content.count(b"\n") != content.count(b"\r"):
        raise MessageUnsafe("the message has a line end that is not CRLF")
    if b"\0" in content:
        raise MessageUnsafe("the message has a NUL")
    if _has_long_line(content):
        raise MessageUnsafe(f"the message has a line of more than {LINE_LIMIT} octets")


def _has_long_line(content: bytes) -> bool:
    """Leaps from line start to line start, as far as a longest line would reach: a few looks per thousand octets."""
    reach = LINE_LIMIT + 2
    start, length = 0, len(content)
    while length - start > LINE_LIMIT:
        last_end = content.rfind(b"\n", start, start + reach)
        if last_end < 0:
            return True
        start = last_end + 1
    return False
