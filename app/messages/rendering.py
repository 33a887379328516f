"""What a message says: its subject and its body as text and as HTML, from the client's templates or ours.

Used by `messages.compose`. The rules of `email-api` section 5 are here; nothing of headers and MIME is.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from app.messages.headers import cleaned
from app.messages.placeholders import html_values, substitute, substituted_size, text_values
from app.messages.sanitize import document, sanitized
from app.messages.templates import Given, RenderedTemplate, Templates
from app.messages.text_alternative import text_alternative
from app.model.email import EmailRequest


@dataclass(frozen=True, slots=True)
class Rendered:
    """`subject` has one visible character at least and is not cleaned yet. `html` is None for plain text only."""

    subject: str
    text: str
    html: str | None


def render(
    request: EmailRequest, templates: Templates, *, received_at: datetime, longest_subject: int, allows_raw_html: bool
) -> Rendered:
    """Render `request`; `Template` wins over `EmailTemplate`, and its format over `IsHtml`.

    A subject is cut at `longest_subject` characters: a template can repeat a long value, and servers cut long headers.
    """
    template_subject = ""
    if request.template is None and request.body_template:
        text, html = _client_body(request, request.body_template, allows_raw_html=allows_raw_html)
    else:
        rendered = _designed_body(request, templates, received_at)
        is_html = request.is_html or request.template is not None
        text, html = rendered.text, rendered.html if is_html else None
        template_subject = rendered.subject if request.template is not None else ""
    return Rendered(_subject(request, template_subject, longest_subject), text, html)


def exceeds(limit: int, request: EmailRequest, templates: Templates) -> bool:
    """Whether a body of `request` would have more than `limit` bytes; nothing much larger is ever built."""
    if request.template is None and request.body_template:
        values = html_values(request) if request.is_html else text_values(request)
        return substituted_size(request.body_template, values) > limit
    fields = request.custom_fields
    characters = len(request.email) + len(request.username) + len(request.message)
    characters += sum(map(len, fields)) + sum(map(len, fields.values()))
    # The designed bodies show each value, a text or two of it in other places, and no character grows beyond 6 bytes.
    if characters > limit:
        return True
    if 2 * 6 * characters + (32 + len(fields)) * 1024 <= limit:
        return False
    rendered = _designed_body(request, templates, datetime.now(UTC))
    return any(len(body.encode("utf-8", "replace")) > limit for body in (rendered.text, rendered.html or ""))


def _client_body(request: EmailRequest, template: str, *, allows_raw_html: bool) -> tuple[str, str | None]:
    if not request.is_html:
        return substitute(template, text_values(request)), None
    html = substitute(template, html_values(request))
    fragment = sanitized(html)
    return text_alternative(fragment), html if allows_raw_html else document(fragment)


def _designed_body(request: EmailRequest, templates: Templates, received_at: datetime) -> RenderedTemplate:
    given = Given(
        email=request.email,
        username=request.username,
        message=request.message,
        custom_fields=request.custom_fields,
        priority=request.priority,
        received_at=received_at,
    )
    return (
        templates.render_builtin(**given) if request.template is None else templates.render(request.template, **given)
    )


def _subject(request: EmailRequest, template_subject: str, longest: int) -> str:
    subject = request.subject or template_subject
    if request.subject_template and not request.subject:
        # Cut before they are put in, because a template can repeat them.
        values = {name: value[: longest + 1] for name, value in text_values(request).items()}
        subject = substitute(request.subject_template, values)
    if _is_blank(subject):
        name = request.username
        subject = f"Message from {(request.email or 'a visitor') if _is_blank(name) else cleaned(name).strip()}"
    return subject if len(subject) <= longest else subject[: longest - 1] + "…"


def _is_blank(text: str) -> bool:
    """Whether nobody would see anything of `text`: spaces, controls and zero-width characters only."""
    visible = text.strip()
    if visible.isprintable():
        return not visible
    return not any(character.isprintable() for character in visible if character != " ")
