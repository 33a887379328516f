"""The pages of the embedded inbox: the list, one message, deleting. They exist only where the inbox runs."""

import re
from hashlib import sha256
from typing import Any

from flask import Blueprint, abort, make_response, redirect, render_template, request, url_for
from werkzeug.exceptions import Forbidden, HTTPException, NotFound
from werkzeug.wrappers import Response as AnyResponse

from app.inbox.message import StoredMessage
from app.inbox.store import InboxStore
from app.pages import contents
from app.pages.preview import SCHEMES
from app.pages.visitor import keep_private
from app.settings import Settings
from app.web.own_url import own_url

_MAILBOX = re.compile(r"(.*)<([^<>\s]+)>")

WIDTHS = ("desktop", "phone")

SHOWN_LIMIT = 500_000
"""Characters of a text that a page shows; the rest is in the download."""


def create(settings: Settings, store: InboxStore) -> Blueprint:
    """`/inbox` and everything below it."""
    inbox = Blueprint("inbox", __name__, url_prefix="/inbox", template_folder=settings.templates_dir)

    keep_private(inbox, settings, what="inbox")

    @inbox.get("", strict_slashes=False)
    def messages() -> str:
        return render_template("pages/inbox.html", messages=store.list(), own_url=own_url(settings))

    @inbox.get("/messages")
    def message_list() -> AnyResponse:
        """The changing part of the list; 304 while it does not change."""
        response = make_response(
            render_template("pages/_messages.html", messages=store.list(), own_url=own_url(settings))
        )
        response.set_etag(sha256("".join(store.ids()).encode()).hexdigest()[:32])
        return response.make_conditional(request)

    @inbox.get("/<id>")
    def message(id: str) -> str:
        found = store.get(id) or abort(404)
        return render_template("pages/message.html", **_view(found, store))

    @inbox.post("/<id>/delete")
    def delete(id: str) -> AnyResponse:
        if not store.delete(id):
            abort(404)
        return redirect(url_for("inbox.messages"), 303)

    @inbox.post("/clear")
    def clear() -> AnyResponse:
        store.clear()
        return redirect(url_for("inbox.messages"), 303)

    inbox.add_app_template_filter(mailbox)
    inbox.register_error_handler(NotFound, _error_page)
    inbox.register_error_handler(Forbidden, _error_page)
    contents.add_views(inbox, store)
    return inbox


def _view(message: StoredMessage, store: InboxStore) -> dict[str, Any]:
    """What the template of a message needs. The address says which view, width and scheme are chosen."""
    views = [name for name in ("html", "text") if getattr(message, name) is not None] + ["headers", "source"]
    chosen = request.args.get("view", "")
    view = chosen if chosen in views else views[0]
    texts = {"text": message.text or "", "source": ""}
    if view == "source":
        texts["source"] = (store.source(message.summary.id) or b"")[: SHOWN_LIMIT + 1].decode("utf-8", "replace")
    text = texts.get(view, "")
    return {
        "message": message,
        "summary": message.summary,
        "views": views,
        "view": view,
        "width": request.args["width"] if request.args.get("width") in WIDTHS else "desktop",
        "scheme": request.args["scheme"] if request.args.get("scheme") in SCHEMES else None,
        "shown_text": text[:SHOWN_LIMIT],
        "is_cut": len(text) > SHOWN_LIMIT,
    }


def mailbox(value: str) -> tuple[str, str]:
    """A decoded From or Reply-To as (display name, address); ("", value) when it is not of that simple form."""
    match = _MAILBOX.fullmatch(value)
    return (match[1].strip().strip('"').replace("\\", ""), match[2]) if match else ("", value)


def _error_page(error: HTTPException) -> tuple[str, int]:
    code = error.code or 500
    return render_template("pages/error.html", code=code, explanation=error.description), code
