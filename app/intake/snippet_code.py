"""A form -> the code that its owner pastes into a page: HTML, HTML with our script, fetch, React. Used by `snippet`.

The code is in `templates/forms/code/`, in a template environment of its own: a page and code need different spaces.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from app.forms import captcha
from app.intake.checks import altcha_scripts
from app.intake.snippet_fields import FILE_FIELD, HONEYPOT, CodeField, code_fields
from app.model.form import Form, HumanCheck
from app.settings import Settings

_CAPTCHA_OBJECTS = {HumanCheck.TURNSTILE: "turnstile", HumanCheck.HCAPTCHA: "hcaptcha"}
"""What their scripts are called by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What the templates write down. Addresses are absolute; empty texts stand for what the form does not need."""

    action: str
    enhancement: str
    fields: Sequence[CodeField]
    accepts_files: bool
    needs_token: bool
    scripts: Sequence[str] = ()
    challenge: str = ""
    captcha_class: str = ""
    captcha_object: str = ""
    site_key: str = ""
    file_field: str = FILE_FIELD
    honeypot: str = HONEYPOT


@dataclass(frozen=True, slots=True)
class Snippet:
    """One of the ways to use the form. `id` is that of its element on the page."""

    id: str
    title: str
    explanation: str
    text: str


_WAYS = (
    ("plain", "HTML", "Works in every browser."),
    (
        "enhanced",
        "HTML with our script",
        "The same form, sent without leaving the page: the script says at each field what is wrong, and keeps what was "
        "typed.",
    ),
    ("fetch", "fetch", "The same, with a few lines of your own to change as you like."),
    ("react", "React", "A component that needs nothing but React."),
)


class SnippetWriter:
    """One per process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._templates = _environment(settings.templates_dir)

    def write(self, form: Form, *, own_url: str) -> list[Snippet]:
        """The code of each way. `own_url` is this service's; called within a request, which knows its paths."""
        code = self._code(form, own_url)
        return [
            Snippet(
                id, title, explanation, self._templates.get_template(f"forms/code/{id}.txt").render(code=code).strip()
            )
            for id, title, explanation in _WAYS
        ]

    def _code(self, form: Form, own_url: str) -> Code:
        action = f"{own_url}/forms/{form.key}"
        asked = captcha.provider(self._settings, form.check)
        is_altcha = form.check is HumanCheck.ALTCHA
        return Code(
            action=action,
            enhancement=f"{own_url}/forms/assets/letterbox.js",
            fields=code_fields(form),
            accepts_files=form.accepts_files,
            needs_token=form.needs_token,
            scripts=[urljoin(own_url, path) for path in altcha_scripts()]
            if is_altcha
            else [asked.script]
            if asked
            else [],
            challenge=f"{action}/challenge" if is_altcha else "",
            captcha_class=asked.widget_class if asked else "",
            captcha_object=_CAPTCHA_OBJECTS.get(form.check, ""),
            site_key=asked.site_key if asked else "",
        )


def _environment(directory: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(directory),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["entities"] = entities
    # Names of fields stay readable in scripts.
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
    return environment


def entities(text: str) -> Markup:
    """`text` for HTML and for JSX, in texts and in attributes: braces are special in JSX, which reads entities, too."""
    return Markup(str(escape(text)).replace("{", "&#123;").replace("}", "&#125;"))  # noqa: S704 - escaped just before
