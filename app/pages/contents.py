"""What a message of the inbox carries: its HTML for the sandboxed frame, its source and attachments to download."""

from io import BytesIO

from flask import Blueprint, Response, abort, make_response, request, send_file

from app.inbox.store import InboxStore
from app.pages import policies
from app.pages.preview import framed

_HARMLESS_TYPES = frozenset(
    {"application/pdf", "application/zip", "text/plain", "text/csv", "text/calendar"}
    | {f"image/{subtype}" for subtype in ("png", "jpeg", "gif", "webp")}
)
"""What a download may be called. Anything else, HTML and SVG above all, is `application/octet-stream`."""


def add_views(inbox: Blueprint, store: InboxStore) -> None:
    """`/inbox/{id}/html`, `/inbox/{id}/source` and `/inbox/{id}/attachments/{number}`."""

    @inbox.get("/<id>/html")
    def html(id: str) -> Response:
        message = store.get(id)
        if message is None or message.html is None:
            abort(404)
        response = make_response(framed(message.html, message.attachments, scheme=request.args.get("scheme")))
        response.headers["Content-Security-Policy"] = policies.MAIL
        # The default DENY would refuse our own frame, too.
        response.headers["X-Frame-Options"] = "SAMEORIGIN"
        return response

    @inbox.get("/<id>/source")
    def source(id: str) -> Response:
        content = store.source(id)
        if content is None:
            abort(404)
        return _download(content, file_name=f"{id}.eml", content_type="application/octet-stream")

    @inbox.get("/<id>/attachments/<int:number>")
    def attachment(id: str, number: int) -> Response:
        found = store.attachment(id, number)
        if found is None:
            abort(404)
        return _download(found.content, file_name=found.file_name, content_type=found.content_type)


def _download(content: bytes, *, file_name: str, content_type: str) -> Response:
    """Never shown in the browser, whatever it is. The name is written as RFC 5987 and RFC 6266 say."""
    response = send_file(
        BytesIO(content),
        mimetype=content_type if content_type in _HARMLESS_TYPES else "application/octet-stream",
        as_attachment=True,
        download_name=file_name,
    )
    response.headers["Content-Security-Policy"] = policies.DOWNLOAD
    # Kept by nobody: after "Clear all" it is gone.
    response.headers["Cache-Control"] = "no-store"
    return response
