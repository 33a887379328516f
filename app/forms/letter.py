"""A submission as the request for an email to the form's owner. Used by `submit`."""

from app.forms.submission import Recognised, Submission, Visitor
from app.model.email import EmailRequest
from app.model.form import Form


def letter(form: Form, recognised: Recognised, submission: Submission, visitor: Visitor) -> EmailRequest:
    """Everything that the visitor sent is in it: in its place, or in the table of fields."""
    fields = dict(recognised.custom_fields)
    _add(fields, "Form", form.name)
    if visitor.page is not None:
        _add(fields, "Page", visitor.page)
    if form.subject is not None and recognised.subject:
        # The owner's words are the subject; the visitor's must not be lost for it.
        _add(fields, "Subject", recognised.subject)
    return EmailRequest(
        email=recognised.email,
        username=recognised.username,
        message=recognised.message,
        custom_fields=fields,
        template=form.template,
        # Only of the built-in letter: a template knows what it is.
        is_html=form.template is None,
        # The owner's words may have placeholders; a visitor's, a page's and the form's name are text.
        subject="" if form.subject else recognised.subject or f"New message: {form.name}",
        subject_template=form.subject,
        attachments=submission.files,
        reply_to=recognised.reply_to,
    )


def _add(fields: dict[str, str], name: str, value: str) -> None:
    """Beside a field of the visitor's that has the name already."""
    while name in fields:
        name += "\N{NO-BREAK SPACE}"
    fields[name] = value
