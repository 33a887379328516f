"""RFC 2047: text in any script as ASCII words that mail clients decode. Used by `messages.headers`.

The whole text is encoded, never single words of it: white space between encoded words is dropped when they are decoded,
so what arrives is exactly what went in, wherever the lines are folded.
"""

import binascii
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

_LONGEST_WORD = 75
_LONGEST_LINE = 78
_WRAPPING = len("=?utf-8?q??=")
_FOLD = "\r\n "

_LITERAL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/"
"""What Q leaves as it is: RFC 2047 section 5 (3), the set that is safe in display names as well."""

_Q = ["_" if octet == 0x20 else chr(octet) if octet in _LITERAL else f"={octet:02X}" for octet in range(256)]


_Q_LENGTHS = bytes(map(len, _Q))


def encoded_words(text: str, *, column: int) -> str:
    """Encode `text` as words of at most 75 characters, folded into lines of at most 78.

    `column` is where on its line the first word begins (at most 40). `text` holds no lone surrogate. B or Q, whichever
    is shorter; a character is never split between words (RFC 2047 section 5).
    """
    octets = text.encode("utf-8")
    q_length = len(octets) + 2 * len(octets.translate(None, _LITERAL + b" "))
    b_length = (len(octets) + 2) // 3 * 4
    first = min(_LONGEST_WORD, _LONGEST_LINE - column) - _WRAPPING
    # A word on a folded line begins behind one space.
    rest = min(_LONGEST_WORD, _LONGEST_LINE - 1) - _WRAPPING
    if q_length <= b_length:
        if q_length <= first:
            return _q_word(octets)
        totals = list(accumulate(octets.translate(_Q_LENGTHS)))
        return _FOLD.join(map(_q_word, _pieces(octets, totals, first, rest)))
    if b_length <= first:
        return _b_word(octets)
    totals_of_b = range(1, len(octets) + 1)
    return _FOLD.join(map(_b_word, _pieces(octets, totals_of_b, first // 4 * 3, rest // 4 * 3)))


def _q_word(octets: bytes) -> str:
    return "=?utf-8?q?" + "".join([_Q[octet] for octet in octets]) + "?="


def _b_word(octets: bytes) -> str:
    return "=?utf-8?b?" + binascii.b2a_base64(octets, newline=False).decode("ascii") + "?="


def _pieces(octets: bytes, totals: Sequence[int], first: int, rest: int) -> Iterator[bytes]:
    """Cut UTF-8 between characters so that the first piece costs at most `first` and each other at most `rest`.

    `totals` says for each octet what it and all before it cost.
    """
    start = spent = 0
    budget = first
    while start < len(octets):
        end = bisect_right(totals, spent + budget)
        while end < len(octets) and octets[end] & 0xC0 == 0x80:
            end -= 1
        yield octets[start:end]
        start, spent, budget = end, totals[end - 1], rest
