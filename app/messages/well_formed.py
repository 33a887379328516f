"""A client's HTML with its tags balanced and its nesting bounded, before `sanitize` has it parsed.

An HTML parser repairs what is not nested well, and some repairs cost the square of the input: a thousand unclosed `<b>`
and a thousand `<p>` become a million elements, forty thousand open `<div>` seconds of work. Behind this filter the tree
is the one that the tags spell, so the parser's work and its output grow with the input and no faster. It decides
nothing about safety: that is for `nh3`, which reads what comes out of here.
"""

import re
from collections.abc import Generator, Iterator

from app.messages.html_names import (
    ALLOWED_TAGS,
    ATTRIBUTE_NAMES,
    DROPPED_WITH_CONTENT,
    HEAD_TAGS,
    PARAGRAPH_ENDING,
    VOID_TAGS,
)

MAX_DEPTH = 64
"""Elements open at once. Newsletters made of nested tables need about half."""

# Possessive all the way: each pattern matches or fails without trying again, so the time is linear.
_NAME = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9:._-]*+)(?<!:)(?=[\s/>]|\Z)")
_REST_OF_TAG = re.compile(r"((?:[^<>\"']++|\"[^\"]*+\"|'[^']*+')*+)>")
_TAG_MARK = re.compile("[<>]")
_LONGEST_TAG = 4096
"""Characters of a tag in which `>` is looked for outside of quotes only; a longer one ends at the next `>`."""
_ATTRIBUTE = re.compile(r"([^\s\"'<>/=]++)(?:\s*+=\s*+(?:\"([^\"]*+)\"?|'([^']*+)'?|([^\s\"'>]++)))?+")

_CLOSED_BY = {
    "li": frozenset({"li"}),
    "dt": frozenset({"dt", "dd"}),
    "dd": frozenset({"dt", "dd"}),
    "a": frozenset({"a"}),
}
_BARRIERS = {
    "li": frozenset({"ul", "ol", "td", "th"}),
    "dt": frozenset({"dl", "td", "th"}),
    "dd": frozenset({"dl", "td", "th"}),
    "a": frozenset({"table"}),
}
_TABLE_PARENTS = {
    "caption": frozenset({"table"}),
    "colgroup": frozenset({"table"}),
    "col": frozenset({"table", "colgroup"}),
    "thead": frozenset({"table"}),
    "tbody": frozenset({"table"}),
    "tfoot": frozenset({"table"}),
    "tr": frozenset({"table", "thead", "tbody", "tfoot"}),
    "td": frozenset({"tr"}),
    "th": frozenset({"tr"}),
}
_TABLE_STRUCTURE = frozenset({"table", "thead", "tbody", "tfoot", "tr", "colgroup"})


def well_formed(html: str) -> str:
    """`html` with only ALLOWED_TAGS, each closed where it has to be.

    Scripts, style sheets, comments and a title in front of everything else are dropped. Of the rest nothing but tags
    is: one that is not allowed or cannot stand where it is (a cell outside a row, anything deeper than MAX_DEPTH) goes,
    its content stays. What never ends takes nothing with it but its own beginning, and what only looks like a tag, as
    `<anna@example.com>`, is text.
    """
    return "".join(_Balancer(html).balanced())


class _Balancer:
    def __init__(self, html: str) -> None:
        self._html = html
        self._open: list[str] = []
        self._last_end = html.rfind(">")
        self._never_ending: set[str] = set()
        self._is_in_head = True

    def balanced(self) -> Iterator[str]:
        html, position = self._html, 0
        while (start := html.find("<", position)) >= 0:
            text = html[position:start]
            yield _text(text)
            self._is_in_head = self._is_in_head and not text.strip()
            if html.startswith(("<!", "<?"), start):
                end = self._end_of_comment(start)
                yield "" if end > start else "&lt;"
                position = max(end, start + 1)
            elif (name := _NAME.match(html, start)) is None:
                yield "&lt;"
                position = start + 1
            else:
                position = yield from self._tag(name)
        yield _text(html[position:])
        yield from self._pop_to(0)

    def _end_of_comment(self, start: int) -> int:
        """Behind a comment, a declaration or a processing instruction; `start` where it is none."""
        if not self._html.startswith("<!--", start):
            return self._html.find(">", start) + 1 if start < self._last_end else start
        # `<!-->` is a whole comment (HTML, section 13.2.5.44).
        end = self._find("-->", start + 2)
        return end + 3 if end >= 0 else start + 4

    def _tag(self, match: re.Match[str]) -> Generator[str, None, int]:
        """What a tag leaves; returns where the text goes on."""
        html, name, is_end = self._html, match[2].lower(), bool(match[1])
        end = self._end_of_tag(match.end())
        if end < 0:
            # It is a tag only if nothing else follows.
            yield "" if match.end() == len(html) else "&lt;"
            return match.end() if match.end() == len(html) else match.start() + 1
        self._is_in_head = self._is_in_head and name in HEAD_TAGS
        if not is_end and (name in DROPPED_WITH_CONTENT or (name == "title" and self._is_in_head)):
            return self._end_of_content(name, end)
        if name in ALLOWED_TAGS:
            yield from self._close(name) if is_end else self._start(name, html[match.end() : end - 1])
        return end

    def _end_of_tag(self, position: int) -> int:
        """Behind its `>`; -1 where another tag begins before that. A quote that never ends is none."""
        rest = _REST_OF_TAG.match(self._html, position, position + _LONGEST_TAG)
        if rest is not None:
            return rest.end()
        next_mark = _TAG_MARK.search(self._html, position) if position <= self._last_end else None
        return next_mark.end() if next_mark is not None and next_mark[0] == ">" else -1

    def _end_of_content(self, name: str, position: int) -> int:
        """Behind the end tag of an element that is dropped with its content; `position` where it has none."""
        if name in self._never_ending:
            return position
        end = re.compile(rf"</{name}(?=[\s/>]|\Z)(?:[^>]*+>)?", re.IGNORECASE).search(self._html, position)
        if end is None:
            self._never_ending.add(name)
        return position if end is None else end.end()

    def _find(self, mark: str, position: int) -> int:
        """Where `mark` is next, or -1; what was not found once is not looked for again."""
        found = -1 if mark in self._never_ending else self._html.find(mark, position)
        if found < 0:
            self._never_ending.add(mark)
        return found

    def _start(self, name: str, attributes: str) -> Iterator[str]:
        if name in PARAGRAPH_ENDING:
            yield from self._pop_nearest(frozenset({"p"}), frozenset({"td", "th", "caption"}))
        if name in _CLOSED_BY:
            yield from self._pop_nearest(_CLOSED_BY[name], _BARRIERS[name])
        if name in _TABLE_PARENTS:
            yield from self._make_room_in_table(name)
            if not self._open or self._open[-1] not in _TABLE_PARENTS[name]:
                return
        elif self._open and self._open[-1] in _TABLE_STRUCTURE:
            # The parser would move it in front of the table, and again with every piece of text that follows.
            return
        if name in VOID_TAGS:
            yield f"<{name}{_canonical(attributes)}>"
        elif len(self._open) < MAX_DEPTH:
            self._open.append(name)
            yield f"<{name}{_canonical(attributes)}>"

    def _make_room_in_table(self, name: str) -> Iterator[str]:
        """Close what is open inside the nearest element that may hold `name`, and open the row that a cell lacks."""
        table = _last_index(self._open, frozenset({"table"}))
        if table is None:
            return
        parent = _last_index(self._open, _TABLE_PARENTS[name])
        if parent is not None and parent >= table:
            yield from self._pop_to(parent + 1)
        elif name in ("td", "th"):
            yield from self._make_room_in_table("tr")
            if len(self._open) < MAX_DEPTH:
                self._open.append("tr")
                yield "<tr>"

    def _close(self, name: str) -> Iterator[str]:
        # What is inside a table cannot close what is around it.
        barrier = frozenset() if name in _TABLE_STRUCTURE else frozenset({"td", "th", "caption", "table"}) - {name}
        index = _last_index(self._open, frozenset({name}))
        if index is not None and not barrier.intersection(self._open[index + 1 :]):
            yield from self._pop_to(index)

    def _pop_nearest(self, names: frozenset[str], barriers: frozenset[str]) -> Iterator[str]:
        index = _last_index(self._open, names)
        if index is not None and not barriers.intersection(self._open[index + 1 :]):
            yield from self._pop_to(index)

    def _pop_to(self, depth: int) -> Iterator[str]:
        while len(self._open) > depth:
            yield f"</{self._open.pop()}>"


def _last_index(names: list[str], wanted: frozenset[str]) -> int | None:
    for index in range(len(names) - 1, -1, -1):
        if names[index] in wanted:
            return index
    return None


def _text(text: str) -> str:
    return text.replace("<", "&lt;") if "<" in text else text


def _canonical(attributes: str) -> str:
    """The attributes that mail may use, each once and in double quotes, with their character references as they are."""
    if not attributes or attributes.isspace() or attributes == "/":
        return ""
    values: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(attributes):
        name, double, single, bare = match.groups(default="")
        if name.lower() in ATTRIBUTE_NAMES:
            values.setdefault(name.lower(), double or single or bare)
    return "".join(' {}="{}"'.format(name, value.replace('"', "&quot;")) for name, value in values.items())
