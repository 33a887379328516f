"""A page's form as a browser sees it: what it would send, and what it says of each field."""

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Page(HTMLParser):
    """`fields` has the form's names and values in order, `labels` what stands beside each field that is seen."""

    html: str
    action: str = ""
    enctype: str = ""
    language: str = ""
    text: str = ""
    fields: list[tuple[str, str]] = field(default_factory=list)
    hidden: set[str] = field(default_factory=set)
    files: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)
    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    _text: list[str] | None = None

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append((tag, given))
        if tag == "html":
            self.language = given["lang"]
        elif tag == "form":
            self.action, self.enctype = given["action"], given.get("enctype", "")
        elif tag == "a":
            self.links.append(given["href"])
        elif tag == "input" and given["type"] == "file":
            self.files.append(given["name"])
        elif tag == "input":
            self.fields.append((given["name"], given["value"]))
            if given["type"] == "hidden":
                self.hidden.add(given["name"])
        elif tag in ("textarea", "label"):
            self._text = []
            self._open = given

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._text is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("textarea", "label") and self._text is not None:
            text, self._text = "".join(self._text), None
            if tag == "textarea":
                # The first line break belongs to the markup.
                self.fields.append((self._open["name"], text.removeprefix("\n")))
            else:
                self.labels[self._open["for"]] = text
