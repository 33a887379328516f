"""A client's HTML with its tags balanced and its nesting bounded, before `sanitize` has it parsed.

An HTML parser repairs what is not nested well, and some repairs cost the square of the input: a thousand unclosed `<b>`
and a thousand `<p>` become a million elements, forty thousand open `<div>` seconds of work. Behind this filter the tree
is the one that the tags spell, so the parser's work and its output grow with the input and no faster. It decides
nothing about safety: that is for `nh3`, which reads what comes out of here.
"""

import re
from collections.abc import Iterator

from app.messages.html_names import ALLOWED_TAGS, ATTRIBUTE_NAMES, DROPPED_WITH_CONTENT, PARAGRAPH_ENDING, VOID_TAGS

MAX_DEPTH = 64
"""Elements open at once. Newsletters made of nested tables need about half."""

# Possessive all the way: each pattern matches or fails without trying again, so the time is linear.
_MARKUP = re.compile(
    r"<!--.*?(?:-->|\Z)"
    r"|<[!?][^>]*+>?"
    r"|<(?P<close>/?)(?P<name>[A-Za-z][^\s/>]*+)(?P<attributes>(?:[^>\"']++|\"[^\"]*+\"?|'[^']*+'?)*+)>?",
    re.DOTALL,
)
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
    """`html` with only ALLOWED_TAGS, each closed where it has to be; comments, scripts and their like are dropped.

    A tag that cannot stand where it is (a cell outside a row, anything deeper than MAX_DEPTH) goes, its content stays.
    """
    return "".join(_Balancer().balanced(html))


class _Balancer:
    def __init__(self) -> None:
        self._open: list[str] = []

    def balanced(self, html: str) -> Iterator[str]:
        position = 0
        while (match := _MARKUP.search(html, position)) is not None:
            yield _text(html[position : match.start()])
            position = match.end()
            name = (match["name"] or "").lower()
            if name in DROPPED_WITH_CONTENT and not match["close"]:
                position = _end_of(name, html, position)
            elif name not in ALLOWED_TAGS:
                continue
            elif match["close"]:
                yield from self._close(name)
            else:
                yield from self._start(name, match["attributes"])
        yield _text(html[position:])
        yield from self._pop_to(0)

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


def _end_of(name: str, html: str, position: int) -> int:
    """Where the content of an element that is dropped ends: at its end tag, or with everything."""
    end = re.compile(f"</{name}[^>]*+>?", re.IGNORECASE).search(html, position)
    return end.end() if end else len(html)


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
