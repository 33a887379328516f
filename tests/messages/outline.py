"""What HTML is made of, read by the standard library's parser, and whether all of it is harmless in a mail."""

import re
from html.parser import HTMLParser
from urllib.parse import urlsplit


def _names(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


FORBIDDEN_TAGS = _names(
    "script style iframe frame frameset object embed applet form input button textarea select option img picture source"
    " video audio track svg math base link noscript template portal"
)
LOADING_ATTRIBUTES = _names("src srcset background poster data action formaction cite longdesc ping xlink:href")


class Outline(HTMLParser):
    """Every tag with its attributes in `tags`; closing tags are not kept."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.comments: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)


def assert_harmless(html: str) -> None:
    """No scripts, forms, frames, remote resources, comments, or links that do more than a click should."""
    outline = Outline(html)
    assert not outline.comments
    for tag, attributes in outline.tags:
        assert tag not in FORBIDDEN_TAGS, tag
        assert tag != "meta" or attributes.keys() <= {"charset", "name", "content"}
        for name, value in attributes.items():
            assert not name.startswith("on"), name
            assert name not in LOADING_ATTRIBUTES, name
            if name == "href":
                assert urlsplit(value).scheme in ("http", "https", "mailto", "tel"), value
            if name == "style":
                assert not re.search(
                    r"url|expression|image|behavior|binding|@|\\|position\s*:", value, re.IGNORECASE
                ), value
