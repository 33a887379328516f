"""HTML mail -> the document for the sandboxed frame. Used by `contents`.

The mail's own markup stays as it is: the frame and its policy make it harmless, and a tester wants to see the truth.
"""

import base64
import re
from collections.abc import Iterable

from app.inbox.message import StoredAttachment

SCHEMES = ("light", "dark")

INLINED_LIMIT = 20 * 1024 * 1024
"""Characters of inlined images in one document: a short mail can name a large image a thousand times."""

_DOCTYPE = re.compile(r"<!doctype[^>]*>", re.IGNORECASE)
_CID = re.compile(r"cid:([^\s\"'<>()]+)", re.IGNORECASE)
_PREFERS = re.compile(r"\(\s*prefers-color-scheme\s*:\s*(light|dark)\s*\)", re.IGNORECASE)
# What a media query about the scheme becomes: one that always holds, or one that never does.
_ALWAYS, _NEVER = "(min-width: 0)", "(max-width: 0)"


def framed(html: str, attachments: Iterable[StoredAttachment], *, scheme: str | None = None) -> str:
    """`html` with its attached images inlined, links opening in a new tab, and in one colour scheme if one is given.

    Without `scheme` the mail follows the reader's system, as in a mail client.
    """
    html = _with_images(html, attachments)
    head = '<base target="_blank">'
    if scheme in SCHEMES:
        html = _PREFERS.sub(lambda query: _ALWAYS if query[1].lower() == scheme else _NEVER, html)
        if "color-scheme" in html.lower():
            # The canvas behind a mail that declares schemes; one that declares none stays on white, as in mail clients.
            head += f"<style>:root {{ color-scheme: {scheme} !important; }}</style>"
    # Behind the doctype: in front of it, the mail would be shown in quirks mode.
    doctype = _DOCTYPE.search(html, 0, 2048)
    position = doctype.end() if doctype else 0
    return html[:position] + head + html[position:]


def _with_images(html: str, attachments: Iterable[StoredAttachment]) -> str:
    images = {a.content_id: a for a in attachments if a.content_id and a.content_type.startswith("image/")}
    left = INLINED_LIMIT

    def inline(reference: re.Match[str]) -> str:
        nonlocal left
        image = images.get(reference[1])
        if image is None or (left := left - image.size * 4 // 3) < 0:
            return reference[0]
        return f"data:{_plain_type(image.content_type)};base64,{base64.b64encode(image.content).decode('ascii')}"

    return _CID.sub(inline, html) if images else html


def _plain_type(content_type: str) -> str:
    return content_type if re.fullmatch(r"image/[a-z0-9.+-]+", content_type) else "image/png"
