"""The text/plain alternative of a client's HTML, for readers who want or need no HTML. Used by `messages.compose`."""

import re
from html.parser import HTMLParser

from app.messages.html_names import LINE_TAGS, PARAGRAPH_TAGS

_CELLS = frozenset({"td", "th"})
_DEEPEST_INDENT = 8

_SPACES = re.compile(r"[ \t\n\r\f]+")
_BLANK_LINES = re.compile(r"\n{3,}")


def text_alternative(fragment: str) -> str:
    """What an HTML fragment says: a link as `text (url)`, list items with a dash or their number, blocks on lines.

    `fragment` comes from `sanitize.sanitized` whoever the caller is: scripts and styles say nothing, and the standard
    library's parser takes the square of the time for markup that is broken on purpose.
    """
    writer = _TextWriter()
    writer.feed(fragment)
    writer.close()
    return writer.text()


class _TextWriter(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._pieces: list[str] = []
        self._is_line_start = True
        self._owes_space = False
        self._lists: list[int | None] = []
        self._link = ""
        self._link_start = 0
        self._preformatted = 0

    def text(self) -> str:
        lines = "".join(self._pieces).replace("\xa0", " ").split("\n")
        return _BLANK_LINES.sub("\n\n", "\n".join(line.rstrip() for line in lines)).strip("\n") + "\n"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag in PARAGRAPH_TAGS:
            self._break_line(blank=tag not in ("ul", "ol") or not self._lists)
        elif tag in LINE_TAGS:
            self._break_line()
        if tag == "br":
            self._write("\n")
        elif tag == "hr":
            self._break_line()
            self._write("---\n")
        elif tag == "pre":
            self._preformatted += 1
        elif tag in ("ul", "ol"):
            self._lists.append(_start_number(attributes.get("start")) if tag == "ol" else None)
        elif tag == "li":
            self._write(self._item_mark())
        elif tag in _CELLS and not self._is_line_start:
            self._owes_space = True
        elif tag == "a":
            self._link = attributes.get("href") or ""
            self._link_start = len(self._pieces)

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._end_link()
        elif tag == "pre":
            self._preformatted -= 1
        elif tag in ("ul", "ol") and self._lists:
            self._lists.pop()
        if tag in PARAGRAPH_TAGS:
            self._break_line(blank=tag not in ("ul", "ol") or not self._lists)
        elif tag in LINE_TAGS:
            self._break_line()

    def handle_data(self, data: str) -> None:
        if self._preformatted:
            self._write(data)
            return
        words = _SPACES.sub(" ", data)
        if words.startswith(" "):
            self._owes_space = True
        stripped = words.strip(" ")
        if stripped:
            self._write(stripped)
            self._owes_space = words.endswith(" ")

    def _write(self, text: str) -> None:
        if self._owes_space and not self._is_line_start:
            self._pieces.append(" ")
        self._owes_space = False
        self._pieces.append(text)
        self._is_line_start = text.endswith("\n")

    def _break_line(self, *, blank: bool = False) -> None:
        self._owes_space = False
        if not self._is_line_start:
            self._write("\n")
        if blank and self._pieces:
            self._write("\n")

    def _item_mark(self) -> str:
        indent = "  " * min(len(self._lists) - 1, _DEEPEST_INDENT)
        number = self._lists[-1] if self._lists else None
        if number is None:
            return f"{indent}- "
        self._lists[-1] = number + 1
        return f"{indent}{number}. "

    def _end_link(self) -> None:
        target = self._link.removeprefix("mailto:").removeprefix("tel:")
        words = "".join(self._pieces[self._link_start :]).strip()
        if target and words not in (target, self._link):
            self._write(f" ({self._link})" if words and not self._owes_space else f"({self._link})")
        self._link = ""


def _start_number(value: str | None) -> int:
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 10 else 1
