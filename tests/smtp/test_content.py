"""The bytes arrive as they are, or are not sent."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.model.message import Message
from app.model.outcome import Outcome
from app.smtp import content
from app.smtp.content import Content, MessageUnsafe
from tests.smtp.conftest import Send
from tests.smtp_server import CHUNKING, PIPELINING, PLAIN, SMTPServer

FROM = b"From: <sender@example.com>\r\n"
HEAD = b"Subject: Dots\r\n\r\n"
LINES = st.lists(
    st.one_of(
        st.sampled_from([b"", b".", b"..", b"...", b".QUIT", b"BDAT 1 LAST", b"x" * 998, b"." * 998]),
        st.binary(max_size=40).map(lambda line: line.translate(None, b"\r\n\0")),
    ),
    max_size=12,
)


@pytest.mark.parametrize("extensions", [PLAIN, PIPELINING, CHUNKING])
def test_any_lines_arrive_byte_for_byte(extensions: tuple[str, ...], send: Send) -> None:
    with SMTPServer(extensions=extensions) as server:

        @settings(deadline=None)
        @given(LINES)
        def arrive(lines: list[bytes]) -> None:
            message = Message("AB12CD34", HEAD + b"".join(line + b"\r\n" for line in lines))
            assert send(server.configuration(), message=message).outcome is Outcome.ACCEPTED
            assert server.messages.pop().data == FROM + message.content
            server.received.clear()

        arrive()


@settings(deadline=None)
@given(LINES, st.integers(1, 60))
def test_dots_are_doubled_wherever_a_block_ends(lines: list[bytes], block_size: int) -> None:
    whole = HEAD + b"".join(line + b"\r\n" for line in lines)
    expected = (FROM + whole).replace(b"\r\n.", b"\r\n..") + b".\r\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(content, "BLOCK_SIZE", block_size)
        assert b"".join(Content(whole).stuffed_blocks(FROM)) == expected
        assert b"".join(Content(whole).blocks(b"BDAT\r\n", FROM)) == b"BDAT\r\n" + FROM + whole


@pytest.mark.parametrize(("extensions", "is_encrypted"), [(PLAIN, True), (PIPELINING, False), (CHUNKING, True)])
def test_25_megabytes_arrive_byte_for_byte(extensions: tuple[str, ...], is_encrypted: bool, send: Send) -> None:
    line = b"." + b"x" * 75 + b"\r\n"
    message = Message("AB12CD34", HEAD + line * (25_000_000 // len(line)))
    with SMTPServer(extensions=extensions, tls=is_encrypted) as server:
        assert send(server.configuration(), message=message).outcome is Outcome.ACCEPTED
    assert server.messages[0].data == FROM + message.content


@pytest.mark.parametrize("extensions", [PLAIN, PIPELINING, CHUNKING])
@pytest.mark.parametrize("whole", [b"", b"Subject: x\r\n\r\nno end", b"Subject: x\r\n\r\n\r\n.\r\n"])
def test_the_end_of_a_message_is_the_same_on_every_way(extensions: tuple[str, ...], whole: bytes, send: Send) -> None:
    with SMTPServer(extensions=extensions) as server:
        assert send(server.configuration(), message=Message("AB12CD34", whole)).outcome is Outcome.ACCEPTED
    assert server.messages[0].data == FROM + whole + (b"\r\n" if whole.endswith(b"no end") else b"")


@pytest.mark.parametrize(
    "end",
    [
        b"\n.\n",
        b"\n.\r\n",
        b"\r.\r",
        b"\r.\r\n",
        b"\r\n.\n",
        b"\r\n.\r",
        b"\r\r\n.\r\r\n",
        b"\n\r\n",
        b"\r\n\n",
        b"\r",
        b"\n",
        b"\0",
        b"x" * 999,
        b"\r\n" + b"x" * 999 + b"\r\n",
        b"x" * 5000,
    ],
)
def test_bytes_that_servers_read_differently_are_not_sent(end: bytes, send: Send) -> None:
    message = Message("AB12CD34", b"Subject: x\r\n\r\nbefore" + end + b"MAIL FROM:<evil@example.com>\r\n")
    with SMTPServer() as server, pytest.raises(MessageUnsafe):
        send(server.configuration(), message=message)
    assert server.connections == 0


@settings(deadline=None)
@given(st.lists(st.integers(900, 1003), max_size=8), st.booleans())
def test_long_lines_are_found_wherever_they_are(lengths: list[int], has_end: bool) -> None:
    whole = b"\r\n".join(b"x" * length for length in lengths) + (b"\r\n" if has_end else b"")
    if max(lengths, default=0) > 998:
        with pytest.raises(MessageUnsafe):
            Content(whole)
    else:
        Content(whole)


LINE = b"x" * 76 + b"\r\n"


@settings(max_examples=300 if "CI" in os.environ else 60, deadline=None)
@given(
    st.lists(st.sampled_from([b"", b"x", b"x" * 75, b"x" * 76, b"x" * 997, b"x" * 998]), max_size=6),
    st.integers(0, 60),
    st.lists(st.tuples(st.integers(0, 5000), st.sampled_from([b"\r", b"\n", b"\r\n", b"\0", b"", b"x"])), max_size=2),
    st.booleans(),
)
def test_in_pieces_is_found_what_is_found_in_one(
    before: list[bytes], count: int, changes: list[tuple[int, bytes]], is_swap: bool
) -> None:
    whole = b"".join(line + b"\r\n" for line in before) + LINE * count + b"--end--\r\n"
    for position, octets in changes:
        position %= len(whole)
        whole = whole[:position] + octets + whole[position + (len(octets) if is_swap else 0) :]
    lines = whole.split(b"\r\n")
    is_fit = all(len(line) <= 998 and not set(line) & set(b"\r\n\0") for line in lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(content, "BLOCK_SIZE", 600)
        patch.setattr(content, "_UNEVEN_SIZE", 100)
        if is_fit:
            assert b"".join(Content(whole).blocks(b"", b"")) == whole
        else:
            with pytest.raises(MessageUnsafe):
                Content(whole)


@pytest.mark.parametrize("width", [1, 2, 3, 76, 998])
@pytest.mark.parametrize("octets", [b"\r", b"\n", b"\0", b"\n\r", b"\r\n"])
def test_nothing_hides_among_lines_of_one_length(width: int, octets: bytes) -> None:
    """Also where it leaves every line of its length, or looks like one more line end."""
    whole = bytearray((b"x" * width + b"\r\n") * (3 * content.BLOCK_SIZE // (width + 2)))
    Content(bytes(whole))
    for position in (0, len(whole) // 2, len(whole) - len(octets)):
        changed = whole[:]
        changed[position : position + len(octets)] = octets
        if any(set(line) & set(b"\r\n\0") for line in changed.split(b"\r\n")):
            with pytest.raises(MessageUnsafe):
                Content(bytes(changed))


def test_a_line_that_is_too_long_is_found_behind_lines_of_one_length() -> None:
    for long in (b"x" * 999 + b"\r\n", b"x" * 999):
        with pytest.raises(MessageUnsafe):
            Content(LINE * 7000 + long)
        with pytest.raises(MessageUnsafe):
            Content(LINE * 7000 + long + LINE * 7000)
    with pytest.raises(MessageUnsafe):
        Content((b"x" * 999 + b"\r\n") * 1000)
    Content((b"x" * 998 + b"\r\n") * 1000)
