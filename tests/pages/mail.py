"""Messages for the inbox of the tests, friendly and hostile."""

from email.message import EmailMessage
from email.policy import SMTP

from app.inbox import InboxStore

HOSTILE = "<script>alert(1)</script>\"><img src=x onerror='alert(2)'>"


def deliver(
    store: InboxStore,
    *,
    subject: str = "Hello",
    text: str = "A text",
    html: str | None = None,
    attachments: tuple[tuple[str, str, bytes], ...] = (),
    reply_to: str = '"Ada Lovelace" <ada@example.com>',
) -> str:
    """Put a message into the store and return its id; attachments are (file name, content type, content)."""
    message = EmailMessage(policy=SMTP)
    message["Subject"] = subject
    message["From"] = "letterbox@example.com"
    message["Reply-To"] = reply_to
    message["To"] = "you@example.com"
    message.set_content(text)
    if html is not None:
        message.add_alternative(html, subtype="html")
    for file_name, content_type, content in attachments:
        maintype, subtype = content_type.split("/")
        message.add_attachment(content, maintype=maintype, subtype=subtype, filename=file_name)
    return store.add("letterbox@example.com", ["you@example.com"], bytes(message))
