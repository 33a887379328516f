"""The designed bodies: Jinja2 files under `templates/email/`, compiled once. `messages.compose` renders with them.

A directory is a template and its name is what callers write in `Template`: `subject.txt`, `body.txt`, and `body.html`
unless it is plain text only. Adding one means adding files. Directories that start with `_` are not offered: `_base`
holds what several share, `_builtin` is the body for a request that names no template and brings none.

Files see these names: `email` and `name`, empty when there is none; `sender`, the name or else the address; `message`;
`fields`, the custom fields as pairs; `priority`; `received`, the moment as readers see it. All of them are data: only
these files are ever Jinja2, and whatever a caller wrote reaches them as a value.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict, Unpack
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from jinja2.runtime import Context
from markupsafe import Markup, escape

from app.model.email import Priority

_IN_THIS_ORDER = ("Default", "Modern", "Minimal", "Professional", "Alert")
"""How menus list what the specification names; any other template follows by name, without an entry here."""

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


class Given(TypedDict):
    """What a template is filled with, as the caller wrote it. `received_at` is aware, in any zone."""

    email: str
    username: str
    message: str
    custom_fields: Mapping[str, str]
    priority: Priority
    received_at: datetime


_SAMPLE = Given(
    email="ada@example.com",
    username="Ada",
    message="Hello",
    custom_fields={"Company": "Analytical Engines"},
    priority=Priority.NORMAL,
    received_at=datetime(2026, 1, 7, tzinfo=UTC),
)


@dataclass(frozen=True, slots=True)
class RenderedTemplate:
    """One message in its parts. `html` is None for plain text only; `subject` is not cleaned for a header yet."""

    subject: str
    text: str
    html: str | None


@dataclass(frozen=True, slots=True)
class _Parts:
    subject: Template
    text: Template
    html: Template | None


class Templates:
    """Every template of one directory, ready to render from any thread. `names` are those that callers can choose."""

    def __init__(self, directory: Path) -> None:
        """Compile everything and fill it once, so that a mistake in a file stops the service and not a message."""
        loader = FileSystemLoader(directory)
        self._plain = _environment(loader, autoescape=False)
        self._html = _environment(loader, autoescape=True)
        found = {path.name for path in directory.iterdir() if path.is_dir() and path.name[0] not in "_."}
        named = (name for name in _IN_THIS_ORDER if name in found)
        self.names: tuple[str, ...] = (*named, *sorted(found.difference(_IN_THIS_ORDER)))
        self._parts = {name: self._compile(directory / name) for name in self.names}
        self._builtin = self._compile(directory / "_builtin")
        for parts in (*self._parts.values(), self._builtin):
            _render(parts, _SAMPLE)

    def render(self, name: str, **given: Unpack[Given]) -> RenderedTemplate:
        """Fill the template called `name`, which is one of `names`."""
        return _render(self._parts[name], given)

    def render_builtin(self, **given: Unpack[Given]) -> RenderedTemplate:
        """Fill the body of a request that names no template and brings none; it always has both parts."""
        return _render(self._builtin, given)

    def _compile(self, files: Path) -> _Parts:
        return _Parts(
            subject=self._plain.get_template(f"{files.name}/subject.txt"),
            text=self._plain.get_template(f"{files.name}/body.txt"),
            html=self._html.get_template(f"{files.name}/body.html") if (files / "body.html").is_file() else None,
        )


def _environment(loader: FileSystemLoader, *, autoescape: bool) -> Environment:
    # One environment per kind of file, because a choice by file name would be made again at every render. Without
    # `auto_reload=False` every render would ask the file system whether the shared layout has changed.
    environment = Environment(
        loader=loader,
        autoescape=autoescape,  # noqa: S701 - off for plain text only, where escaping would show
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(breaks=_breaks, mailto=_mailto)
    return environment


def _render(parts: _Parts, given: Given) -> RenderedTemplate:
    name = given["username"].strip()
    name = name if any(map(str.isprintable, name)) else ""  # zero-width characters alone name nobody
    received_at = given["received_at"].astimezone(UTC)
    values: dict[str, object] = {
        "email": given["email"],
        "name": name,
        "sender": name or given["email"] or "A visitor",
        "message": given["message"],
        "fields": given["custom_fields"].items(),
        "priority": given["priority"].value,
        "received": _as_readers_see_it(received_at),
    }
    return RenderedTemplate(
        subject=_fill(parts.subject, values),
        text=_fill(parts.text, values),
        html=None if parts.html is None else _fill(parts.html, values),
    )


def _as_readers_see_it(moment: datetime) -> str:
    # `strftime` would speak the machine's language, and takes twice as long.
    month = _MONTHS[moment.month - 1]
    return f"{moment.day} {month} {moment.year}, {moment.hour:02}:{moment.minute:02} UTC"


def _fill(template: Template, values: dict[str, object]) -> str:
    # `template.render(values)` without jinja2's global functions, which no file here uses: copying them costs more than
    # filling a text part does, and listing their names as much again.
    return "".join(template.root_render_func(Context(template.environment, values, template.name, template.blocks)))


def _breaks(value: str) -> Markup:
    """`value` escaped, then its line breaks as `<br>`; in this order, so that a typed `<br>` stays text."""
    escaped = escape(value)
    if "\n" not in value and "\r" not in value:
        return escaped
    return Markup(str(escaped).replace("\r\n", "<br>").replace("\n", "<br>").replace("\r", "<br>"))  # noqa: S704


def _mailto(address: str) -> str:
    """A link that writes to `address` and can do nothing else: a `?` in a local part would start header fields."""
    return "mailto:" + quote(address, safe="@")
