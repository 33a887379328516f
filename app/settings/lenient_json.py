"""Reads an array of flat objects from JSON as people write it into variables; used for SMTP_CONFIGURATIONS.

Besides JSON it takes: the whole text in quotes, quotes written as `\\"` (what Docker's --env-file and single quotes
leave of an escaped text), strings in single quotes, trailing commas. Values are plain, or lists of texts without
spaces, so each is returned as text.
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass

Pairs = list[tuple[str, str]]
"""The properties of one object in their order, each value as text: `465`, `true`, and an empty text for null.

The texts of a list stand with a space between them.
"""

_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
    r"|(?P<plain>-?[0-9]+(?:\.[0-9]+)?|true|false|null)(?!\w)"
    r"|(?P<mark>[\[\]{}:,])",
    re.DOTALL,
)
_SPACE = re.compile(r"\s*")
_ESCAPED = re.compile(r"""\\(["'\\/nrt])""")
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t"}


class Unreadable(Exception):
    """The text is no such array. `found` names the place and shows what leads up to it, every unknown text hidden."""

    def __init__(self, *, found: str, expected: str) -> None:
        self.found = found
        self.expected = expected
        super().__init__(f"found {found}, expected {expected}")


def read_objects(text: str, *, known_names: Collection[str]) -> list[Pairs]:
    """Raises Unreadable. `known_names` (lower case) are the property names that its excerpt may show."""
    return _Parser(_unwrapped(text), known_names).array()


def _unwrapped(text: str) -> str:
    text = text.strip().removeprefix("\ufeff")
    while len(text) > 1 and text[0] in "\"'" and text[-1] == text[0]:
        text = text[1:-1].strip()
    first_quote = re.search(r"""["']""", text)
    if first_quote and text[: first_quote.start()].endswith("\\"):
        return _ESCAPED.sub(lambda match: _CONTROLS.get(match[1], match[1]), text)
    return text


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


class _Parser:
    """Recursive descent without recursion: an array, of objects, of plain values or lists of texts; nothing deeper."""

    def __init__(self, text: str, known_names: Collection[str]) -> None:
        self._text = text
        self._known_names = known_names
        self._read: list[_Token] = []
        self._next = self._token_from(0)

    def array(self) -> list[Pairs]:
        objects: list[Pairs] = []
        self._take("[", "[ because it is a JSON array")
        while not self._accept("]"):
            objects.append(self._object())
            if self._next.text != "]":
                self._take(",", "a comma or ]")
        if self._next.kind != "end":
            raise self._unreadable("nothing behind the closing ]")
        return objects

    def _object(self) -> Pairs:
        pairs: Pairs = []
        self._take("{", "{ because each configuration is a JSON object")
        while not self._accept("}"):
            if self._next.kind != "string":
                raise self._unreadable("a property name in double quotes")
            name = self._string()
            self._take(":", "a colon behind the property name")
            pairs.append((name, self._value()))
            if self._next.text != "}":
                self._take(",", "a comma or }")
        return pairs

    def _value(self) -> str:
        if self._next.kind == "string":
            return self._string()
        if self._accept("["):
            return self._list()
        if self._next.kind != "plain":
            raise self._unreadable("a text in double quotes or a number")
        text = self._advance().text
        return "" if text == "null" else text

    def _list(self) -> str:
        texts = []
        while not self._accept("]"):
            if self._next.kind != "string":
                raise self._unreadable("a text in double quotes")
            texts.append(self._string())
            if self._next.text != "]":
                self._take(",", "a comma or ]")
        return " ".join(texts)

    def _string(self) -> str:
        quoted = self._next.text
        if quoted[0] == "'":
            quoted = '"' + re.sub(r"""\\.|\"""", _requoted, quoted[1:-1]) + '"'
        try:
            value = json.loads(quoted, strict=False)
        except ValueError:
            raise self._unreadable("a text whose backslashes are written twice") from None
        self._advance()
        return str(value)

    def _accept(self, mark: str) -> bool:
        is_next = self._next.text == mark
        if is_next:
            self._advance()
        return is_next

    def _take(self, mark: str, expected: str) -> None:
        if not self._accept(mark):
            raise self._unreadable(expected)

    def _advance(self) -> _Token:
        taken = self._next
        self._read.append(taken)
        self._next = self._token_from(taken.end)
        return taken

    def _token_from(self, position: int) -> _Token:
        space = _SPACE.match(self._text, position)
        start = space.end() if space else position
        if start == len(self._text):
            return _Token("end", "", start, start)
        match = _TOKEN.match(self._text, start)
        if match is None:
            return _Token("quote" if self._text[start] in "\"'" else "bare", "", start, start)
        return _Token(str(match.lastgroup), match[0], start, match.end())

    def _unreadable(self, expected: str) -> Unreadable:
        start = self._next.start
        line = self._text.count("\n", 0, start) + 1
        column = start - (self._text.rfind("\n", 0, start) + 1) + 1
        what = {
            "end": "the end",
            "mark": self._next.text,
            "string": "a text in quotes",
            "plain": "a number or word",
            "quote": "a quote that is not closed",
            "bare": "text without quotes",
        }[self._next.kind]
        return Unreadable(
            found=f"{what} at line {line}, column {column} ({self._excerpt()} <-- here)", expected=expected
        )

    def _excerpt(self) -> str:
        """The last of what could be read. A text is a name that is known, or hidden: somebody may put a password in."""
        shown = [
            token.text if token.kind != "string" or token.text[1:-1].lower() in self._known_names else '"..."'
            for token in self._read[-8:]
        ]
        return " ".join(["..."] * (len(self._read) > len(shown)) + shown)


def _requoted(match: re.Match[str]) -> str:
    """Inside single quotes an escaped one is a quote, and a double one needs the escape."""
    return {"\\'": "'", '"': '\\"'}.get(match[0], match[0])
